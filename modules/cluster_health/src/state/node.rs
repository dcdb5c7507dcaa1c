//! Nodes and their signs of life.

use kubectl::{Condition, CordonRecord, Labels, Meta, Time, null_is_empty};
use serde::Deserialize;
use std::time::Duration;

#[derive(Debug, Deserialize)]
struct NodeObject {
    metadata: Meta,
    #[serde(default)]
    spec: NodeSpec,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeSpec {
    unschedulable: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeStatus {
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
    node_info: NodeInfo,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeInfo {
    kubelet_version: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "NodeObject")]
pub struct Node {
    pub name: String,
    pub labels: Labels,
    pub unschedulable: bool,
    /// What we wrote when we cordoned it.
    pub record: Option<CordonRecord>,
    pub conditions: Vec<Condition>,
    pub kubelet: String,
}

impl From<NodeObject> for Node {
    fn from(object: NodeObject) -> Self {
        let record = object.metadata.annotations.get(CordonRecord::ANNOTATION);
        Self {
            record: record.map(|text| CordonRecord::parse(text)),
            name: object.metadata.name,
            labels: object.metadata.labels,
            unschedulable: object.spec.unschedulable,
            conditions: object.status.conditions,
            kubelet: object.status.node_info.kubelet_version,
        }
    }
}

impl Node {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.r#type == kind)
    }

    pub fn is_ready(&self) -> bool {
        self.condition("Ready")
            .is_some_and(|ready| ready.status == "True")
    }

    pub fn is_controller(&self) -> bool {
        self.has_role("control-plane")
    }

    pub fn has_etcd(&self) -> bool {
        self.has_role("etcd")
    }

    fn has_role(&self, role: &str) -> bool {
        self.labels
            .contains_key(&format!("node-role.kubernetes.io/{role}"))
    }

    /// Whether a run of ours holds it cordoned.
    pub fn is_ours(&self) -> bool {
        self.unschedulable && self.record.is_some()
    }
}

#[derive(Debug, Deserialize)]
struct LeaseObject {
    metadata: Meta,
    #[serde(default)]
    spec: LeaseSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LeaseSpec {
    renew_time: Option<Time>,
    lease_duration_seconds: Option<u32>,
}

/// A node's heartbeat.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "LeaseObject")]
pub struct Lease {
    pub node: String,
    pub renewed: Option<Time>,
    /// How long it holds.
    pub duration: Duration,
}

/// What k3s writes; a Lease that does not say has it too.
const USUAL_DURATION: u32 = 40;

impl From<LeaseObject> for Lease {
    fn from(object: LeaseObject) -> Self {
        let seconds = object.spec.lease_duration_seconds.unwrap_or(USUAL_DURATION);
        Self {
            node: object.metadata.name,
            renewed: object.spec.renew_time,
            duration: Duration::from_secs(seconds.into()),
        }
    }
}
