//! k3s's own endpoints beside the API: how agents and servers find their way in, with the token instead of a
//! certificate.

use crate::api::http::{self, Body, Request};
use crate::api::status::Refusal;
use crate::cluster::Cluster;
use crate::etcd;
use crate::json::{set, text};
use crate::kinds;
use crate::pki::{Subject, layout::Pki};
use crate::random;
use crate::snapshot;
use crate::version::hex;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;

pub const NODE_NAME: &str = "k3s-node-name";
pub const NODE_PASSWORD: &str = "k3s-node-password";
pub const NODE_IP: &str = "k3s-node-ip";

const REJECTED: &str = "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not \
                        match server node-passwd entry, try enabling a unique node name with the --with-node-id flag";

pub struct Supervisor {
    pub pki: Arc<Pki>,
    pub password: String,
    pub agent_password: String,
    pub server_dir: PathBuf,
    pub node_name: String,
    pub has_etcd: bool,
}

impl Supervisor {
    /// Nothing when the path is not ours.
    pub async fn answer(
        &self,
        cluster: Option<&Cluster>,
        request: &Request,
        headers: &HeaderMap,
    ) -> Option<Response<Body>> {
        match request.path.as_str() {
            "/ping" => return Some(http::plain(200, "pong")),
            "/cacerts" | "/v1-k3s/server-ca.crt" => {
                return Some(http::plain(200, self.pki.server_ca.pem().to_owned()));
            }
            "/v1-k3s/client-ca.crt" => return Some(http::plain(200, self.pki.client_ca.pem().to_owned())),
            path if path.starts_with("/v1-k3s/") || path.starts_with("/db/") => {}
            _ => return None,
        }
        if !headers.contains_key(AUTHORIZATION) {
            return Some(http::refused(&Refusal::new(403, "Forbidden", "forbidden")));
        }
        let Some(user) = self.login(headers) else {
            return Some(http::refused(&Refusal::unauthorized()));
        };
        Some(self.joining(cluster, request, headers, user).await)
    }

    async fn joining(
        &self,
        cluster: Option<&Cluster>,
        request: &Request,
        headers: &HeaderMap,
        user: User,
    ) -> Response<Body> {
        if request.path == "/v1-k3s/server-bootstrap" {
            return match crate::pki::layout::bundle(&self.pki.folder) {
                Ok(bundle) if user == User::Server => http::json(200, &bundle),
                Ok(_) => http::refused(&Refusal::unauthorized()),
                Err(error) => http::plain(500, format!("{error:#}\n")),
            };
        }
        if request.path.starts_with("/db/") {
            return match user {
                User::Server => self.datastore(request).await,
                User::Node => http::refused(&Refusal::unauthorized()),
            };
        }
        let Some(cluster) = cluster else {
            return http::plain(503, "runtime core not ready\n");
        };
        match (&request.method, request.path.as_str()) {
            (&Method::GET, "/v1-k3s/config") => http::json(200, &json!({})),
            (&Method::GET, "/v1-k3s/apiservers") => http::json(200, &json!(servers(cluster))),
            (_, path) => match self.certificate(cluster, path, headers).await {
                Ok(answer) => answer,
                Err(refusal) => http::refused(&refusal),
            },
        }
    }

    async fn datastore(&self, request: &Request) -> Response<Body> {
        if !self.has_etcd {
            return http::plain(400, "etcd disabled\n");
        }
        let answer = match request.path.as_str() {
            "/db/info" => self.members().await,
            "/db/snapshot" => self.snapshot(request).await,
            _ => return http::refused(&Refusal::no_such_path()),
        };
        match answer {
            Ok(answer) => http::json(200, &answer),
            Err(error) => http::plain(500, format!("{error:#}\n")),
        }
    }

    async fn members(&self) -> anyhow::Result<Value> {
        let members = etcd::own_client(&self.server_dir)?.members_known_here().await?;
        Ok(etcd::membership::info(&members))
    }

