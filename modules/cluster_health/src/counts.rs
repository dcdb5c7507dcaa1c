//! The cluster in numbers.

use crate::judge::Health;
use crate::state::Seen;
use crate::verdict::Severity;
use serde::Serialize;
use std::collections::BTreeMap;

/// The cluster in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Counts {
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    pub(crate) infos: usize,
    /// Objects that are too young to be in trouble.
    pub(crate) settling: usize,
    pub(crate) nodes: usize,
    pub(crate) nodes_ready: usize,
    pub(crate) etcd_members: usize,
    pub(crate) etcd_voters: usize,
    pub(crate) pods: usize,
    /// By their phase.
    pub(crate) pods_in_phase: BTreeMap<String, usize>,
    pub(crate) workloads: usize,
    pub(crate) workloads_available: usize,
    /// Leaves of the node that was asked.
    pub(crate) certificates: usize,
    pub(crate) jobs: usize,
    pub(crate) jobs_failed: usize,
}

impl Counts {
    pub(crate) fn of(seen: &Seen, health: &Health) -> Self {
        let members = || seen.nodes.iter().filter(|node| node.has_etcd());
        let votes = |condition: &str| condition == "True";
        Self {
            errors: health.count(Severity::Error),
            warnings: health.count(Severity::Warning),
            infos: health.count(Severity::Info),
            settling: health.settling(),
            nodes: seen.nodes.len(),
            nodes_ready: seen.nodes.iter().filter(|node| node.is_ready()).count(),
            etcd_members: members().count(),
            etcd_voters: members()
                .filter(|node| {
                    node.condition("EtcdIsVoter")
                        .is_some_and(|condition| votes(&condition.status))
                })
                .count(),
            pods: seen.pods.total(),
            pods_in_phase: seen.pods.phases.clone(),
            workloads: seen.workloads.len(),
            workloads_available: seen
                .workloads
                .iter()
                .filter(|workload| workload.available >= workload.wanted)
                .count(),
            certificates: seen.leaves().count(),
            jobs: seen.jobs.len(),
            jobs_failed: seen.jobs.iter().filter(|job| job.is("Failed").is_some()).count(),
        }
    }
}
