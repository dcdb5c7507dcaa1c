//! The present state of the node: the unit of each role, and what its pods have left running.

use crate::params::Unit;
use k3s_node::changes::parent;
use k3s_node::facts::Facts;
use k3s_node::probe::Is;
use k3s_node::{NodeSettings, Probe, Role, Show};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub has_systemd: bool,
    /// The unit of each role that there is one of, by whatever name.
    pub services: BTreeMap<Unit, Service>,
    /// Units that start a further k3s, and run or start with the machine.
    pub others: Vec<String>,
    pub data_dir: String,
    /// Where the script that ends pods is, or would be.
    pub script: String,
    pub script_is_there: bool,
    /// The processes that hold pods.
    pub shims: Vec<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// `k3s-agent.service`.
    pub name: String,
    pub show: Show,
}

/// The name of a unit without `.service`.
pub(crate) fn short(name: &str) -> &str {
    name.strip_suffix(".service").unwrap_or(name)
}

impl Service {
    pub fn short(&self) -> &str {
        short(&self.name)
    }

    pub fn runs(&self) -> bool {
        !self.show.is_at_rest()
    }
}

impl State {
    pub(crate) fn read(node: &NodeSettings, facts: &Facts, data_dir: &str) -> Self {
        Self {
            has_systemd: node.systemd,
            services: Unit::ALL
                .into_iter()
                .filter_map(|unit| Some((unit, service(node, unit)?)))
                .collect(),
            others: node
                .units
                .more_in_service()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            data_dir: data_dir.to_owned(),
            script: script(&node.binary),
            script_is_there: facts.has("script"),
            shims: shims(facts, data_dir),
        }
    }

    /// One that exists.
    pub fn service(&self, unit: Unit) -> Option<&Service> {
        self.services.get(&unit)
    }
}

fn service(node: &NodeSettings, unit: Unit) -> Option<Service> {
    let files = &node.units[&Role::from(unit)];
    let is_there = !matches!(files.show.load.as_str(), "" | "not-found");
    is_there.then(|| Service {
        name: files.name.clone(),
        show: files.show.clone(),
    })
}

fn script(binary: &str) -> String {
    format!("{}/k3s-killall.sh", parent(binary))
}

/// Whether the script that ends pods can be run, and the command of each process that may hold one.
pub(crate) fn questions(binary: &str) -> Probe {
    Probe::new()
        .is("script", Is::Executable, &script(binary))
        .containing("shim", "containerd-shim", "/proc", "[0-9]*/cmdline")
}

/// Every pod has a shim, which is not a child of k3s and outlives it. The script finds those of its data folder; one that a k3s
/// with another data folder has left is to be seen all the same, by its socket.
pub(crate) fn shims(facts: &Facts, data_dir: &str) -> Vec<u32> {
    let own = format!("{data_dir}/data/");
    let is_one = |line: &str| {
        let is_own = line.strip_prefix(&own).and_then(|rest| rest.split_once('/'));
        is_own.is_some_and(|(_, rest)| rest.contains("containerd-shim"))
            || line.contains("/containerd-shim") && line.contains(" -address /run/k3s/")
    };
    let mut shims: Vec<u32> = facts
        .below("shim:")
        .into_iter()
        .filter(|(_, line)| is_one(line))
        .filter_map(|(path, _)| path.split('/').nth(2)?.parse().ok())
        .collect();
    shims.sort_unstable();
    shims
}
