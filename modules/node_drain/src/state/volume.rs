//! Volumes that exist on one node only.

use super::Pinned;
use super::node::{Node, NodeTerms};
use kubectl::Meta;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Claim {
    metadata: Meta,
    #[serde(default)]
    spec: ClaimSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClaimSpec {
    volume_name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PersistentVolume {
    metadata: Meta,
    #[serde(default)]
    spec: PersistentVolumeSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PersistentVolumeSpec {
    node_affinity: Option<NodeAffinity>,
}

#[derive(Debug, Deserialize)]
struct NodeAffinity {
    required: Option<NodeTerms>,
}

impl PersistentVolume {
    fn allows(&self, node: &Node) -> bool {
        let terms = self
            .spec
            .node_affinity
            .as_ref()
            .and_then(|affinity| affinity.required.as_ref());
        terms.is_none_or(|terms| terms.allow(node))
    }
}

/// The claims whose volume no other node of the cluster may use: local volumes, and whatever else says so by
/// its node affinity (each storage driver has labels of its own, so the nodes are tried, not the keys).
pub(crate) fn pinned(claims: &[Claim], volumes: &[PersistentVolume], node: &Node, others: &[Node]) -> Pinned {
    let only_here = |volume: &&PersistentVolume| {
        volume.spec.node_affinity.is_some()
            && volume.allows(node)
            && !others.iter().any(|other| volume.allows(other))
    };
    let here: Vec<&str> = volumes
        .iter()
        .filter(only_here)
        .map(|volume| volume.metadata.name.as_str())
        .collect();
    let bound = |claim: &&Claim| here.contains(&claim.spec.volume_name.as_str());
    let key = |claim: &Claim| (claim.metadata.namespace.clone(), claim.metadata.name.clone());
    claims
        .iter()
        .filter(bound)
        .map(|claim| (key(claim), claim.spec.volume_name.clone()))
        .collect()
}
