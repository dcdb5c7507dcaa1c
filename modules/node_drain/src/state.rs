//! What the API server says: only the fields that are used.

pub use cluster::{Budget, Headroom};

use cluster::owners::Seen;
use cluster::{Node, Pinned, Pod};
use std::collections::BTreeSet;
use std::time::SystemTime;

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
    /// The workloads of the pods, or those that are waited for, with their present replicas.
    pub owners: Vec<Seen>,
}

impl State {
    /// Whether the pod's successor can only start on this node.
    pub fn ties(&self, pod: &Pod) -> bool {
        self.fit_here_only.contains(&pod.metadata.uid)
            || pod.claims().any(|claim| self.pinned.contains_key(&claim))
    }
}

#[cfg(test)]
mod tests;
