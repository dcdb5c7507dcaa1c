//! What was seen of a server, without a secret in it: an answer of `state=inspected`, and what `state=planned` is given.

use crate::record::{Done, Record};
use serde::{Deserialize, Serialize};
use server_archive::{Datastore, Objects};
use std::collections::BTreeMap;

/// A server in the inventory, with what was seen of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    pub host: String,
    pub node_name: String,
    pub pve_host: String,
    /// The answer of `state=inspected`; where it failed, its message alone.
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Answer {
    #[serde(default)]
    pub msg: Option<String>,
    #[serde(default)]
    pub server: Option<Seen>,
    #[serde(default)]
    pub archive: Option<ArchiveSeen>,
    #[serde(default)]
    pub objects: Objects,
    #[serde(default)]
    pub nodes: Vec<NodeSeen>,
}

#[expect(clippy::struct_excessive_bools, reason = "what was seen, each for itself")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The name under which it registers.
    pub node: String,
    pub version: Option<String>,
    pub datastore: Option<Datastore>,
    /// Where its configuration names the server to join, and where its datastore is: none, where it is not.
    pub joins: Option<String>,
    pub external: Option<String>,
    pub cluster_init: bool,
    pub config_fault: Option<String>,
    pub token: Same,
    /// Where the token is set, unless it is in the server's own file.
    #[serde(rename = "token_place")]
    pub token_location: Option<String>,
    /// Its authorities and keys, against the backup's.
    pub identity: Same,
    pub free: u64,
    pub enabled: bool,
    pub active: bool,
    /// Whether its API answers.
    pub ready: bool,
    pub record: Option<Record>,
    pub done: Option<Done>,
}

/// How something of a server compares with the backup's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Same {
    Same,
    Other,
    /// The server has none.
    None,
    /// The backup is not on this Proxmox host, so they were not compared.
    Unknown,
}

/// An intact archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveSeen {
    pub name: String,
    pub taken_at: String,
    pub node: String,
    pub k3s_version: String,
    pub datastore: Datastore,
    /// Its size, and that of what is in it.
    pub bytes: u64,
    pub unpacked: u64,
    pub objects: Objects,
    pub nodes: Vec<String>,
    /// The hashes of its authorities and keys, by their paths.
    pub identity: BTreeMap<String, String>,
    /// Seconds since it was taken.
    pub age: u64,
}

/// The present state of a Node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSeen {
    pub name: String,
    pub server: bool,
    pub ready: bool,
}
