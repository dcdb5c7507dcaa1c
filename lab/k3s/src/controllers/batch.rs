//! Jobs: pods that end, and those that end badly once too often.

use super::Action;
use super::world::{World, condition_of, is_active, pod_from, whole};
use crate::clock::{self, paced};
use crate::json::{condition, is_terminating, items, name, number, set, text};
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;

/// Before a failed pod is replaced: doubled with each, up to the last.
const FIRST_BACK_OFF: f64 = 10.0;
const LAST_BACK_OFF: f64 = 360.0;
const TOO_OFTEN: &str = "Job has reached the specified backoff limit";

pub fn actions(world: &World) -> Vec<Action> {
    let open = |job: &&Arc<Value>| {
        let over = |kind| condition(job, kind) == "True";
        !is_terminating(job) && !over("Complete") && !over("Failed")
    };
    world
        .jobs
        .iter()
        .filter(open)
        .flat_map(|job| one(world, job))
        .collect()
}

fn one(world: &World, job: &Arc<Value>) -> Vec<Action> {
    let pods = world.pods_of(job);
    let count = |phase: &str| {
        pods.iter()
            .filter(|pod| text(pod, "/status/phase") == phase)
            .count()
    };
    let (done, failed) = (count("Succeeded"), count("Failed"));
    let active: Vec<&Arc<Value>> = pods.iter().filter(|pod| is_active(pod)).collect();
    let at = |pointer: &str| usize::try_from(number(job, pointer)).unwrap_or_default();
    let restarts: i64 = active.iter().map(|pod| restarts(pod)).sum();
    let given_up = failed > at("/spec/backoffLimit") || restarts > number(job, "/spec/backoffLimit");
    let finished = done >= at("/spec/completions");
    let mut actions = Vec::new();
    let mut status = json!({"startTime": start_time(job)});
    let mut conditions = resumed(job);
    if finished {
        status["completionTime"] = json!(clock::seconds());
        conditions.push(condition_of("Complete", true, "", "", job));
    } else if given_up {
        conditions.push(condition_of(
            "Failed",
            true,
            "BackoffLimitExceeded",
            TOO_OFTEN,
            job,
        ));
        actions.extend(active.iter().map(|pod| Action::delete("pods", pod)));
    } else if rested(pods, failed) {
        let wanted = (at("/spec/completions") - done).min(at("/spec/parallelism"));
        actions.extend((active.len()..wanted).map(|_| new_pod(job)));
    }
    if !conditions.is_empty() {
        status["conditions"] = json!(conditions);
    }
    let going = if given_up { 0 } else { active.len() };
    whole(&mut status, "active", going);
    whole(&mut status, "succeeded", done);
    whole(&mut status, "failed", failed);
    actions.extend(Action::status("jobs", job, status));
    actions
}

/// The controller of charts makes its Jobs suspended, and resumes them at once.
fn resumed(job: &Value) -> Vec<Value> {
    let is_of_chart = job
        .pointer("/metadata/labels/helmcharts.helm.cattle.io~1chart")
        .is_some();
    let condition = || condition_of("Suspended", false, "JobResumed", "Job resumed", job);
    is_of_chart.then(condition).into_iter().collect()
}

fn new_pod(job: &Value) -> Action {
    let mut pod = pod_from(job);
    set(
        &mut pod,
        &["metadata", "generateName"],
        json!(format!("{}-", name(job))),
    );
    Action::Create(kinds::of("pods"), pod)
}

fn start_time(job: &Value) -> String {
    let known = text(job, "/status/startTime");
    if known.is_empty() {
        clock::seconds()
    } else {
        known.to_owned()
    }
}

/// Of the containers that a pod restarts itself.
fn restarts(pod: &Value) -> i64 {
    let of = |pointer: &str| -> i64 {
        items(pod, pointer)
            .iter()
            .map(|one| number(one, "/restartCount"))
            .sum()
    };
    of("/status/containerStatuses") + of("/status/initContainerStatuses")
}

/// Whether the time after the last failure is over.
fn rested(pods: &[Arc<Value>], failed: usize) -> bool {
    let Some(times) = failed.checked_sub(1) else {
        return true;
    };
    let back_off = (0..times).fold(FIRST_BACK_OFF, |pause, _| (pause * 2.0).min(LAST_BACK_OFF));
    let ended = pods
        .iter()
        .map(|pod| text(pod, "/status/containerStatuses/0/state/terminated/finishedAt"));
    let since = ended
        .filter(|time| !time.is_empty())
        .map(clock::age)
        .min()
        .unwrap_or_default();
    f64::from(i32::try_from(since).unwrap_or(i32::MAX)) >= paced(back_off).as_secs_f64()
}
