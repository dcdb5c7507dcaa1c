//! The cluster's nodes and pods, as far as they tell what runs where and what could.

use crate::params::Params;
use anyhow::{Result, bail};
use host::Host;
use kubectl::{
    Claim, Condition, Kubectl, Labels, Meta, PersistentVolume, Placement, Taint, null_is_empty, pages,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub struct State {
    pub(crate) nodes: Vec<Node>,
    pub(crate) pods: Vec<Pod>,
    /// By namespace and name of its claim; only those that not every node reaches.
    pub(crate) volumes: BTreeMap<(String, String), PersistentVolume>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(from = "NodeObject")]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) resource_version: String,
    pub(crate) labels: Labels,
    /// Why it takes no pods at the moment, apart from taints.
    pub(crate) away: Option<String>,
    pub(crate) taints: Vec<Taint>,
    /// As the API wrote them: what is not ours goes back as it came.
    pub(crate) raw_taints: Vec<Value>,
}

#[derive(Deserialize)]
struct NodeObject {
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
    taints: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
}

impl From<NodeObject> for Node {
    fn from(object: NodeObject) -> Self {
        let NodeObject {
            metadata,
            spec,
            status,
        } = object;
        let ready = status
            .conditions
            .iter()
            .any(|condition| condition.r#type == "Ready" && condition.status == "True");
        let away = match (spec.unschedulable, ready) {
            (true, _) => Some("cordoned".to_owned()),
            (false, false) => Some("not Ready".to_owned()),
            (false, true) => None,
        };
        let read = |taint: &Value| serde_json::from_value(taint.clone()).unwrap_or_default();
        Self {
            name: metadata.name,
            resource_version: metadata.resource_version,
            labels: metadata.labels,
            away,
            taints: spec.taints.iter().map(read).collect(),
            raw_taints: spec.taints,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pod {
    pub(crate) metadata: Meta,
    pub(crate) spec: PodSpec,
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodSpec {
    /// Empty while it waits for a node.
    pub(crate) node_name: String,
    #[serde(flatten)]
    pub(crate) placement: Placement,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodStatus {
    phase: String,
}

impl Pod {
    /// Its workload, as a person names it; a pod that nothing makes again is its own.
    pub(crate) fn owner(&self) -> String {
        let meta = &self.metadata;
        let (kind, name) = meta.workload().unwrap_or(("Pod", &meta.name));
        format!("{kind} {}/{name}", meta.namespace)
    }

    pub(crate) fn of_daemon_set(&self) -> bool {
        self.metadata
            .controller()
            .is_some_and(|owner| owner.kind == "DaemonSet")
    }

    /// Whether it runs or is to run, and the scheduler has a say in it. A mirror pod is a file on its node.
    pub(crate) fn counts(&self) -> bool {
        let finished = matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        let mirror = self
            .metadata
            .annotations
            .contains_key("kubernetes.io/config.mirror");
        !finished && !mirror && self.metadata.deletion_timestamp.is_none()
    }

    pub(crate) fn claims(&self) -> impl Iterator<Item = (String, String)> {
        let namespace = &self.metadata.namespace;
        let claims = self.spec.placement.claims();
        claims.map(|claim| (namespace.clone(), claim.to_owned()))
    }
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

/// One node as it is now.
pub(crate) fn node(kubectl: &Kubectl, name: &str) -> Result<Node> {
    let path = format!("/api/v1/nodes/{name}");
    kubectl.read(&[path])?.one()
}

#[cfg(test)]
mod tests {
    use super::{Node, Pod};
    use crate::samples::{node, pod};
    use serde_json::json;

    #[test]
    fn a_node_tells_why_it_takes_nothing() {
        let table = [
            (json!({}), None),
            (json!({"spec": {"unschedulable": true}}), Some("cordoned")),
            (
                json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}),
                Some("not Ready"),
            ),
            (json!({"status": {"conditions": null}}), Some("not Ready")),
        ];
        for (more, away) in table {
            assert_eq!(node("n1", more.clone()).away.as_deref(), away, "{more}");
        }
    }

    #[test]
    fn nodes_and_pods_of_a_newer_server() {
        let nodes: kubectl::List<Node> =
            serde_json::from_str(&testbed::recorded("by-hand-k3s-v1.36-nodes.json")).unwrap();
        let told: Vec<String> = nodes
            .items
            .iter()
            .map(|node| {
                let taints: Vec<String> = node.taints.iter().map(ToString::to_string).collect();
                format!(
                    "{}: {} {}",
                    node.name,
                    node.away.as_deref().unwrap_or("-"),
                    taints.join(" ")
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "n1: - node-role.kubernetes.io/control-plane=true:NoSchedule",
                "n2: - ",
                "n3: - ",
                "n4: cordoned node.kubernetes.io/unreachable:NoSchedule node.kubernetes.io/unreachable:NoExecute \
                 node.kubernetes.io/unschedulable:NoSchedule",
            ]
        );
        // What is not ours goes back with all that it came with.
        assert_eq!(nodes.items[3].raw_taints[0]["timeAdded"], "2026-09-01T11:40:45Z");
        let pods: kubectl::List<Pod> =
            serde_json::from_str(&testbed::recorded("by-hand-k3s-v1.36-pods.json")).unwrap();
        let owners: Vec<String> = pods
            .items
            .iter()
            .filter(|pod| pod.counts())
            .map(Pod::owner)
            .collect();
        assert_eq!(
            owners,
            [
                "Deployment demo/meshed",
                "Deployment demo/pulling",
                "Deployment demo/mounting",
                "Deployment demo/waiting",
                "Deployment demo/debugged",
                "Pod demo/gated",
                "Deployment demo/whole",
            ]
        );
    }

    #[test]
    fn a_pod_that_ended_or_goes_needs_no_place() {
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
        for (more, counts) in table {
            assert_eq!(pod("web", "n1", more.clone()).counts(), counts, "{more}");
        }
    }
}
