//! Workloads: what is missing although no pod is there to show why; and the add-ons that a cluster cannot do without.

use super::pods::StandingIn;
use super::{about, age};
use crate::params::Params;
use crate::state::{Seen, Workload, WorkloadKind};
use crate::verdict::{Finding, Kind, Owner, Reason, Trouble};
use std::time::SystemTime;

/// The manifests of k3s, and what each brings to kube-system: a Deployment, unless an operator has made it another kind.
const ADDONS: [(&str, &str); 3] = [
    ("coredns", "coredns"),
    ("metrics-server-deployment", "metrics-server"),
    ("local-storage", "local-path-provisioner"),
];
const SYSTEM: &str = "kube-system";
/// The reason of a Deployment's condition once its roll-out is over.
const ROLLED_OUT: &str = "NewReplicaSetAvailable";

pub(super) fn judge(params: &Params, seen: &Seen, standing_in: &StandingIn) -> Vec<Finding> {
    let mut findings: Vec<Finding> = seen
        .workloads
        .iter()
        .flat_map(|workload| {
            let owner = Owner {
                kind: workload.kind.to_string(),
                name: workload.name.clone(),
            };
            let reported = standing_in
                .get(&(workload.namespace.clone(), owner))
                .copied()
                .unwrap_or_default();
            let trouble = unavailable(params, seen, workload, reported).or_else(|| stuck(workload, reported));
            let troubles = trouble.into_iter().chain(first_signs(workload));
            troubles.map(|trouble| Finding {
                labels: workload.labels.clone(),
                ..about(kind(workload.kind), &workload.namespace, &workload.name, trouble)
            })
        })
        .collect();
    let read = |kind: &str| !seen.unread.contains_key(kind);
    if read("deployments") && read("daemonsets") {
        findings.extend(missing_addons(seen));
    }
    findings
}

fn kind(kind: WorkloadKind) -> Kind {
    match kind {
        WorkloadKind::Deployment => Kind::Deployment,
        WorkloadKind::StatefulSet => Kind::StatefulSet,
        WorkloadKind::DaemonSet => Kind::DaemonSet,
    }
}

/// More replicas are missing than its pods account for: the pods themselves cannot be made, or nobody sees to it.
fn unavailable(params: &Params, seen: &Seen, workload: &Workload, reported: usize) -> Option<Trouble> {
    let Workload {
        wanted, available, ..
    } = workload;
    let missing = workload.missing();
    if missing <= reported {
        return None;
    }
    let unavailable = workload.says("Available", "False");
    let failure = workload.says("ReplicaFailure", "True");
    let why = failure
        .or(unavailable)
        .map(|condition| format!(": {}", condition.message));
    let message = format!(
        "{available} of {wanted} replicas are available{}",
        why.unwrap_or_default()
    );
    // How long, a Deployment says; of the others it is known that it cannot be longer than they are there.
    let since = unavailable.and_then(|condition| condition.last_transition_time);
    let known_for = age(since.or(workload.created), seen.now);
    let young = known_for.is_some_and(|age| age <= params.limits.not_ready);
    let trouble = Trouble::error(Reason::Unavailable, message).since(since.map(SystemTime::from));
    Some(trouble.amount(missing).failing(failure.is_some()).settling(young))
}

/// Replicas that are missing, whether or not a pod shows why, and a roll-out that is under way.
fn first_signs(workload: &Workload) -> impl Iterator<Item = Trouble> {
    let missing = workload.missing();
    let unavailable = (missing > 0).then(|| {
        let since = workload
            .says("Available", "False")
            .and_then(|said| said.last_transition_time);
        Trouble::suspected(Reason::Unavailable)
            .amount(missing)
            .since(since.map(SystemTime::from))
    });
    let rolls = workload
        .says("Progressing", "True")
        .filter(|progressing| progressing.reason != ROLLED_OUT)
        .map(|_| Trouble::suspected(Reason::RolloutStuck));
    unavailable.into_iter().chain(rolls)
}

/// All replicas are there, but of the old kind: the new ones do not come up.
fn stuck(workload: &Workload, reported: usize) -> Option<Trouble> {
    let stuck = workload
        .condition("Progressing")
        .filter(|progressing| progressing.status == "False" && reported == 0)?;
    let trouble = Trouble::warning(Reason::RolloutStuck, stuck.message.clone());
    Some(trouble.since(stuck.last_transition_time.map(SystemTime::from)))
}

/// k3s has applied the manifest, or the chart, and what it should have brought is not there.
fn missing_addons(seen: &Seen) -> Vec<Finding> {
    let deployed = |namespace: &str, name: &str| {
        let mut workloads = seen.workloads.iter();
        workloads.any(|workload| workload.namespace == namespace && workload.name == name)
    };
    let applied = |addon: &str| seen.addons.iter().any(|applied| applied.metadata.name == addon);
    let addons = ADDONS
        .iter()
        .filter(|(addon, _)| applied(addon))
        .map(|(_, name)| (SYSTEM, *name));
    let traefik = seen
        .charts
        .iter()
        .filter(|chart| chart.metadata.namespace == SYSTEM && chart.metadata.name == "traefik");
    let charts = traefik.map(|chart| (chart.target_namespace(), chart.metadata.name.as_str()));
    addons
        .chain(charts)
        .filter(|(namespace, name)| !deployed(namespace, name))
        .map(|(namespace, name)| {
            let message = "k3s is configured to deploy it, and it does not exist";
            about(
                Kind::Addon,
                namespace,
                name,
                Trouble::error(Reason::Missing, message),
            )
        })
        .collect()
}

#[cfg(test)]
#[path = "workloads_tests.rs"]
mod tests;
