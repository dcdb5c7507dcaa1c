//! Nodes.

use crate::Amounts;
use anyhow::{Result, bail};
use kubectl::{Condition, CordonRecord, Labels, Meta, Owner, Purpose, Taint, Time, null_is_empty};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
struct NodeObject {
    metadata: Meta,
    #[serde(default)]
    spec: NodeSpec,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeSpec {
    unschedulable: bool,
    #[serde(deserialize_with = "null_is_empty")]
    taints: Vec<Taint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeStatus {
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
    allocatable: Amounts,
    node_info: NodeInfo,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeInfo {
    kubelet_version: String,
    architecture: String,
}

/// A node, its cordon and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "NodeObject")]
pub struct Node {
    pub name: String,
    pub resource_version: String,
    pub labels: Labels,
    pub unschedulable: bool,
    /// What we wrote when we cordoned it.
    pub record: Option<CordonRecord>,
    /// Why it is not Ready.
    pub trouble: Option<String>,
    /// When it registered.
    pub created: Option<Time>,
    pub taints: Vec<Taint>,
    pub allocatable: Amounts,
    pub kubelet_version: String,
    pub architecture: String,
}

impl From<NodeObject> for Node {
    fn from(object: NodeObject) -> Self {
        let record = object
            .metadata
            .annotations
            .get(CordonRecord::ANNOTATION)
            .map(|text| CordonRecord::parse(text));
        let ready = object
            .status
            .conditions
            .iter()
            .find(|condition| condition.r#type == "Ready");
        let trouble = match ready {
            Some(condition) if condition.status == "True" => None,
            Some(condition) => Some(format!("Ready is {} ({})", condition.status, condition.reason)),
            None => Some("it has no Ready condition".to_owned()),
        };
        Self {
            name: object.metadata.name,
            resource_version: object.metadata.resource_version,
            labels: object.metadata.labels,
            unschedulable: object.spec.unschedulable,
            record,
            trouble,
            created: object.metadata.creation_timestamp,
            taints: object.spec.taints,
            allocatable: object.status.allocatable,
            kubelet_version: object.status.node_info.kubelet_version,
            architecture: object.status.node_info.architecture,
        }
    }
}

impl Node {
    pub fn is_server(&self) -> bool {
        self.labels.contains_key("node-role.kubernetes.io/control-plane")
    }

    /// What our cordon is for, where it is ours.
    pub fn cordoned_for(&self) -> Option<Purpose> {
        let record = self.record.as_ref().filter(|_| self.unschedulable)?;
        Some(record.purpose)
    }

    /// The workloads that the record of our cordon names.
    pub fn former_owners(&self) -> &[Owner] {
        self.record
            .as_ref()
            .filter(|_| self.unschedulable)
            .map_or(&[], |record| &record.owners)
    }
}

/// The wanted one among the cluster's nodes, and the others.
pub fn split(nodes: Vec<Node>, wanted: &str) -> Result<(Node, Vec<Node>)> {
    let (mut here, others): (Vec<Node>, Vec<Node>) = nodes.into_iter().partition(|node| node.name == wanted);
    if let Some(node) = here.pop() {
        return Ok((node, others));
    }
    let names: Vec<&str> = others.iter().map(|node| node.name.as_str()).take(20).collect();
    bail!(
        "looking for the node {wanted}: the cluster has none of that name; it has {}",
        names.join(", ")
    )
}
