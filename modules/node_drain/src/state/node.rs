//! Nodes.

use crate::cordon::Record;
use anyhow::{Result, bail};
use kubectl::{Condition, Labels, Meta, Owner, null_is_empty};
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
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
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
    pub record: Option<Record>,
    /// Why it is not Ready.
    pub trouble: Option<String>,
}

impl From<NodeObject> for Node {
    fn from(object: NodeObject) -> Self {
        let record = object
            .metadata
            .annotations
            .get(Record::ANNOTATION)
            .map(|text| Record::parse(text));
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
        }
    }
}

impl Node {
    /// The workloads that the record of our cordon names.
    pub fn former_owners(&self) -> &[Owner] {
        self.record
            .as_ref()
            .filter(|_| self.unschedulable)
            .map_or(&[], |record| &record.owners)
    }
}

/// The wanted one among the cluster's nodes, and the others.
pub(crate) fn split(nodes: Vec<Node>, wanted: &str) -> Result<(Node, Vec<Node>)> {
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
