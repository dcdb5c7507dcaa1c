//! The answer of `etcd_member`.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Etcd {
    pub datastore: Option<Datastore>,
    pub members: Vec<Member>,
    pub leader: Option<String>,
    pub voters: usize,
    pub healthy_voters: usize,
    pub learners: usize,
    pub quorum: usize,
    pub has_quorum: bool,
    pub failures_tolerated: usize,
    pub alarms: Vec<Alarm>,
    pub oldest_version: Option<String>,
    pub stale: Option<Stale>,
    pub nodes_unknown: Option<String>,
    pub removed: Option<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datastore {
    Etcd,
    Sqlite,
    /// `PostgreSQL`, `MySQL`, an etcd of its own; also a server that has not started yet.
    External,
}

/// A member, for people and playbooks. Its id is never missing: without one it is something else that was handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "these are the documented return values"
)]
pub struct Member {
    pub id: String,
    #[serde(default)]
    pub id_decimal: String,
    pub name: Option<String>,
    pub node: Option<String>,
    #[serde(default)]
    pub peer_urls: Vec<String>,
    #[serde(default)]
    pub client_urls: Vec<String>,
    #[serde(default)]
    pub learner: bool,
    #[serde(default)]
    pub started: bool,
    #[serde(default)]
    pub healthy: bool,
    pub trouble: Option<String>,
    #[serde(default)]
    pub leader: bool,
    pub version: Option<String>,
    pub db_size: Option<u64>,
    pub db_size_in_use: Option<u64>,
    pub raft_index: Option<u64>,
    pub raft_lag: Option<u64>,
    #[serde(default)]
    pub alarms: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alarm {
    pub id: String,
    pub member: Option<String>,
    #[serde(rename = "alarm")]
    pub kind: String,
}

/// What does not fit together. `None`: that side is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stale {
    /// Members that no Node owns to: their server is gone, or was rebuilt.
    pub members_without_node: Option<Vec<String>>,
    /// Nodes that should have a member and have none.
    pub nodes_without_member: Option<Vec<String>>,
    /// Members of nodes that `expected` does not name.
    pub unexpected_members: Option<Vec<String>>,
    pub expected_without_member: Option<Vec<String>>,
    /// Nodes whose condition does not say yet what etcd says. That is not an error: k3s writes it later.
    pub nodes_behind: Option<Vec<String>>,
}
