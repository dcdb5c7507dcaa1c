//! What the playbook needs, and what Ansible was given.

use ansible_module::defaults::yes;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) const PROXMOX: &str = "pve";
pub(crate) const CLUSTER: &str = "k3s_cluster";
pub(crate) const CONTROLLERS: &str = "k3s_controllers";
pub(crate) const WORKERS: &str = "k3s_workers";

/// The variables of `worker_pairs`: a list, or the two of one pair; and the profile of their new operating system.
pub(crate) const PAIR_VARIABLES: [&str; 3] = [
    "k3s_upgrade_canary_pairs",
    "k3s_upgrade_canary_old_worker_host",
    "k3s_upgrade_canary_new_worker_host",
];
pub(crate) const PROFILE: &str = "k3s_prereqs_profile";

/// The options; see `run_check.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    pub run: String,
    #[serde(default = "yes")]
    pub needs_controllers: bool,
    #[serde(default)]
    pub needs_workers: bool,
    #[serde(default)]
    pub limit: Limit,
    pub limit_reason: Option<String>,
    /// Names of variables, whose values are in `values`.
    pub nodes_of: Option<String>,
    pub gone_of: Option<String>,
    #[serde(default)]
    pub worker_pairs: bool,
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
    #[serde(default)]
    pub inventory: Inventory,
    #[serde(default)]
    pub variables: Vec<Variable>,
    #[serde(default)]
    pub known: BTreeMap<String, Known>,
    #[serde(default)]
    pub own: Vec<String>,
}

/// What `--limit` means to the playbook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    #[default]
    Refused,
    Nodes,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inventory {
    pub sources: Vec<String>,
    /// The files that could not be read to their end.
    pub unread: Vec<String>,
    pub form: Form,
    pub groups: BTreeMap<String, Vec<String>>,
    pub nodes: Vec<Node>,
    /// The text of `--limit`, and the hosts that it leaves.
    pub limit: Option<String>,
    pub limited_to: Vec<String>,
}

/// How the inventory is written, so that advice can be copied into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Ini,
    #[default]
    Yaml,
    Script,
}

/// A host of one of the nodes' groups. A variable that cannot be worked out has its reason in `unreadable`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    pub host: String,
    pub pct_id: Value,
    /// What it is called in the cluster.
    #[serde(rename = "node_name")]
    pub name: Value,
    pub pve_host: Value,
    pub unreadable: BTreeMap<String, String>,
}

/// A variable with the collection's prefix that somebody has set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    pub name: String,
    /// Given with `-e`; else by the inventory.
    #[serde(default)]
    pub extra: bool,
    /// The hosts that have it from the inventory.
    #[serde(default)]
    pub hosts: Vec<String>,
    #[serde(default)]
    pub value: Value,
}

/// What a variable may be, as the role's argument specification says it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Known {
    pub r#type: String,
    pub elements: String,
    pub choices: Vec<Value>,
    pub no_log: bool,
    /// An empty text says "not given" where there is no default.
    pub default: Value,
}

impl Inventory {
    pub(crate) fn group(&self, name: &str) -> &[String] {
        self.groups.get(name).map_or(&[], Vec::as_slice)
    }

    /// All names of the cluster's nodes: those of the inventory, and those in the cluster.
    pub(crate) fn names(&self) -> Vec<String> {
        let in_cluster = self.nodes.iter().filter_map(|node| node.name.as_str());
        self.group(CLUSTER)
            .iter()
            .cloned()
            .chain(in_cluster.map(str::to_owned))
            .collect()
    }

    /// For messages: `hosts.ini, more.yaml`.
    pub(crate) fn named(&self) -> String {
        if self.sources.is_empty() {
            "the inventory".to_owned()
        } else {
            format!("the inventory ({})", self.sources.join(", "))
        }
    }
}
