//! What of k3s is on the node.

use anyhow::Result;
use k3s_node::settings::DEFAULT_CONFIG;
use k3s_node::{Facts, NodeSettings, Role};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) place: String,
    pub(crate) bin: String,
    pub(crate) units: Vec<Role>,
    /// The names of the units, where they are not those that the script gives the roles.
    pub(crate) names: BTreeMap<Role, String>,
    /// Units that start another k3s, or that the uninstall script takes for one.
    pub(crate) other_units: Vec<String>,
    pub(crate) scripts: Vec<Role>,
    pub(crate) binary: bool,
    /// Folders that are not empty, and files.
    pub(crate) left: Vec<String>,
    pub(crate) records: Vec<String>,
}

/// Which script was run: one that was cut off may have removed the unit, which tells where the rest is.
#[derive(Default, Deserialize)]
struct Record {
    script: String,
}

impl State {
    pub(crate) fn read(facts: &Facts, place: String) -> Result<Self> {
        let node = NodeSettings::read(facts, DEFAULT_CONFIG)?;
        let record = facts.lossy("uninstall-record");
        let record: Record = record
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let (recorded_bin, recorded_script) = record.script.rsplit_once('/').unwrap_or_default();
        let installed = node.setup.as_ref().ok().and_then(Option::as_ref);
        let bin = installed
            .and_then(|setup| setup.binary.rsplit_once('/'))
            .map_or(recorded_bin, |(folder, _)| folder);
        let there = |role: &Role| node.units[role].text.is_some();
        let units: Vec<Role> = Role::ALL.into_iter().filter(there).collect();
        let mut names: BTreeMap<Role, String> = Role::ALL
            .into_iter()
            .map(|role| (role, node.units[&role].name.clone()))
            .collect();
        if let (true, Some(stem)) = (units.is_empty(), recorded_script.strip_suffix("-uninstall.sh")) {
            names = names
                .into_keys()
                .map(|role| (role, format!("{stem}.service")))
                .collect();
        }
        let k3s = node
            .units
            .bystanders
            .iter()
            .filter(|name| name.starts_with("k3s"));
        let below = |prefix: &str| facts.below(prefix).into_iter().map(|(name, _)| name).collect();
        let scripts: Vec<String> = below("script:");
        let mut state = Self {
            place,
            bin: if bin.is_empty() { "/usr/local/bin" } else { bin }.to_owned(),
            other_units: node.units.more.iter().chain(k3s).cloned().collect(),
            units,
            names,
            scripts: Vec::new(),
            binary: facts.lossy("binary").is_some(),
            left: below("left:"),
            records: below("record:"),
        };
        let has = |role: &Role| scripts.contains(&state.script_name(*role));
        state.scripts = Role::ALL.into_iter().filter(has).collect();
        Ok(state)
    }

    pub(crate) fn unit(&self, role: Role) -> &str {
        self.names.get(&role).map_or(role.unit(), String::as_str)
    }

    fn script_name(&self, role: Role) -> String {
        format!("{}-uninstall.sh", self.unit(role).trim_end_matches(".service"))
    }

    pub(crate) fn script(&self, role: Role) -> String {
        format!("{}/{}", self.bin, self.script_name(role))
    }
}
