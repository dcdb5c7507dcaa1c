//! `DaemonSet`s: one pod on each node that suits, cordoned ones included.

use super::Action;
use super::placement::obstacle;
use super::world::{World, has_ended, hash, is_ready, pod_from, set_count};
use crate::json::{is_terminating, items, name, number, set, text};
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;

const REVISION: &str = "controller-revision-hash";
const KEY: &str = "node.kubernetes.io/";

pub fn actions(world: &World) -> Vec<Action> {
    let live = world.daemonsets.iter().filter(|set| !is_terminating(set));
    live.flat_map(|set| one(world, set)).collect()
}

fn one(world: &World, owner: &Arc<Value>) -> Vec<Action> {
    let revision = hash(&owner["spec"]["template"]);
    let template = pod(owner, &revision);
    let pods = world.pods_of(owner);
    let suits = |node: &Value| obstacle(world, &template, node).is_none();
    let mut actions = Vec::new();
    for node in world.nodes.iter().filter(|node| suits(node)) {
        let here: Vec<&Arc<Value>> = pods
            .iter()
            .filter(|pod| text(pod, "/spec/nodeName") == name(node))
            .collect();
        if here.is_empty() {
            let mut pod = template.clone();
            set(&mut pod, &["spec", "nodeName"], json!(name(node)));
            actions.push(Action::Create(kinds::of("pods"), pod));
        }
        let ended = here.iter().filter(|pod| has_ended(pod) && !is_terminating(pod));
        actions.extend(ended.map(|pod| Action::delete("pods", pod)));
    }
    // A pod stays on a node that became unwell; it goes when the selector no longer wants it there.
    let misplaced = |pod: &&Arc<Value>| {
        let node = world.node(text(pod, "/spec/nodeName"));
        !is_terminating(pod) && node.is_none_or(|node| !super::placement::selects(&template, node))
    };
    actions.extend(
        pods.iter()
            .filter(misplaced)
            .map(|pod| Action::delete("pods", pod)),
    );
    if actions.is_empty() && pods.iter().all(|pod| is_ready(pod) && !is_terminating(pod)) {
        let old = pods
            .iter()
            .find(|pod| pod["metadata"]["labels"][REVISION] != json!(revision));
        actions.extend(old.map(|pod| Action::delete("pods", pod)));
    }
    let desired = world.nodes.iter().filter(|node| suits(node)).count();
    actions.extend(Action::status(
        "daemonsets",
        owner,
        status(owner, pods, desired, &revision),
    ));
    actions
}

fn pod(owner: &Value, revision: &str) -> Value {
    let mut pod = pod_from(owner);
    set(
        &mut pod,
        &["metadata", "generateName"],
        json!(format!("{}-", name(owner))),
    );
    set(&mut pod, &["metadata", "labels", REVISION], json!(revision));
    let mut tolerations = items(&pod, "/spec/tolerations").to_vec();
    for (key, effect) in [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ] {
        tolerations.push(json!({"key": format!("{KEY}{key}"), "operator": "Exists", "effect": effect}));
    }
    set(&mut pod, &["spec", "tolerations"], json!(tolerations));
    pod
}

fn status(owner: &Value, pods: &[Arc<Value>], desired: usize, revision: &str) -> Value {
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let updated = pods
        .iter()
        .filter(|pod| pod["metadata"]["labels"][REVISION] == json!(revision))
        .count();
    let mut status = json!({
        "observedGeneration": number(owner, "/metadata/generation"), "currentNumberScheduled": pods.len(),
        "desiredNumberScheduled": desired, "numberReady": ready, "numberMisscheduled": 0,
    });
    set_count(&mut status, "updatedNumberScheduled", updated);
    set_count(&mut status, "numberAvailable", ready);
    set_count(&mut status, "numberUnavailable", desired.saturating_sub(ready));
    status
}
