//! What is on the node.

use anyhow::Result;
use k3s_node::{Facts, Units};
use k3s_types::K3sVersion;

pub(crate) const CONFIG: &str = "/etc/rancher/k3s/config.yaml.d/50-homelab-k3s.yaml";
pub(crate) const REGISTRIES: &str = "/etc/rancher/k3s/registries.yaml";

#[derive(Clone, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) location: String,
    /// Whether k3s is installed: what is written then counts from its next start.
    pub(crate) installed: bool,
    pub(crate) version: Option<K3sVersion>,
    pub(crate) config: Option<String>,
    pub(crate) registries: Option<String>,
}

impl State {
    pub(crate) fn read(facts: &Facts, location: String) -> Result<Self> {
        Ok(Self {
            location,
            installed: Units::read(facts)?.is_installed(),
            version: facts
                .lossy("binary-version")
                .and_then(|text| K3sVersion::from_version_output(&text).ok()),
            config: facts.text("config")?,
            registries: facts.text("registries")?,
        })
    }
}
