//! What each server has answered before: the registered answers of other modules. They have many more keys; only what
//! the report turns on is read.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Server {
    /// Its name in the inventory.
    pub host: String,
    /// Its name in the cluster.
    pub node_name: String,
    #[serde(default)]
    pub pve_host: Option<String>,
    #[serde(default)]
    pub vmid: Option<Value>,
    /// The answer of `etcd_member`, asked at this server.
    #[serde(default)]
    pub etcd: Etcd,
    /// The answer of `pct_exec` to a question for `/readyz` in there.
    #[serde(default)]
    pub ready: Ready,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Etcd {
    pub msg: Option<String>,
    pub datastore: Option<Datastore>,
    pub members: Vec<Member>,
    pub leader: Option<String>,
    pub quorum: usize,
    pub has_quorum: bool,
    pub alarms: Vec<Alarm>,
    pub stale: Option<Stale>,
    pub nodes_unknown: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datastore {
    Etcd,
    Sqlite,
    External,
}

impl Datastore {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Etcd => "embedded etcd",
            Self::Sqlite => "SQLite",
            Self::External => "an external datastore",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Member {
    pub id: String,
    pub name: Option<String>,
    pub node: Option<String>,
    pub learner: bool,
    pub leader: bool,
    pub trouble: Option<String>,
    pub version: Option<String>,
    pub db_size: Option<u64>,
    pub db_size_in_use: Option<u64>,
    pub raft_lag: Option<u64>,
}

impl Member {
    pub(crate) fn title(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| format!("{} (never started)", self.id))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Alarm {
    pub id: String,
    pub member: Option<String>,
    #[serde(rename = "alarm")]
    pub kind: String,
}

/// What does not fit together, as `etcd_member` tells it; none where that side is not known.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Stale {
    pub members_without_node: Option<Vec<String>>,
    pub nodes_without_member: Option<Vec<String>>,
    pub unexpected_members: Option<Vec<String>>,
    pub expected_without_member: Option<Vec<String>>,
    pub nodes_behind: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Ready {
    pub rc: Option<i32>,
    #[serde(deserialize_with = "null_is_empty")]
    pub stderr: String,
    pub msg: Option<String>,
}

/// The answer of `k3s_backup` to a snapshot that stays where k3s keeps its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The server that was to take it, by its name in the inventory.
    pub from: String,
    pub msg: Option<String>,
    pub path: Option<String>,
    pub bytes: Option<u64>,
    pub sha256: Option<String>,
    pub listed: Option<bool>,
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Server {
    /// `container 101 on pve1`.
    pub(crate) fn place(&self) -> String {
        let host = self.pve_host.as_deref().unwrap_or("an unknown host");
        match &self.vmid {
            Some(Value::String(vmid)) => format!("container {vmid} on {host}"),
            Some(vmid) => format!("container {vmid} on {host}"),
            None => host.to_owned(),
        }
    }

    pub(crate) fn is_node(&self, name: &str) -> bool {
        self.node_name.eq_ignore_ascii_case(name)
    }

    /// Why its API is not ready; none: it is.
    pub(crate) fn not_ready(&self) -> Option<String> {
        match (self.ready.rc, &self.ready.msg) {
            (Some(0), None) => None,
            (_, Some(msg)) if self.ready.stderr.trim().is_empty() => Some(msg.clone()),
            (None, None) => Some("it was not asked".to_owned()),
            _ => Some(self.ready.stderr.trim().to_owned()),
        }
    }
}
