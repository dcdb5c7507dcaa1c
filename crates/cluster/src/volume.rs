//! Volumes that exist on one node only.

use crate::node::Node;
use crate::placement::{Claim, PersistentVolume};
use std::collections::BTreeMap;

/// Claims (namespace, name) whose volume exists on one node only, and that volume.
pub type Pinned = BTreeMap<(String, String), String>;

/// The claims whose volume no other node of the cluster may use: local volumes, and whatever else says so by
/// its node affinity (each storage driver has labels of its own, so the nodes are tried, not the keys).
pub fn pinned(claims: &[Claim], volumes: &[PersistentVolume], node: &Node, others: &[Node]) -> Pinned {
    let only_here = |volume: &&PersistentVolume| {
        let allows = |node: &Node| volume.allows(&node.name, &node.labels);
        volume.is_choosy() && allows(node) && !others.iter().any(allows)
    };
    let here: Vec<&str> = volumes
        .iter()
        .filter(only_here)
        .map(|volume| volume.metadata.name.as_str())
        .collect();
    let bound = |claim: &&Claim| here.contains(&claim.volume());
    claims
        .iter()
        .filter(bound)
        .map(|claim| (claim.key(), claim.volume().to_owned()))
        .collect()
}
