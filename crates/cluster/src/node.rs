//! Nodes.

use crate::amounts::Amounts;
use crate::cordon::{CordonRecord, Owner, Purpose};
use crate::object::{Condition, Labels, Meta, Time, null_is_empty};
use crate::placement::Taint;
use anyhow::{Result, bail};
use serde::Deserialize;

#[derive(Deserialize)]
struct NodeObject {
    #[serde(default)]
    metadata: Meta,
    #[serde(default)]
    spec: NodeSpec,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodeSpec {
    unschedulable: bool,
    #[serde(deserialize_with = "null_is_empty")]
    taints: Vec<Taint>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeStatus {
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
    #[serde(deserialize_with = "null_is_empty")]
    addresses: Vec<Address>,
    allocatable: Amounts,
    node_info: NodeInfo,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeInfo {
    kubelet_version: String,
    architecture: String,
    #[serde(rename = "machineID")]
    machine_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Address {
    pub r#type: String,
    pub address: String,
}

/// A node, its cordon and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "NodeObject")]
pub struct Node {
    pub name: String,
    pub uid: String,
    pub resource_version: String,
    pub labels: Labels,
    pub annotations: Labels,
    pub unschedulable: bool,
    /// What we wrote when we cordoned it.
    pub record: Option<CordonRecord>,
    pub conditions: Vec<Condition>,
    /// When it registered.
    pub created: Option<Time>,
    pub taints: Vec<Taint>,
    pub allocatable: Amounts,
    pub kubelet_version: String,
    pub architecture: String,
    /// The machine that last spoke for it; empty where it does not say.
    pub machine_id: String,
    pub addresses: Vec<Address>,
}

impl From<NodeObject> for Node {
    fn from(object: NodeObject) -> Self {
        let NodeObject {
            metadata,
            spec,
            status,
        } = object;
        let record = metadata.annotations.get(CordonRecord::ANNOTATION);
        Self {
            record: record.map(|text| CordonRecord::parse(text)),
            name: metadata.name,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            labels: metadata.labels,
            annotations: metadata.annotations,
            created: metadata.creation_timestamp,
            unschedulable: spec.unschedulable,
            taints: spec.taints,
            conditions: status.conditions,
            addresses: status.addresses,
            allocatable: status.allocatable,
            kubelet_version: status.node_info.kubelet_version,
            architecture: status.node_info.architecture,
            machine_id: status.node_info.machine_id,
        }
    }
}

const CONTROL_PLANE: &str = "control-plane";
const ETCD: &str = "etcd";
/// k3s writes there what the node's member of etcd is called.
const MEMBER: &str = "etcd.k3s.cattle.io/node-name";

impl Node {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        Condition::find(&self.conditions, kind)
    }

    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(Condition::is_true)
    }

    /// Why it is not Ready.
    pub fn trouble(&self) -> Option<String> {
        match self.condition("Ready") {
            Some(ready) if ready.is_true() => None,
            Some(ready) => Some(format!("Ready is {} ({})", ready.status, ready.reason)),
            None => Some("it has no Ready condition".to_owned()),
        }
    }

    /// Whether new pods may come to it, apart from what its taints say.
    pub fn takes_pods(&self) -> bool {
        !self.unschedulable && self.is_ready()
    }

    fn has_role(&self, role: &str) -> bool {
        self.labels
            .contains_key(&format!("node-role.kubernetes.io/{role}"))
    }

    /// Whether it serves the API.
    pub fn is_controller(&self) -> bool {
        self.has_role(CONTROL_PLANE)
    }

    pub fn has_etcd(&self) -> bool {
        self.has_role(ETCD)
    }

    /// Whether k3s runs there as a server: one that serves the API, or one that runs etcd alone.
    pub fn is_server(&self) -> bool {
        self.is_controller() || self.has_etcd()
    }

    /// The name of its member of etcd.
    pub fn etcd_member(&self) -> Option<&str> {
        self.annotations.get(MEMBER).map(String::as_str)
    }

    pub fn internal_ips(&self) -> impl Iterator<Item = &str> {
        let internal = self
            .addresses
            .iter()
            .filter(|address| address.r#type == "InternalIP");
        internal.map(|address| address.address.as_str())
    }

    /// Whether a run of ours holds it cordoned.
    pub fn is_cordoned_by_us(&self) -> bool {
        self.unschedulable && self.record.is_some()
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
    use crate::List;
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
        let described = |node: &Node| {
            let roles = if node.is_server() { "server" } else { "agent" };
            let room = crate::format_amount("memory", node.allocatable.of("memory"));
            format!(
                "{} {roles} {} {} {room}, {} pods",
                node.name,
                node.kubelet_version,
                node.architecture,
                node.allocatable.of("pods") / 1000
            )
        };
        let nodes = read(&recorded("k3s-v1.36.3-nodes.json"));
        let seen: Vec<String> = nodes.iter().map(described).collect();
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
        let seen: Vec<String> = new.iter().map(described).collect();
        assert_eq!(
            seen,
            [
                "n1 server v1.36.3+k3s1 amd64 3912 MiB, 110 pods",
                "n2 server v1.36.3+k3s1 amd64 3912 MiB, 110 pods",
                "n3 server v1.36.3-rc1+k3s1 arm64 7812 MiB, 110 pods",
                "n4 agent v1.36.3+k3s1 amd64 7812 MiB, 110 pods",
            ]
        );
        let troubles: Vec<Option<String>> = new.iter().map(Node::trouble).collect();
        assert_eq!(
            troubles,
            [
                None,
                None,
                None,
                Some("Ready is Unknown (NodeStatusUnknown)".to_owned())
            ]
        );
        assert_eq!(
            new[0].taints[0].to_string(),
            "node-role.kubernetes.io/control-plane=true:NoSchedule"
        );
        let internal: Vec<&str> = new[0].internal_ips().collect();
        assert_eq!(
            (internal, new[0].etcd_member()),
            (vec!["10.0.0.1", "fd00::1"], Some("n1-00000001"))
        );
        assert!(new[0].takes_pods() && !new[3].takes_pods());
        assert!(new[3].unschedulable && new[3].taints.iter().all(Taint::keeps_off));
    }
}
