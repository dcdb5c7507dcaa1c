//! One node as the preflight found it: what the inventory says of it, and the answers of the modules that
//! looked at it. Those answers have many more keys; only what the plan turns on is read.

use k3s_types::{Hop, K3sVersion};
use per_node::Task;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Node {
    /// Its name in the inventory.
    pub host: String,
    /// What its group makes of it; none: it is in no group that we know.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub role: Option<Role>,
    /// Its name in the cluster.
    #[serde(default, rename = "node_name")]
    pub name: Option<String>,
    #[serde(default)]
    pub pve_host: Option<String>,
    #[serde(default)]
    pub vmid: Option<Value>,
    /// The answer of `k3s_version`.
    #[serde(default, deserialize_with = "null_is_none")]
    pub version: Version,
    /// The answer of `k3s_install`.
    #[serde(default, deserialize_with = "null_is_none")]
    pub install: Install,
    /// The answer of `node_drain`.
    #[serde(default, deserialize_with = "null_is_none")]
    pub drain: Drain,
    /// When the drain began and when the node was given back, in seconds of one clock.
    #[serde(default)]
    pub drained_at: Option<Value>,
    #[serde(default)]
    pub returned_at: Option<Value>,
    /// What `k3s_version` answers after the upgrade.
    #[serde(default, deserialize_with = "null_is_none")]
    pub after: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Server,
    Agent,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Version {
    #[serde(flatten)]
    pub task: Task,
    pub installed: Option<K3sVersion>,
    pub running: Option<K3sVersion>,
    pub running_reason: Option<String>,
    pub upgrade_required: bool,
    pub hop: Option<Hop>,
    pub refusals: Vec<Refused>,
    /// What is no reason against the hop, but good to know.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Install {
    #[serde(flatten)]
    pub task: Task,
    /// What it would do, or did.
    pub actions: Vec<String>,
    /// The record of an installation that an earlier run began and did not finish.
    pub record: Option<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Drain {
    #[serde(flatten)]
    pub task: Task,
    pub cordoned_by: CordonedBy,
    pub pods: Vec<Pod>,
    pub evicted: Vec<PodName>,
    pub bypassed: Vec<PodName>,
    pub waiting: Vec<PodName>,
}

/// A hop that `k3s_version` refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Refused {
    pub rule: String,
    pub evidence: String,
    pub r#override: String,
    pub next: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CordonedBy {
    pub before: Owner,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    #[default]
    None,
    Ours,
    Operator,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pod {
    #[serde(flatten)]
    pub id: PodName,
    pub verdict: String,
    pub reason: String,
    pub budgets: Vec<Budget>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub struct PodName {
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for PodName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A budget over a pod, with its headroom.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub struct Budget {
    pub name: String,
    pub disruptions_allowed: i64,
    pub current_healthy: i64,
    pub desired_healthy: i64,
}

impl Version {
    /// The oldest k3s that is at work here or about to be.
    pub fn oldest(&self) -> Option<&K3sVersion> {
        self.running.iter().chain(&self.installed).min()
    }

    pub fn newest(&self) -> Option<&K3sVersion> {
        self.running.iter().chain(&self.installed).max()
    }
}

impl Node {
    pub fn is_server(&self) -> bool {
        self.role == Some(Role::Server)
    }

    /// `container 101 on pve1`.
    pub fn place(&self) -> String {
        let host = self.pve_host.as_deref().unwrap_or("an unknown host");
        match self.vmid_text() {
            Some(vmid) => format!("container {vmid} on {host}"),
            None => host.to_owned(),
        }
    }

    pub fn vmid_text(&self) -> Option<String> {
        self.vmid.as_ref().map(text)
    }

    /// How long the node was out of service.
    pub fn drained_for(&self) -> Option<i64> {
        let seconds = |value: &Option<Value>| text(value.as_ref()?).parse::<i64>().ok();
        Some(seconds(&self.returned_at)? - seconds(&self.drained_at)?)
    }

    /// Newer than what its channel stands at: it is nobody's to touch.
    pub fn is_newer(&self) -> bool {
        self.version.hop == Some(Hop::Downgrade) && !self.version.upgrade_required
    }
}

/// Variables from files and from the command line come as number or as string.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn null_is_none<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn empty_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Role>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        role => Role::deserialize(role).map(Some).map_err(D::Error::custom),
    }
}
