//! The child. In a real k3s etcd is a part of the process, so it must not outlive it.

use super::{client_url, folder, is_initialized, membership, metrics, peer_url};
use crate::clock::paced;
use crate::config::Config;
use crate::files;
use crate::log;
use crate::random;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Stdio;
use tokio::process::{Child, Command};

const PROGRAM: &str = "/usr/bin/etcd";
/// Recorded, in milliseconds; at a faster pace never below what a machine with two labs can keep.
const ELECTION: (f64, u128) = (5.0, 3000);
const HEARTBEAT: (f64, u128) = (0.5, 300);

/// Starts the member: the first of a new cluster, one that joins, or one that was here before.
pub async fn start(config: &Config, secret: &str) -> Result<Child> {
    let folder = folder(config);
    files::folder_with_mode(&folder, 0o700)?;
    let name = name(config, &folder)?;
    if is_initialized(&config.server_dir()) {
        log::info("Managed etcd cluster bootstrap already complete and initialized");
    } else {
        log::info("Managed etcd cluster not yet initialized");
        let own = format!("{name}={}", peer_url(config));
        let text = match config.flags.value("server") {
            None => configuration(config, &name, &own, "new"),
            Some(url) => {
                let others = membership::join(config, url, secret, &name).await?;
                configuration(config, &name, &[others, vec![own]].concat().join(","), "existing")
            }
        };
        files::write(&folder.join("config"), &text, 0o600)?;
    }
    spawn(&folder.join("config"))
}

/// The only member of its cluster, for a moment, to be stopped again.
pub fn start_alone(config: &Config) -> Result<Child> {
    let folder = folder(config);
    let name = name(config, &folder)?;
    let own = format!("{name}={}", peer_url(config));
    let text = configuration(config, &name, &own, "new");
    let alone = folder.join("config-reset");
    files::write(&alone, &format!("{text}force-new-cluster: true\n"), 0o600)?;
    files::write(&folder.join("config"), &text, 0o600)?;
    spawn(&alone)
}

/// The name is made once and kept, without a newline, as recorded.
fn name(config: &Config, folder: &Path) -> Result<String> {
    let file = folder.join("name");
    if let Ok(name) = std::fs::read_to_string(&file) {
        return Ok(name);
    }
    let name = format!("{}-{}", config.node_name, random::short_id());
    files::write(&file, &name, 0o600)?;
    Ok(name)
}

fn configuration(config: &Config, name: &str, cluster: &str, state: &str) -> String {
    let tls = config.server_dir().join("tls/etcd");
    let (tls, db) = (tls.display(), folder(config));
    let (clients, peers, metrics) = (client_url(config), peer_url(config), metrics::INNER);
    let milliseconds = |(seconds, least): (f64, u128)| paced(seconds).as_millis().max(least);
    let (election, heartbeat) = (milliseconds(ELECTION), milliseconds(HEARTBEAT));
    // A joining member's address is known to the others already.
    let advertise = if state == "new" {
        format!("initial-advertise-peer-urls: {peers}\n")
    } else {
        String::new()
    };
    format!(
        "advertise-client-urls: {clients}\nclient-transport-security:\n  cert-file: {tls}/server-client.crt\n  \
         client-cert-auth: true\n  key-file: {tls}/server-client.key\n  trusted-ca-file: {tls}/server-ca.crt\n\
         data-dir: {}\nelection-timeout: {election}\nheartbeat-interval: {heartbeat}\n{advertise}initial-cluster: {cluster}\n\
         initial-cluster-state: {state}\nlisten-client-urls: {clients},https://127.0.0.1:2379\n\
         listen-metrics-urls: http://{metrics}\nlisten-peer-urls: {peers}\nlog-outputs:\n- stderr\nlogger: zap\n\
         name: {name}\npeer-transport-security:\n  cert-file: {tls}/peer-server-client.crt\n  client-cert-auth: true\n  \
         key-file: {tls}/peer-server-client.key\n  trusted-ca-file: {tls}/peer-ca.crt\n",
        db.display()
    )
}

pub fn program() -> String {
    std::env::var("LAB_ETCD").unwrap_or_else(|_| PROGRAM.to_owned())
}

/// With the kernel's promise that it is killed when its parent is.
fn spawn(configuration: &Path) -> Result<Child> {
    let program = program();
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", &program, "--config-file"])
        .arg(configuration);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    // systemd's socket is ours alone: etcd would report itself as the unit's readiness.
    command.env_remove("NOTIFY_SOCKET");
    command.spawn().with_context(|| format!("starting {program}"))
}

/// Without a goodbye: a k3s that stops does not hand over its leadership, and the others must elect.
pub async fn stop(child: &mut Child) {
    // Gone already, or gone now.
    let _ = child.kill().await;
}

/// Ends when the child does: k3s does not live without its datastore. Without a child there is nothing to wait for.
pub async fn watch(child: Option<&mut Child>) -> anyhow::Error {
    let Some(child) = child else {
        return std::future::pending().await;
    };
    match child.wait().await {
        Ok(status) => anyhow::anyhow!("etcd ended: {status}"),
        Err(error) => anyhow::anyhow!("waiting for etcd: {error}"),
    }
}
