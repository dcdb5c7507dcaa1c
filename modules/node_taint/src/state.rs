//! The cluster's nodes and pods, as far as they show what runs where and what could.

use crate::params::Params;
use anyhow::{Result, bail};
use cluster::{Claim, Kubectl, Node, PersistentVolume, Pod, pages};
use host::Host;
use std::collections::BTreeMap;

pub struct State {
    pub(crate) nodes: Vec<Node>,
    pub(crate) pods: Vec<Pod>,
    /// By namespace and name of its claim; only those that not every node reaches.
    pub(crate) volumes: BTreeMap<(String, String), PersistentVolume>,
}

/// A pod's workload, as a person names it; a pod that nothing makes again is its own.
pub(crate) fn owner(pod: &Pod) -> String {
    let meta = &pod.metadata;
    let (kind, name) = meta.workload().unwrap_or(("Pod", &meta.name));
    format!("{kind} {}/{name}", meta.namespace)
}

/// Whether a pod runs or is to run, and the scheduler has a say in it. A mirror pod is a file on its node.
pub(crate) fn counts(pod: &Pod) -> bool {
    !pod.is_finished() && !pod.is_mirror() && pod.metadata.deletion_timestamp.is_none()
}

pub(crate) fn is_of_daemon_set(pod: &Pod) -> bool {
    pod.is_controlled_by("DaemonSet")
}

impl State {
    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

pub(crate) fn look(params: &Params, host: &dyn Host) -> Result<State> {
    let kubectl = params.kubectl(host);
    kubectl.patiently("checking the cluster", || read(params, &kubectl))
}

fn read(params: &Params, kubectl: &Kubectl) -> Result<State> {
    let paths = ["nodes", "pods", "persistentvolumeclaims", "persistentvolumes"];
    let paths = paths.map(|kind| pages(&format!("/api/v1/{kind}")));
    let mut documents = kubectl.read(&paths)?;
    let nodes: Vec<Node> = documents.list()?;
    let pods: Vec<Pod> = documents.list()?;
    let (claims, volumes): (Vec<Claim>, Vec<PersistentVolume>) = (documents.list()?, documents.list()?);
    all_there(params, &nodes)?;
    let mut choosy: BTreeMap<String, PersistentVolume> = volumes
        .into_iter()
        .filter(PersistentVolume::is_choosy)
        .map(|volume| (volume.metadata.name.clone(), volume))
        .collect();
    let bound = claims
        .iter()
        .filter_map(|claim| Some((claim.key(), choosy.remove(claim.volume())?)));
    Ok(State {
        volumes: bound.collect(),
        nodes,
        pods,
    })
}

fn all_there(params: &Params, nodes: &[Node]) -> Result<()> {
    let missing = |name: &&String| !nodes.iter().any(|node| node.name == **name);
    let missing: Vec<&str> = params.nodes.iter().filter(missing).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).take(20).collect();
    bail!(
        "looking for the nodes: the cluster has no {}; it has {}",
        missing.join(", "),
        names.join(", ")
    )
}

/// The present state of one node.
pub(crate) fn node(kubectl: &Kubectl, name: &str) -> Result<Node> {
    let path = format!("/api/v1/nodes/{name}");
    kubectl.read(&[path])?.one()
}

#[cfg(test)]
mod tests {
    use super::{counts, owner};
    use crate::samples::{node, pod};
    use cluster::{Node, Pod};
    use serde_json::json;

    #[test]
    fn a_node_takes_pods_where_it_is_ready_and_not_cordoned() {
        let unknown = json!([{"type": "Ready", "status": "Unknown"}]);
        let table = [
            (json!({}), true),
            (json!({"spec": {"unschedulable": true}}), false),
            (json!({"status": {"conditions": unknown}}), false),
            (json!({"status": {"conditions": null}}), false),
        ];
        for (more, takes) in table {
            assert_eq!(node("n1", more.clone()).takes_pods(), takes, "{more}");
        }
    }

    #[test]
    fn nodes_and_pods_of_a_newer_server() {
        let nodes: cluster::List<Node> =
            serde_json::from_str(&testbed::recorded("by-hand-k3s-v1.36-nodes.json")).unwrap();
        let described: Vec<String> = nodes
            .items
            .iter()
            .map(|node| {
                let taints: Vec<String> = node.taints.iter().map(ToString::to_string).collect();
                format!(
                    "{}: {} {}",
                    node.name,
                    if node.takes_pods() { "-" } else { "closed" },
                    taints.join(" ")
                )
            })
            .collect();
        assert_eq!(
            described,
            [
                "n1: - node-role.kubernetes.io/control-plane=true:NoSchedule",
                "n2: - ",
                "n3: - ",
                "n4: closed node.kubernetes.io/unreachable:NoSchedule node.kubernetes.io/unreachable:NoExecute \
                 node.kubernetes.io/unschedulable:NoSchedule",
            ]
        );
        // What is not ours goes back with all that it came with.
        assert_eq!(nodes.items[3].taints[0].more["timeAdded"], "2026-09-01T11:40:45Z");
        let pods: cluster::List<Pod> =
            serde_json::from_str(&testbed::recorded("by-hand-k3s-v1.36-pods.json")).unwrap();
        let owners: Vec<String> = pods.items.iter().filter(|pod| counts(pod)).map(owner).collect();
        assert_eq!(
            owners,
            [
                "Deployment demo/meshed",
                "Deployment demo/pulling",
                "Deployment demo/mounting",
                "Deployment demo/waiting",
                "Deployment demo/debugged",
                "Pod demo/gated",
                "Deployment demo/working",
            ]
        );
    }

    #[test]
    fn needs_no_node_for_a_pod_that_ended_or_terminates() {
        let table = [
            (json!({}), true),
            (json!({"status": {"phase": "Pending"}}), true),
            (json!({"status": {"phase": "Succeeded"}}), false),
            (json!({"status": {"phase": "Failed"}}), false),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
                false,
            ),
            (
                json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}}),
                false,
            ),
        ];
        for (more, expected) in table {
            assert_eq!(counts(&pod("web", "n1", more.clone())), expected, "{more}");
        }
    }
}
