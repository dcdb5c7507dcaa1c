//! What each server has answered before: the registered answers of other modules. They have many more keys; only what
//! is judged is read.

use answers::etcd::{Datastore, Etcd, Member};
use answers::{Answered, given};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The answers of all servers of the inventory.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    pub servers: Vec<Server>,
    pub snapshot: Option<Snapshot>,
}

impl Given {
    /// Reads the options `servers` and `snapshot`.
    pub(crate) fn read(servers: Vec<Value>, snapshot: Map<String, Value>) -> Result<Self, String> {
        let snapshot = (!snapshot.is_empty()).then_some(Value::Object(snapshot));
        let snapshot = snapshot.map(serde_json::from_value).transpose();
        Ok(Self {
            servers: given::list("servers", servers)?,
            snapshot: snapshot.map_err(|error| format!("snapshot: {error}"))?,
        })
    }
}

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
    pub etcd: Answered<Etcd>,
    /// The answer of `pct_exec` to a question for `/readyz` in there.
    #[serde(default)]
    pub ready: Ready,
}

/// The name of a datastore in a sentence.
pub(crate) fn words(datastore: Datastore) -> &'static str {
    match datastore {
        Datastore::Etcd => "embedded etcd",
        Datastore::Sqlite => "SQLite",
        Datastore::External => "an external datastore",
    }
}

pub(crate) fn title(member: &Member) -> String {
    let name = member.name.clone();
    name.unwrap_or_else(|| format!("{} (never started)", member.id))
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Ready {
    pub rc: Option<i32>,
    #[serde(deserialize_with = "null_is_empty")]
    pub stderr: String,
    pub msg: Option<String>,
}

/// The answer of `k3s_archive` to a snapshot that stays where k3s keeps its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The server that was to take it, by its name in the inventory.
    pub from: String,
    #[serde(flatten)]
    pub taken: Answered<answers::Snapshot>,
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Server {
    /// `container 101 on pve1`.
    pub(crate) fn location(&self) -> String {
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
