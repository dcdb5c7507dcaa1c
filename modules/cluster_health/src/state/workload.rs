//! Workloads: how many replicas are wanted, how many there are.

use cluster::{Condition, Labels, Meta, Time, null_is_empty};
use serde::Deserialize;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkloadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl WorkloadKind {
    pub const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Deployment => "/apis/apps/v1/deployments",
            Self::StatefulSet => "/apis/apps/v1/statefulsets",
            Self::DaemonSet => "/apis/apps/v1/daemonsets",
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// As the API has them; each kind fills in other fields.
#[derive(Debug, Deserialize)]
pub(crate) struct WorkloadObject {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    replicas: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    available_replicas: usize,
    desired_number_scheduled: usize,
    number_available: usize,
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
pub struct Workload {
    pub kind: WorkloadKind,
    pub namespace: String,
    pub name: String,
    pub labels: Labels,
    pub created: Option<Time>,
    pub wanted: usize,
    pub available: usize,
    /// Only those of a Deployment say more than its numbers.
    pub conditions: Vec<Condition>,
}

impl WorkloadObject {
    pub(crate) fn of_kind(self, kind: WorkloadKind) -> Workload {
        let (spec, status) = (self.spec, self.status);
        let (wanted, available) = match kind {
            WorkloadKind::DaemonSet => (status.desired_number_scheduled, status.number_available),
            WorkloadKind::Deployment | WorkloadKind::StatefulSet => {
                (spec.replicas.unwrap_or(1), status.available_replicas)
            }
        };
        Workload {
            kind,
            namespace: self.metadata.namespace,
            name: self.metadata.name,
            labels: self.metadata.labels,
            created: self.metadata.creation_timestamp,
            wanted,
            available,
            conditions: status.conditions,
        }
    }
}

impl Workload {
    /// How many replicas there are too few.
    pub fn missing(&self) -> usize {
        self.wanted.saturating_sub(self.available)
    }

    /// The condition, where it has this status.
    pub fn says(&self, kind: &str, status: &str) -> Option<&Condition> {
        self.condition(kind)
            .filter(|condition| condition.status == status)
    }

    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.r#type == kind)
    }
}
