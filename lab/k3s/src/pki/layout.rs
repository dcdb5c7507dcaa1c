//! Which certificates a server keeps, and where: `server/tls`, with etcd's in `server/tls/etcd`.

use super::{Authority, Pair, Subject, listener};
use crate::files;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub struct Pki {
    pub folder: PathBuf,
    pub server_ca: Authority,
    pub client_ca: Authority,
    pub admin: Pair,
}

/// The files that make a cluster's servers one: a joining server gets them from another.
const SHARED: &[&str] = &[
    "client-ca",
    "server-ca",
    "request-header-ca",
    "etcd/server-ca",
    "etcd/peer-ca",
];

impl Pki {
    /// Makes what is missing, renews what is old.
    pub fn prepare(folder: &Path, node: &str, hosts: &[String]) -> Result<Self> {
        files::folder_with_mode(folder, 0o700)?;
        files::folder_with_mode(&folder.join("etcd"), 0o755)?;
        let at = |name: &str| folder.join(name);
        let client_ca = Authority::at(&at("client-ca"), "k3s-client-ca")?;
        let server_ca = Authority::at(&at("server-ca"), "k3s-server-ca")?;
        let request_ca = Authority::at(&at("request-header-ca"), "k3s-request-header-ca")?;
        let admin = client_ca.pair_at(
            &at("client-admin"),
            &Subject::client("system:admin", "system:masters"),
            0o644,
        )?;
        for (file, name, organization) in CLIENTS {
            client_ca.pair_at(&at(file), &Subject::client(name, organization), 0o644)?;
        }
        for name in KEYS_ALONE {
            super::key_at(&at(name))?;
        }
        request_ca.pair_at(
            &at("client-auth-proxy"),
            &Subject::client("system:auth-proxy", ""),
            0o644,
        )?;
        server_ca.pair_at(
            &at("serving-kube-apiserver"),
            &Subject::server("kube-apiserver", hosts),
            0o644,
        )?;
        serving(folder, &server_ca)?;
        etcd(&folder.join("etcd"), node, hosts)?;
        listener::prepare(folder, &server_ca, hosts)?;
        Ok(Self {
            folder: folder.to_owned(),
            server_ca,
            client_ca,
            admin,
        })
    }
}

const CLIENTS: &[(&str, &str, &str)] = &[
    ("client-k3s-cloud-controller", "k3s-cloud-controller-manager", ""),
    ("client-controller", "system:kube-controller-manager", ""),
    ("client-scheduler", "system:kube-scheduler", ""),
    ("client-kube-apiserver", "system:apiserver", "system:masters"),
    ("client-supervisor", "system:k3s-supervisor", "system:masters"),
];

/// Of these a server has only the keys: the certificates are the agents'.
const KEYS_ALONE: &[&str] = &[
    "client-k3s-controller",
    "client-kube-proxy",
    "client-kubelet",
    "serving-kubelet",
];

/// What the scheduler and the controller manager answer with.
fn serving(folder: &Path, authority: &Authority) -> Result<()> {
    let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    for name in ["kube-scheduler", "kube-controller-manager"] {
        let stem = folder.join(name).join(name);
        authority.pair_at(&stem, &Subject::server(name, &hosts), 0o644)?;
    }
    Ok(())
}

/// These are there on SQLite servers too.
fn etcd(folder: &Path, node: &str, hosts: &[String]) -> Result<()> {
    let server_ca = Authority::at(&folder.join("server-ca"), "etcd-server-ca")?;
    let peer_ca = Authority::at(&folder.join("peer-ca"), "etcd-peer-ca")?;
    let mut own = hosts.to_vec();
    own.push(node.to_owned());
    server_ca.pair_at(&folder.join("client"), &Subject::client("etcd-client", ""), 0o644)?;
    let server = Subject::server("etcd-server", &own).as_client_too();
    server_ca.pair_at(&folder.join("server-client"), &server, 0o644)?;
    let peer = Subject::server("etcd-peer", &own).as_client_too();
    peer_ca.pair_at(&folder.join("peer-server-client"), &peer, 0o644)?;
    Ok(())
}

/// The shared files' contents by name, for `/v1-k3s/server-bootstrap`.
pub fn bundle(folder: &Path) -> Result<Value> {
    let mut bundle = json!({});
    for name in SHARED {
        for extension in ["crt", "key"] {
            let file = format!("{name}.{extension}");
            bundle[&file] = json!(files::read(&folder.join(&file))?);
        }
    }
    Ok(bundle)
}

/// Lays down what another server gave.
pub fn adopt(folder: &Path, bundle: &Value) -> Result<()> {
    files::folder_with_mode(folder, 0o700)?;
    for name in SHARED {
        for (extension, mode) in [("crt", 0o644), ("key", 0o600)] {
            let file = format!("{name}.{extension}");
            let text = bundle[&file].as_str().unwrap_or_default();
            anyhow::ensure!(
                !text.is_empty(),
                "taking over the cluster's CAs: the server sent no {file}"
            );
            files::write(&folder.join(&file), text, mode)?;
        }
    }
    Ok(())
}
