//! What of k3s is on the node.

use k3s_node::{Facts, Role};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) place: String,
    pub(crate) bin: String,
    pub(crate) units: Vec<Role>,
    /// Units of k3s under other names.
    pub(crate) other_units: Vec<String>,
    pub(crate) scripts: Vec<Role>,
    pub(crate) binary: bool,
    /// Folders that are not empty, and files.
    pub(crate) left: Vec<String>,
    pub(crate) records: Vec<String>,
}

impl State {
    pub(crate) fn read(facts: &Facts, place: String) -> Self {
        let roles = |prefix: &str| {
            let found: Vec<String> = facts.below(prefix).into_iter().map(|(name, _)| name).collect();
            let is_there = |role: &Role| {
                found
                    .iter()
                    .any(|name| name == role.unit().trim_end_matches(".service"))
            };
            Role::ALL.into_iter().filter(is_there).collect()
        };
        let names = |prefix: &str| facts.below(prefix).into_iter().map(|(name, _)| name).collect();
        Self {
            place,
            bin: facts.lossy("bin").unwrap_or_default(),
            units: roles("unit:"),
            other_units: names("other:"),
            scripts: roles("script:"),
            binary: facts.lossy("binary").is_some(),
            left: names("left:"),
            records: names("record:"),
        }
    }

    pub(crate) fn script(&self, role: Role) -> String {
        format!(
            "{}/{}-uninstall.sh",
            self.bin,
            role.unit().trim_end_matches(".service")
        )
    }
}
