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

/// The labels of servers: of one that serves the API, and of one that runs etcd alone.
const SERVERS: [&str; 2] = ["control-plane", "etcd"];

impl Node {
    pub fn is_server(&self) -> bool {
        let has = |role: &str| {
            self.labels
                .contains_key(&format!("node-role.kubernetes.io/{role}"))
        };
        SERVERS.into_iter().any(has)
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use kubectl::List;
    use serde_json::json;
    use testbed::recorded;

    #[test]
    fn a_server_is_known_by_its_roles() {
        let table: [(&[&str], bool); 5] = [
            (&["control-plane"], true),
            (&["control-plane", "etcd"], true),
            (&["etcd"], true),
            (&["worker", "egress"], false),
            (&[], false),
        ];
        for (roles, server) in table {
            let label = |role: &&str| (format!("node-role.kubernetes.io/{role}"), "true".to_owned());
            let labels: Labels = roles.iter().map(label).collect();
            let node: Node =
                serde_json::from_value(json!({"metadata": {"name": "n", "labels": labels}})).unwrap();
            assert_eq!(node.is_server(), server, "{roles:?}");
        }
    }

    #[test]
    fn nodes_of_real_servers() {
        let read = |text: &str| serde_json::from_str::<List<Node>>(text).unwrap().items;
        let told = |node: &Node| {
            let roles = if node.is_server() { "server" } else { "agent" };
            let room = crate::told("memory", node.allocatable.of("memory"));
            format!(
                "{} {roles} {} {} {room}, {} pods",
                node.name,
                node.kubelet_version,
                node.architecture,
                node.allocatable.of("pods") / 1000
            )
        };
        let nodes = read(&recorded("k3s-v1.36.3-nodes.json"));
        let seen: Vec<String> = nodes.iter().map(told).collect();
        assert_eq!(
            seen,
            [
                "k3s-controller-1 server v1.36.3+k3s1 amd64 24105 MiB, 110 pods",
                "k3s-controller-2 server v1.36.3+k3s1 amd64 24105 MiB, 110 pods",
                "k3s-controller-3 server v1.36.3+k3s1 amd64 24105 MiB, 110 pods",
                "k3s-worker-1 agent v1.36.3+k3s1 amd64 24105 MiB, 50 pods",
            ]
        );
        let cordoned: Vec<bool> = nodes.iter().map(|node| node.unschedulable).collect();
        assert_eq!(cordoned, [false, false, false, true]);
        let new = read(&recorded("by-hand-k3s-v1.36-nodes.json"));
        let seen: Vec<String> = new.iter().map(told).collect();
        assert_eq!(
            seen,
            [
                "n1 server v1.36.3+k3s1 amd64 3912 MiB, 110 pods",
                "n2 server v1.36.3+k3s1 amd64 3912 MiB, 110 pods",
                "n3 server v1.36.3-rc1+k3s1 arm64 7812 MiB, 110 pods",
                "n4 agent v1.36.3+k3s1 amd64 7812 MiB, 110 pods",
            ]
        );
        let troubles: Vec<Option<&str>> = new.iter().map(|node| node.trouble.as_deref()).collect();
        assert_eq!(
            troubles,
            [None, None, None, Some("Ready is Unknown (NodeStatusUnknown)")]
        );
        assert_eq!(
            new[0].taints[0].to_string(),
            "node-role.kubernetes.io/control-plane=true:NoSchedule"
        );
        assert!(new[3].unschedulable && new[3].taints.iter().all(Taint::keeps_off));
    }
}
