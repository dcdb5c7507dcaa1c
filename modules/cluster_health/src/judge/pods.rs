//! Pods: phase, readiness, containers, and how long it has been so.

use super::{age, containers, span};
use crate::params::Params;
use crate::state::Seen;
use crate::verdict::{Finding, Kind, Owner, Reason, Severity, Stage, Trouble};
use cluster::{Condition, Pod, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// How many replicas of a workload are accounted for by pods that are reported, or that are on their way out.
pub(super) type StandingIn = BTreeMap<(String, Owner), usize>;

/// What a pod's trouble depends on besides itself.
struct World<'s> {
    params: &'s Params,
    seen: &'s Seen,
    lost: BTreeSet<&'s str>,
    /// Workloads with replicas that can only come back on a node that is ours at the moment, and that node.
    waits_for: BTreeMap<(&'s str, &'s str, &'s str), &'s str>,
    /// The `CronJob` of each Job.
    cron_jobs: BTreeMap<(&'s str, &'s str), &'s str>,
}

pub(super) fn judge(params: &Params, seen: &Seen) -> (Vec<Finding>, StandingIn) {
    let world = World::of(params, seen);
    let mut standing_in = StandingIn::new();
    let mut findings = Vec::new();
    for pod in &seen.pods.suspect {
        let owner = world.owner(pod);
        let trouble = world.trouble(pod, &owner);
        let missing = trouble
            .as_ref()
            .is_some_and(|trouble| !pod.is_ready() || trouble.severity == Severity::Error);
        if missing || pod.metadata.deletion_timestamp.is_some() {
            *standing_in
                .entry((pod.metadata.namespace.clone(), owner.clone()))
                .or_default() += 1;
        }
        let finding = |trouble| Finding {
            kind: Kind::Pod,
            namespace: pod.metadata.namespace.clone(),
            owner: owner.clone(),
            name: pod.metadata.name.clone(),
            labels: pod.metadata.labels.clone(),
            trouble,
        };
        findings.extend(
            trouble
                .into_iter()
                .chain(world.first_signs(pod, &owner))
                .map(finding),
        );
    }
    (findings, standing_in)
}

impl<'s> World<'s> {
    fn of(params: &'s Params, seen: &'s Seen) -> Self {
        let lost = seen.nodes.iter().filter(|node| !node.is_ready());
        let ours = seen.nodes.iter().filter(|node| node.is_cordoned_by_us());
        let pinned = ours.flat_map(|node| {
            let owners = node.record.iter().flat_map(|record| &record.owners);
            owners.filter(|owner| owner.pinned > 0).map(|owner| {
                (
                    (owner.namespace.as_str(), owner.kind.as_str(), owner.name.as_str()),
                    node.name.as_str(),
                )
            })
        });
        let cron_jobs = seen.jobs.iter().filter_map(|job| {
            Some((
                (job.namespace.as_str(), job.name.as_str()),
                job.cron_job.as_deref()?,
            ))
        });
        Self {
            params,
            seen,
            lost: lost.map(|node| node.name.as_str()).collect(),
            waits_for: pinned.collect(),
            cron_jobs: cron_jobs.collect(),
        }
    }

    /// What makes the pod's successor, and so stays when the pod goes.
    fn owner(&self, pod: &Pod) -> Owner {
        let own = |kind: &str, name: &str| Owner {
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        let meta = &pod.metadata;
        // A mirror pod's owner is its node, which it shares with others.
        match meta.workload().filter(|_| !pod.is_mirror()) {
            None => own("", &meta.name),
            Some(("Job", name)) => match self.cron_jobs.get(&(meta.namespace.as_str(), name)) {
                Some(cron_job) => own("CronJob", cron_job),
                None => own("Job", name),
            },
            Some((kind, name)) => own(kind, name),
        }
    }

    fn trouble(&self, pod: &Pod, owner: &Owner) -> Option<Trouble> {
        let lost = self.lost.contains(pod.node_name());
        let of_job = is_of_job(owner);
        if let Some(deleted) = pod.metadata.deletion_timestamp {
            return self.terminating(pod, deleted, lost);
        }
        match pod.status.phase.as_str() {
            "Succeeded" => None,
            // Whether a Job has failed is for the Job to say.
            "Failed" if of_job => None,
            "Failed" => Some(failed(pod, owner)),
            _ if lost => on_lost_node(pod),
            "Pending" | "Running" => {
                let found = containers::judge(self.params, self.seen, pod).map(|found| begun(pod, found));
                let young = self.time(pod, owner, of_job);
                // A crash that is over says less than what is not ready now.
                let over = found
                    .as_ref()
                    .is_some_and(|found| found.severity < Severity::Error);
                if over { young.or(found) } else { found.or(young) }
            }
            phase => Some(Trouble::error(
                Reason::Unknown,
                format!("its phase is {phase:?}: its state is unknown"),
            )),
        }
    }

    /// What is not yet a problem, nor waited for, and may become one.
    fn first_signs(&self, pod: &Pod, owner: &Owner) -> Vec<Trouble> {
        if let Some(deleted) = pod.metadata.deletion_timestamp {
            let deleted = SystemTime::from(deleted);
            return vec![Trouble::suspected(Reason::Terminating).since(deleted)];
        }
        if !matches!(pod.status.phase.as_str(), "Pending" | "Running") {
            return Vec::new();
        }
        let waits = self.waits(pod, owner).filter(|_| is_of_job(owner));
        let waits = waits.map(|(trouble, _, _)| Trouble {
            stage: Stage::Suspected,
            ..trouble
        });
        let crash = containers::first_sign(self.params, self.seen, pod);
        waits.into_iter().chain(crash).collect()
    }

    fn terminating(&self, pod: &Pod, deleted: Time, lost: bool) -> Option<Trouble> {
        let age = deleted.until(self.seen.now);
        if age <= self.params.limits.terminating {
            return None;
        }
        if lost {
            return on_lost_node(pod);
        }
        let mut message = format!("it should have been gone {} ago", span(age));
        if !pod.node_name().is_empty() {
            message = format!("{message}, on {}", pod.node_name());
        }
        if !pod.metadata.finalizers.is_empty() {
            message = format!(
                "{message}; it waits for its finalizers: {}",
                pod.metadata.finalizers.join(", ")
            );
        }
        Some(Trouble::error(Reason::Terminating, message).since(SystemTime::from(deleted)))
    }

    /// What is only a matter of time, and of how much.
    fn time(&self, pod: &Pod, owner: &Owner, of_job: bool) -> Option<Trouble> {
        let (trouble, since, limit) = self.waits(pod, owner)?;
        let young = age(since, self.seen.now).is_some_and(|age| age <= limit);
        // A Job's pod comes and goes: it is nothing to wait for.
        if young && of_job {
            return None;
        }
        let planned = trouble.severity == Severity::Info;
        Some(trouble.settling(young && !planned))
    }

    /// What is not there yet, since when, and how long it may take.
    fn waits(&self, pod: &Pod, owner: &Owner) -> Option<(Trouble, Option<Time>, Duration)> {
        if pod.status.phase == "Pending" {
            let (trouble, since, limit) = self.pending(pod, owner);
            let trouble = begun(pod, trouble.since(since.map(SystemTime::from)));
            return Some((trouble, since, limit));
        }
        let lacking = |kind: &str| pod.condition(kind).filter(|ready| ready.status != "True");
        let ready = lacking("Ready").or_else(|| lacking("ContainersReady"))?;
        let since = ready.last_transition_time;
        let trouble = Trouble::error(Reason::NotReady, format!("it is not ready: {}", ready.message));
        let trouble = trouble.since(since.map(SystemTime::from));
        Some((trouble, since, self.params.limits.not_ready))
    }

    fn pending(&self, pod: &Pod, owner: &Owner) -> (Trouble, Option<Time>, Duration) {
        let limit = self.params.limits.pending;
        let created = pod.metadata.creation_timestamp;
        let Some(unscheduled) = pod
            .condition("PodScheduled")
            .filter(|scheduled| scheduled.status == "False")
        else {
            let scheduled = pod
                .condition("PodScheduled")
                .and_then(|scheduled| scheduled.last_transition_time);
            return (not_started(pod), scheduled.or(created), limit);
        };
        let Condition { reason, message, .. } = unscheduled;
        let key = (
            pod.metadata.namespace.as_str(),
            owner.kind.as_str(),
            owner.name.as_str(),
        );
        let trouble = match (reason.as_str(), self.waits_for.get(&key)) {
            (_, Some(node)) => Trouble::new(
                Reason::Unschedulable,
                Severity::Info,
                format!("it waits for the node {node}, which a run of this collection has cordoned"),
            ),
            ("SchedulingGated", _) => Trouble::warning(Reason::SchedulingGated, message.clone()),
            _ => Trouble::error(Reason::Unschedulable, message.clone()),
        };
        (trouble, created, limit)
    }
}

/// A pod that has not started yet waits since it was made, whatever for.
fn begun(pod: &Pod, trouble: Trouble) -> Trouble {
    if pod.status.phase == "Pending" {
        trouble.began(pod.metadata.creation_timestamp.map(SystemTime::from))
    } else {
        trouble
    }
}

fn is_of_job(owner: &Owner) -> bool {
    matches!(owner.kind.as_str(), "Job" | "CronJob")
}

/// The node is reported as an error itself; its pods are what comes of it.
fn on_lost_node(pod: &Pod) -> Option<Trouble> {
    let ready = pod
        .condition("Ready")
        .filter(|ready| ready.status == "True" && pod.metadata.deletion_timestamp.is_none());
    if ready.is_some() {
        return None;
    }
    let message = format!("its node {} is not Ready", pod.node_name());
    let since = pod
        .condition("Ready")
        .and_then(|ready| ready.last_transition_time);
    Some(Trouble::warning(Reason::OnLostNode, message).since(since.map(SystemTime::from)))
}

/// On its node, but not running: what each container waits for.
fn not_started(pod: &Pod) -> Trouble {
    let waits = |container: &cluster::ContainerStatus| {
        let waiting = container.state.waiting.as_ref()?;
        let message = if waiting.message.is_empty() {
            String::new()
        } else {
            format!(" ({})", waiting.message)
        };
        Some(format!(
            "container {}: {}{message}",
            container.name, waiting.reason
        ))
    };
    let still = pod
        .status
        .init_container_statuses
        .iter()
        .find(|container| container.state.running.is_some() && !pod.is_sidecar(&container.name));
    let what = still
        .map(|container| format!("init container {} still runs", container.name))
        .or_else(|| pod.containers().find_map(waits))
        .unwrap_or_else(|| "its kubelet has not started it".to_owned());
    Trouble::error(
        Reason::Pending,
        format!("it does not start on {}: {what}", pod.node_name()),
    )
}

/// A pod that is over and done with. Where something makes another one, that is what counts.
fn failed(pod: &Pod, owner: &Owner) -> Trouble {
    let status = &pod.status;
    let since = pod
        .containers()
        .filter_map(|container| container.state.terminated.as_ref()?.finished_at)
        .max();
    let said = if status.message.is_empty() {
        "its containers have ended".to_owned()
    } else {
        status.message.clone()
    };
    let said = if status.reason.is_empty() {
        said
    } else {
        format!("{}: {said}", status.reason)
    };
    let trouble = match status.reason.as_str() {
        "Evicted" => Trouble::warning(Reason::Evicted, said),
        _ if !owner.kind.is_empty() => Trouble::warning(Reason::Failed, said),
        _ => Trouble::error(Reason::Failed, format!("{said}; nothing starts it again")),
    };
    trouble.since(since.map(SystemTime::from))
}

#[cfg(test)]
#[path = "newer_pods_tests.rs"]
mod newer_tests;
#[cfg(test)]
#[path = "pods_tests.rs"]
mod tests;
