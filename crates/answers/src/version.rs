//! Of the answer of `k3s_version`.

use k3s_types::{Hop, K3sVersion};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Version {
    pub installed: Option<K3sVersion>,
    pub running: Option<K3sVersion>,
    pub running_reason: Option<String>,
    /// A server without a kubelet, which has no Node.
    pub agentless: bool,
    pub upgrade_required: bool,
    pub hop: Option<Hop>,
    pub refusals: Vec<Refused>,
}

/// A hop that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub rule: String,
    pub evidence: String,
    /// The option that lets it pass.
    #[serde(rename = "override")]
    pub lifted_by: String,
    pub next: String,
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
