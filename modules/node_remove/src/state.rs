//! The node as the cluster knows it.

use kubectl::{Condition, Meta, Time, null_is_empty};
use serde::Deserialize;
use std::time::{Duration, SystemTime};

/// By this the cluster knows which server's member of etcd is the node's.
const ETCD_NAME: &str = "etcd.k3s.cattle.io/node-name";
const ETCD_ROLE: &str = "node-role.kubernetes.io/etcd";
/// A kubelet renews its Lease every 10 s. Where the cluster has given it up (after 40) and it is younger than this, the
/// kubelet has just come back.
const LEASE: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub struct State {
    pub node: Option<Node>,
    pub lease: Option<Lease>,
    pub pods: Vec<Pod>,
    /// Whether the cluster has a Secret with the node's password.
    pub password: bool,
    pub now: SystemTime,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    pub metadata: Meta,
    status: NodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Lease {
    spec: LeaseSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LeaseSpec {
    renew_time: Option<Time>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    metadata: Meta,
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodStatus {
    phase: String,
}

/// Of an object, only that it is there; a Secret's content is not looked at.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {}

impl Node {
    pub fn ready(&self) -> Option<&str> {
        let ready = self
            .status
            .conditions
            .iter()
            .find(|condition| condition.r#type == "Ready");
        ready.map(|condition| condition.status.as_str())
    }

    pub fn etcd_name(&self) -> Option<&str> {
        self.metadata.annotations.get(ETCD_NAME).map(String::as_str)
    }

    pub fn is_etcd_server(&self) -> bool {
        self.metadata.labels.contains_key(ETCD_ROLE) || self.etcd_name().is_some()
    }
}

impl Pod {
    /// Whether it goes with its node, or has ended.
    fn is_no_loss(&self) -> bool {
        let of_daemon_set = self
            .metadata
            .controller()
            .is_some_and(|owner| owner.kind == "DaemonSet");
        let is_mirror = self
            .metadata
            .annotations
            .contains_key("kubernetes.io/config.mirror");
        of_daemon_set || is_mirror || matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }
}

impl State {
    /// Why its kubelet counts as alive. Clocks of machines differ: a fresh Lease is believed, and so is the
    /// cluster's own verdict, which is made of changes that it has seen, not of times.
    pub fn alive(&self) -> Option<String> {
        let node = self.node.as_ref()?;
        let fresh = self.lease.as_ref().and_then(|lease| lease.spec.renew_time);
        let fresh = fresh.map(|at| at.until(self.now)).filter(|since| *since < LEASE);
        match (node.ready(), fresh) {
            (_, Some(since)) => Some(format!("it renewed its Lease {} s ago", since.as_secs())),
            (Some(ready), None) if ready != "Unknown" => Some(format!(
                "its condition Ready is {ready}, and not Unknown as after 40 s of silence"
            )),
            _ => None,
        }
    }

    /// The pods that would be forgotten, as `namespace/name`.
    pub fn own_pods(&self) -> Vec<String> {
        let own = self.pods.iter().filter(|pod| !pod.is_no_loss());
        own.map(|pod| format!("{}/{}", pod.metadata.namespace, pod.metadata.name))
            .collect()
    }
}
