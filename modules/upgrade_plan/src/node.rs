//! One node as the preflight found it: what the inventory says of it, and the answers of the modules that
//! looked at it. Those answers have many more keys; only what the plan turns on is read.

use answers::drain::Drain;
use answers::{Answered, Install, Version};
use k3s_types::{Hop, Role};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
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
    pub version: Answered<Version>,
    /// The answer of `k3s_install`.
    #[serde(default, deserialize_with = "null_is_none")]
    pub install: Answered<Install>,
    /// The answer of `node_drain`.
    #[serde(default, deserialize_with = "null_is_none")]
    pub drain: Answered<Drain>,
    /// The answer of the `node_drain` that ended the drain. Both went through the same host, and have its clock.
    #[serde(default, deserialize_with = "null_is_none")]
    pub uncordon: Answered<Drain>,
    /// What `k3s_version` answers after the upgrade.
    #[serde(default, deserialize_with = "null_is_none")]
    pub after: Answered<Version>,
}

impl Node {
    pub fn is_server(&self) -> bool {
        self.role == Some(Role::Server)
    }

    /// `container 101 on pve1`.
    pub fn location(&self) -> String {
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
    pub fn drained_for(&self) -> Option<u64> {
        self.uncordon.ended_at?.checked_sub(self.drain.began_at?)
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
