//! `ReplicaSet`s: as many pods as wanted, wherever.

use super::Action;
use super::world::{World, is_active, is_ready, pod_from, set_count};
use crate::json::{is_terminating, name, number, set, text};
use crate::kinds;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::sync::Arc;

pub fn actions(world: &World) -> Vec<Action> {
    let live = world.replicasets.iter().filter(|set| !is_terminating(set));
    live.flat_map(|set| one(world, set)).collect()
}

fn one(world: &World, owner: &Arc<Value>) -> Vec<Action> {
    let mut pods: Vec<&Arc<Value>> = world.pods_of(owner).iter().filter(|pod| is_active(pod)).collect();
    let wanted = usize::try_from(number(owner, "/spec/replicas")).unwrap_or_default();
    let mut actions = Vec::new();
    for _ in pods.len()..wanted {
        let mut pod = pod_from(owner);
        set(
            &mut pod,
            &["metadata", "generateName"],
            json!(format!("{}-", name(owner))),
        );
        actions.push(Action::Create(kinds::of("pods"), pod));
    }
    let status = status(owner, &pods);
    if pods.len() > wanted {
        // Those that would be missed least go first.
        pods.sort_by_key(|pod| {
            let unscheduled = text(pod, "/spec/nodeName").is_empty();
            (
                Reverse(unscheduled),
                is_ready(pod),
                Reverse(text(pod, "/metadata/creationTimestamp").to_owned()),
            )
        });
        actions.extend(
            pods.iter()
                .take(pods.len() - wanted)
                .map(|pod| Action::delete("pods", pod)),
        );
    }
    actions.extend(Action::status("replicasets", owner, status));
    actions
}

fn status(owner: &Value, pods: &[&Arc<Value>]) -> Value {
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let mut status =
        json!({"observedGeneration": number(owner, "/metadata/generation"), "replicas": pods.len()});
    set_count(&mut status, "fullyLabeledReplicas", pods.len());
    set_count(&mut status, "readyReplicas", ready);
    set_count(&mut status, "availableReplicas", ready);
    status
}
