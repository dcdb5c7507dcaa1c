//! What the API server says, and what the judgement is made of.

use cluster::owners::Seen;
use cluster::{Claim, Lease, Node, Owner, PersistentVolume, Pod};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// All that a judgement is made of.
#[derive(Debug)]
pub struct State {
    pub now: SystemTime,
    pub nodes: Vec<Node>,
    /// By the node's name.
    pub leases: BTreeMap<String, Lease>,
    /// All pods of the cluster.
    pub pods: Vec<Pod>,
    pub claims: Vec<Claim>,
    pub volumes: Vec<PersistentVolume>,
    /// The workloads that the old node's pods belong to, or belonged to when a run of ours cordoned it, with their present replicas.
    pub workloads: Vec<Seen>,
    /// The pods of these workloads, wherever they are: by uid, which one's.
    pub theirs: BTreeMap<String, usize>,
}

impl State {
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    pub fn pods_on<'s>(&'s self, node: &'s str) -> impl Iterator<Item = &'s Pod> {
        self.pods.iter().filter(move |pod| pod.node_name() == node)
    }

    /// How long a node has not been heard of.
    pub fn silent(&self, node: &str) -> Option<Duration> {
        self.leases.get(node)?.silence(self.now)
    }

    /// The pods of a workload, wherever they are.
    pub fn pods_of(&self, workload: usize) -> impl Iterator<Item = &Pod> {
        let is_its = move |pod: &&Pod| self.theirs.get(&pod.metadata.uid) == Some(&workload);
        self.pods.iter().filter(is_its)
    }

    /// The workloads before the move.
    pub fn owners(&self) -> Vec<Owner> {
        self.workloads.iter().map(|seen| seen.owner.clone()).collect()
    }
}

/// Whether a pod has to go before its node may: what a drain moves or waits for. A static pod, and one of a `DaemonSet`, is
/// its node's own; one that has finished holds nothing up.
pub fn has_to_go(pod: &Pod) -> bool {
    !pod.is_mirror() && !pod.is_finished() && !pod.is_controlled_by("DaemonSet")
}

/// Whether another one is started for it elsewhere.
pub fn moves(pod: &Pod) -> bool {
    has_to_go(pod) && pod.metadata.controller().is_some() && pod.metadata.deletion_timestamp.is_none()
}
