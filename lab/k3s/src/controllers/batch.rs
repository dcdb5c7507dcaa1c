//! Jobs: pods that end.

use super::Action;
use super::world::{World, condition_of, is_active, pod_from};
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
    let count = |phase: &str| {
        pods.iter()
            .filter(|pod| text(pod, "/status/phase") == phase)
            .count()
    };
    let (done, failed) = (count("Succeeded"), count("Failed"));
    let active = pods.iter().filter(|pod| is_active(pod)).count();
    let at = |pointer: &str| usize::try_from(number(job, pointer)).unwrap_or_default();
    let wanted = at("/spec/completions")
        .saturating_sub(done)
        .min(at("/spec/parallelism"));
    let mut actions = Vec::new();
    for _ in active..wanted {
        let mut pod = pod_from(job);
        set(
            &mut pod,
            &["metadata", "generateName"],
            json!(format!("{}-", name(job))),
        );
        actions.push(Action::Create(kinds::of("pods"), pod));
    }
    let started = text(job, "/status/startTime").to_owned();
    let started = if started.is_empty() {
        clock::seconds()
    } else {
        started
    };
    let mut status = json!({"active": active, "succeeded": done, "failed": failed, "startTime": started});
    if done >= at("/spec/completions") {
        status["completionTime"] = json!(clock::seconds());
        status["conditions"] = json!([condition_of("Complete", true, "", job)]);
    }
    actions.extend(Action::status("jobs", job, status));
    actions
}