    async fn snapshot(&self, request: &Request) -> anyhow::Result<Value> {
        let body = serde_json::from_slice(&request.body)?;
        snapshot::remote::serve(&self.server_dir, &self.node_name, &body).await
    }

    /// Basic auth: `node` or `server`, and the secret part of the token.
    fn login(&self, headers: &HeaderMap) -> Option<User> {
        let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let plain = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
        let plain = String::from_utf8(plain).ok()?;
        let (user, password) = plain.split_once(':')?;
        match user {
            "server" if password == self.password => Some(User::Server),
            "node" if password == self.password || password == self.agent_password => Some(User::Node),
            _ => None,
        }
    }

    async fn certificate(
        &self,
        cluster: &Cluster,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Response<Body>, Refusal> {
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let (node, password) = (header(NODE_NAME), header(NODE_PASSWORD));
        if node.is_empty() || password.is_empty() {
            return Err(Refusal::bad_request("node name not set"));
        }
        let subject = subject(path, &node, &header(NODE_IP)).ok_or_else(Refusal::no_such_path)?;
        check_password(cluster, &node, &password).await?;
        let authority = if subject.server {
            &self.pki.server_ca
        } else {
            &self.pki.client_ca
        };
        let pair = authority
            .issue(&subject, None)
            .map_err(|e| Refusal::new(500, "InternalError", format!("{e:#}")))?;
        Ok(http::plain(200, format!("{}{}", pair.chain, pair.key)))
    }
}

/// Which certificate a path stands for.
fn subject(path: &str, node: &str, address: &str) -> Option<Subject> {
    match path {
        "/v1-k3s/client-kubelet.crt" => Some(Subject::client(&format!("system:node:{node}"), "system:nodes")),
        "/v1-k3s/serving-kubelet.crt" => {
            let hosts = [node, "localhost", "127.0.0.1", address].map(str::to_owned);
            let hosts: Vec<String> = hosts.into_iter().filter(|host| !host.is_empty()).collect();
            Some(Subject::server(node, &hosts))
        }
        "/v1-k3s/client-kube-proxy.crt" => Some(Subject::client("system:kube-proxy", "")),
        "/v1-k3s/client-k3s-controller.crt" => Some(Subject::client("system:k3s-controller", "")),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Server,
    Node,
}

/// The first node of a name sets its password, in a secret; who comes later with another is somebody else.
async fn check_password(cluster: &Cluster, node: &str, password: &str) -> Result<(), Refusal> {
    let secrets = kinds::of("secrets");
    let secret = password_secret(node);
    if let Some(known) = cluster.get(&secrets, "kube-system", &secret) {
        let stored = STANDARD.decode(text(&known, "/data/hash")).unwrap_or_default();
        let stored = String::from_utf8_lossy(&stored).into_owned();
        let salt = stored.split(':').nth(1).unwrap_or_default();
        return if stored == salted(salt, password) {
            Ok(())
        } else {
            Err(Refusal::new(403, "Forbidden", REJECTED))
        };
    }
    let mut made = json!({"metadata": {"name": secret, "namespace": "kube-system"}, "immutable": true});
    set(
        &mut made,
        &["data", "hash"],
        json!(STANDARD.encode(salted(&random::short_id(), password))),
    );
    cluster.create(&secrets, made).await.map(drop)
}

fn salted(salt: &str, password: &str) -> String {
    format!("$1:{salt}:{}", hex(&Sha256::digest(format!("{salt}{password}"))))
}

/// The servers by address and port, for the agents' load balancers.
pub fn servers(cluster: &Cluster) -> Vec<String> {
    let Some(endpoints) = cluster.get(&kinds::of("endpoints"), "default", "kubernetes") else {
        return Vec::new();
    };
    let subset = &endpoints["subsets"][0];
    let port = subset["ports"][0]["port"].as_u64().unwrap_or(6443);
    let addresses = crate::json::items(subset, "/addresses").iter();
    addresses
        .map(|address| format!("{}:{port}", text(address, "/ip")))
        .collect()
}

pub fn password_secret(node: &str) -> String {
    format!("{node}.node-password.k3s")
}
