//! The node in the cluster.

use cluster::{Lease, Node, Pod};
use std::time::{Duration, SystemTime};

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

/// Whether k3s would remove a member of etcd with it.
pub(crate) fn is_etcd_server(node: &Node) -> bool {
    node.has_etcd() || node.etcd_member().is_some()
}

/// What the condition Ready says.
pub(crate) fn ready(node: &Node) -> Option<&str> {
    node.condition("Ready").map(|ready| ready.status.as_str())
}

/// Whether a pod goes with its node, or has ended.
fn is_disposable(pod: &Pod) -> bool {
    pod.is_controlled_by("DaemonSet") || pod.is_mirror() || pod.is_finished()
}

impl State {
    /// Why its kubelet counts as alive. Clocks of machines differ: a fresh Lease is believed, and so is the
    /// cluster's own verdict, which is made of changes that it has seen, not of times.
    pub fn alive(&self) -> Option<String> {
        let node = self.node.as_ref()?;
        let silence = self.lease.as_ref().and_then(|lease| lease.silence(self.now));
        let fresh = silence.filter(|since| *since < LEASE);
        match (ready(node), fresh) {
            (_, Some(since)) => Some(format!("it renewed its Lease {} s ago", since.as_secs())),
            (Some(ready), None) if ready != "Unknown" => Some(format!(
                "its condition Ready is {ready}, and not Unknown as after 40 s of silence"
            )),
            _ => None,
        }
    }

    /// The pods that would be forgotten, as `namespace/name`.
    pub fn own_pods(&self) -> Vec<String> {
        let own = self.pods.iter().filter(|pod| !is_disposable(pod));
        own.map(|pod| format!("{}/{}", pod.metadata.namespace, pod.metadata.name))
            .collect()
    }
}
