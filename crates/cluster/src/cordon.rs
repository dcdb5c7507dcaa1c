//! The record that a cordon of ours carries: written by `node_drain`, read by whoever wants to know whose it is.

use serde::{Deserialize, Serialize};

/// A workload before its pods were moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    pub namespace: String,
    pub kind: String,
    pub name: String,
    /// Its ready replicas then: what is waited for.
    pub ready: u32,
    /// How many of them can only come back on this node, after the uncordon.
    #[serde(default)]
    pub pinned: u32,
    /// Its pods have something to do and end, so that nothing may start them again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub task: bool,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// What a cordon of ours is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The node has its turn, and is given back.
    #[default]
    Turn,
    /// New pods are kept off while another node is drained.
    Steer,
    /// The node is done with. It is an operator's to undo, as one of an operator's own is.
    Retire,
}

impl Purpose {
    // What is left out is a turn: records were written so before there were others.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_turn(&self) -> bool {
        *self == Self::Turn
    }
}

/// What the annotation says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CordonRecord {
    /// The run that cordoned the node, or took the cordon over.
    pub run: String,
    /// What wrote it, and where: for a reader of `kubectl describe node`.
    pub by: String,
    pub since: String,
    /// The state before, which the uncordon brings back.
    pub before: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Purpose::is_turn")]
    pub purpose: Purpose,
    /// The workloads of the pods that were to go, so that a later run can wait for them too.
    pub owners: Vec<Owner>,
}

impl CordonRecord {
    pub const ANNOTATION: &'static str = "homelab.k3s/cordon";

    /// A record that cannot be read is still ours: nobody else writes this annotation.
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_read_is_still_ours() {
        assert_eq!(CordonRecord::parse("not json"), CordonRecord::default());
    }
}
