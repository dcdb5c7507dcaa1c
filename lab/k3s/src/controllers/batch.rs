//! Jobs: pods that end. None is given up.

use super::Action;
use super::world::{World, condition_of, is_active, pod_from, set_count};
use crate::clock;
use crate::json::{condition, is_terminating, name, number, set, text};
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn actions(world: &World) -> Vec<Action> {
    let open = |job: &&Arc<Value>| !is_terminating(job) && condition(job, "Complete") != "True";
    world
        .jobs
        .iter()
        .filter(open)
        .flat_map(|job| one(world, job))
        .collect()
}

fn one(world: &World, job: &Arc<Value>) -> Vec<Action> {
    let pods = world.pods_of(job);
    let active = pods.iter().filter(|pod| is_active(pod)).count();
    let done = pods
        .iter()
        .filter(|pod| text(pod, "/status/phase") == "Succeeded")
        .count();
    let wanted = usize::try_from(number(job, "/spec/completions")).unwrap_or_default();
    let mut actions = Vec::new();
    let mut status = json!({"startTime": start_time(job)});
    let mut conditions = resumed(job);
    if done >= wanted {
        status["completionTime"] = json!(clock::seconds());
        conditions.push(condition_of("Complete", true, "", "", job));
    } else {
        actions.extend((active + done..wanted).map(|_| new_pod(job)));
    }
    if !conditions.is_empty() {
        status["conditions"] = json!(conditions);
    }
    set_count(&mut status, "active", active);
    set_count(&mut status, "succeeded", done);
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
