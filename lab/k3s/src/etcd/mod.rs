//! Embedded etcd: a real etcd, run as a child with k3s's files, names and certificates.

pub mod bootstrap;
pub mod membership;
pub mod metrics;
pub mod migrate;
pub mod process;
pub mod reset;
pub mod upkeep;

use crate::config::Config;
use anyhow::{Context, Result};
use etcd_api::{Client, Tls};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The limit on an etcd call inside k3s; its API says `request timed out` after that.
pub const LIMIT: Duration = Duration::from_secs(7);
pub const NOT_INITIALIZED: &str = "managed etcd database has not been initialized";

pub fn folder(config: &Config) -> PathBuf {
    config.server_dir().join("db/etcd")
}

/// What decides whether this server runs etcd: not a flag, but a log that is there.
pub fn is_initialized(server_dir: &Path) -> bool {
    server_dir.join("db/etcd/member/wal").exists()
}

pub fn is_wanted(config: &Config) -> bool {
    let flagged = config.flags.is_set("cluster-init") || config.flags.value("server").is_some();
    is_initialized(&config.server_dir()) || flagged
}

pub fn client(server_dir: &Path, endpoint: &str) -> Result<Client> {
    let tls = Tls::of_k3s(server_dir).context("reading etcd's certificates")?;
    Client::new(endpoint, &tls, LIMIT).with_context(|| format!("preparing to speak to etcd at {endpoint}"))
}

pub fn own_client(server_dir: &Path) -> Result<Client> {
    client(server_dir, OWN_ENDPOINT)
}

pub const OWN_ENDPOINT: &str = "https://127.0.0.1:2379";

pub fn peer_url(config: &Config) -> String {
    format!("https://{}:2380", config.node_ip)
}

pub fn client_url(config: &Config) -> String {
    format!("https://{}:2379", config.node_ip)
}
