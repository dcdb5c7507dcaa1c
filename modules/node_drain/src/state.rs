//! What the API server says: only the fields that are used.

mod budget;

pub use budget::{Budget, Headroom};

use kubectl::null_is_empty;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::SystemTime;
use workloads::owners::Seen;
use workloads::{Node, Pinned, Pod};

/// All that a plan is made of.
#[derive(Clone, Debug)]
pub struct State {
    pub now: SystemTime,
    pub node: Node,
    /// The cluster has no such node, and need not have one.
    pub gone: bool,
    /// How many other nodes are Ready and not cordoned.
    pub other_nodes: usize,
    /// The pods on the node; empty where only the cordon is asked for.
    pub pods: Vec<Pod>,
    pub budgets: Vec<Budget>,
    /// Claims (namespace, name) whose volume exists on this node only, and that volume.
    pub pinned: Pinned,
    /// Pods (by uid) that ask for a node such as only this one is.
    pub fit_here_only: BTreeSet<String>,
    /// The workloads of the pods, or those that are waited for, as they are now.
    pub owners: Vec<Seen>,
    pub api: Api,
}

impl State {
    /// Whether the pod's successor can only start on this node.
    pub fn ties(&self, pod: &Pod) -> bool {
        self.fit_here_only.contains(&pod.metadata.uid)
            || pod.claims().any(|claim| self.pinned.contains_key(&claim))
    }
}

/// Which versions the server speaks, where they differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Api {
    /// Of the budgets: `policy/v1`, or `policy/v1beta1` before 1.21.
    pub budgets: String,
    /// Of the evictions that pods accept; 1.21 serves budgets of v1 and takes evictions of v1beta1.
    pub eviction: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Groups {
    #[serde(deserialize_with = "null_is_empty")]
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    versions: Vec<GroupVersion>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Resources {
    resources: Vec<Resource>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    name: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    version: String,
}

impl Api {
    /// From what the server says of itself: its groups, and the resources of its core.
    pub(crate) fn served(groups: &Groups, core: &Resources) -> Option<Self> {
        let policy = groups.groups.iter().find(|group| group.name == "policy")?;
        let serves = |version: &&str| {
            policy
                .versions
                .iter()
                .any(|served| served.group_version == *version)
        };
        let budgets = ["policy/v1", "policy/v1beta1"].into_iter().find(serves)?;
        let eviction = core
            .resources
            .iter()
            .find(|resource| resource.name == "pods/eviction")?;
        let eviction = format!("{}/{}", eviction.group, eviction.version);
        Some(Self {
            budgets: budgets.to_owned(),
            eviction,
        })
    }
}

#[cfg(test)]
mod tests;
