//! Pods: what decides whether they may go, and where to.

use super::node::Node;
use kubectl::{Condition, Meta, Placement, null_is_empty};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Meta,
    spec: Placement,
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodStatus {
    phase: String,
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
}

impl Pod {
    pub fn id(&self) -> PodId {
        let Meta {
            namespace, name, uid, ..
        } = &self.metadata;
        PodId {
            namespace: namespace.clone(),
            name: name.clone(),
            uid: uid.clone(),
        }
    }

    pub fn is_mirror(&self) -> bool {
        self.metadata
            .annotations
            .contains_key("kubernetes.io/config.mirror")
    }

    pub fn is_finished(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    pub fn is_ready(&self) -> bool {
        self.status
            .conditions
            .iter()
            .any(|condition| condition.r#type == "Ready" && condition.status == "True")
    }

    pub fn has_empty_dir(&self) -> bool {
        self.spec.has_empty_dir()
    }

    /// Whether it asks for certain nodes, and none of `others` is one.
    pub fn fits_none_of(&self, others: &[Node]) -> bool {
        let placement = &self.spec;
        let fits = |node: &Node| placement.fits(&node.name, &node.labels);
        placement.is_choosy() && !others.iter().any(fits)
    }

    /// The claims that the pod uses, with its namespace.
    pub fn claims(&self) -> impl Iterator<Item = (String, String)> {
        let namespace = &self.metadata.namespace;
        self.spec
            .claims()
            .map(|claim| (namespace.clone(), claim.to_owned()))
    }
}

/// One pod, not the next one of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PodId {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl std::fmt::Display for PodId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
