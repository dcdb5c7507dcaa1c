//! What of k3s is on the node.

use anyhow::Result;
use k3s_node::probe::Is;
use k3s_node::settings::DEFAULT_CONFIG;
use k3s_node::{FOLDER, Facts, NodeSettings, Probe, Role, unit};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) location: String,
    pub(crate) bin: String,
    pub(crate) units: Vec<Role>,
    /// The names of the units, where they are not the script's usual ones for the roles.
    pub(crate) names: BTreeMap<Role, String>,
    /// Units that start another k3s, or that the uninstall script takes for one.
    pub(crate) other_units: Vec<String>,
    pub(crate) scripts: Vec<Role>,
    pub(crate) binary: bool,
    /// Folders that are not empty, and files.
    pub(crate) left: Vec<String>,
    pub(crate) records: Vec<String>,
}

/// Which script was run: an interrupted one may have removed the unit, which says where the rest is.
#[derive(Default, Deserialize)]
struct Record {
    script: String,
}

/// What the script may leave, apart from what is below `/run`.
const FOLDERS: [&str; 5] = [
    "/etc/rancher/k3s",
    "/etc/rancher/node",
    "/var/lib/rancher/k3s",
    "/var/lib/kubelet",
    FOLDER,
];
const RUN: &str = "/run/k3s";

/// What of k3s is there; `bin` is the folder of its programs.
pub(crate) fn questions(bin: &str) -> Probe {
    let probe = Probe::new()
        .units(DEFAULT_CONFIG)
        .file("uninstall-record", &format!("{FOLDER}/uninstall-record.json"))
        .names("script", Is::File, bin, "k3s*-uninstall.sh")
        .is("binary", Is::There, &format!("{bin}/k3s"))
        .kernels("mounts", "/proc/self/mounts")
        .is("conf-kmsg", Is::There, &unit::path("conf-kmsg.service"))
        .names("record", Is::File, FOLDER, "*-record.json");
    FOLDERS.iter().fold(probe, |probe, folder| {
        let name = format!("in:{folder}");
        probe
            .names(&name, Is::There, folder, "*")
            .names(&name, Is::There, folder, ".[!.]*")
    })
}

/// Files by their names alone.
fn file_names(facts: &Facts, prefix: &str) -> Vec<String> {
    let paths = facts.below(prefix).into_iter();
    let name = |path: String| path.rsplit('/').next().map(str::to_owned);
    paths.filter_map(|(path, _)| name(path)).collect()
}

fn left(facts: &Facts) -> Vec<String> {
    let filled = |folder: &&str| !facts.below(&format!("in:{folder}:")).is_empty();
    let mut left: Vec<String> = FOLDERS.into_iter().filter(filled).map(str::to_owned).collect();
    // The script asks once to unmount what pods had; what was busy in that moment stays.
    let mounts = facts.lossy("mounts").unwrap_or_default();
    let below_run = |line: &str| {
        let location = line.split(' ').nth(1);
        location.is_some_and(|location| location.starts_with(&format!("{RUN}/")))
    };
    left.extend(mounts.lines().any(below_run).then(|| RUN.to_owned()));
    left.extend(facts.has("conf-kmsg").then(|| unit::path("conf-kmsg.service")));
    left.sort();
    left
}

impl State {
    pub(crate) fn read(facts: &Facts, location: String) -> Result<Self> {
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
        let scripts = file_names(facts, "script:");
        let mut state = Self {
            location,
            bin: if bin.is_empty() { "/usr/local/bin" } else { bin }.to_owned(),
            other_units: node.units.more.iter().chain(k3s).cloned().collect(),
            units,
            names,
            scripts: Vec::new(),
            binary: facts.lossy("binary").is_some(),
            left: left(facts),
            records: file_names(facts, "record:"),
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
