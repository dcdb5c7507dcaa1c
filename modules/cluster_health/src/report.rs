//! The return values.

use crate::judge::{Health, judge};
use crate::params::Params;
use crate::state::{Seen, Service, State};
use crate::verdict::{Severity, Suspect, Verdict, folded};
use crate::{prometheus, summary};
use host::Kind;
use k3s_certs::rfc3339;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
pub struct Returned {
    healthy: bool,
    complete: bool,
    checked_at: String,
    waited: f64,
    verdicts: Vec<Verdict>,
    new: Vec<Verdict>,
    had_begun: Vec<String>,
    suspects: Vec<Suspect>,
    ignored: usize,
    counts: Counts,
    api: ApiSaid,
    summary: Vec<String>,
    prometheus: String,
}

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

/// What the API server said, or the service that it should run in.
#[derive(Serialize)]
struct ApiSaid {
    version: Option<String>,
    ready: bool,
    checks: usize,
    checks_failed: Vec<String>,
    said: String,
    failure: Option<Kind>,
    service: Option<Service>,
    log: Vec<String>,
}

pub(crate) fn report(params: &Params, state: &State) -> Returned {
    let seen = &state.seen;
    let health = judge(params, seen);
    let counts = Counts::of(seen, &health);
    let api = &seen.api;
    let failed = api.checks.iter().filter(|check| !check.passed);
    Returned {
        healthy: health.is_healthy(),
        complete: seen.is_complete(),
        checked_at: rfc3339(seen.now),
        waited: (state.waited.as_secs_f64() * 10.0).round() / 10.0,
        new: health.failing().cloned().collect(),
        had_begun: folded(health.had_begun())
            .iter()
            .map(ToString::to_string)
            .collect(),
        suspects: health.suspects.clone(),
        ignored: health.ignored,
        summary: summary::lines(seen, &health, &counts),
        prometheus: prometheus::text(seen, &health, &counts),
        counts,
        api: ApiSaid {
            version: api.version.clone(),
            ready: api.ready,
            checks: api.checks.len(),
            checks_failed: failed.map(|check| check.name.clone()).collect(),
            said: api.said.clone(),
            failure: api.failure,
            service: api.service.clone(),
            log: api.log.clone(),
        },
        verdicts: health.verdicts,
    }
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
                        .is_some_and(|told| votes(&told.status))
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
