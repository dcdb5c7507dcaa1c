//! `StatefulSet`s: numbered pods, one after the other.

use super::Action;
use super::world::{World, has_ended, hash, is_ready, pod_from, set_count};
use crate::json::{is_terminating, name, number, set, text};
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;

const REVISION: &str = "controller-revision-hash";

pub fn actions(world: &World) -> Vec<Action> {
    let live = world.statefulsets.iter().filter(|set| !is_terminating(set));
    live.flat_map(|set| one(world, set)).collect()
}

fn one(world: &World, owner: &Arc<Value>) -> Vec<Action> {
    let pods = world.pods_of(owner);
    let find = |ordinal: i64| pods.iter().find(|pod| name(pod) == pod_name(owner, ordinal));
    let wanted = number(owner, "/spec/replicas");
    let revision = hash(&owner["spec"]["template"]);
    let mut actions = Vec::new();
    let mut settled = true;
    for ordinal in 0..wanted {
        let ready = find(ordinal).is_some_and(|pod| is_ready(pod) && !is_terminating(pod));
        match find(ordinal) {
            None => actions.push(Action::Create(kinds::of("pods"), pod(owner, ordinal, &revision))),
            Some(pod) if has_ended(pod) && !is_terminating(pod) => actions.push(Action::delete("pods", pod)),
            Some(_) => {}
        }
        settled &= ready;
        if !ready && text(owner, "/spec/podManagementPolicy") != "Parallel" {
            break;
        }
    }
    if settled {
        actions.extend(shrink_or_update(owner, pods, wanted, &revision));
    }
    actions.extend(Action::status(
        "statefulsets",
        owner,
        status(owner, pods, &revision),
    ));
    actions
}

/// One pod at a time, the highest number first.
fn shrink_or_update(owner: &Value, pods: &[Arc<Value>], wanted: i64, revision: &str) -> Option<Action> {
    let by_number = |pod: &&Arc<Value>| ordinal(owner, pod);
    if pods.iter().any(|pod| is_terminating(pod)) {
        return None;
    }
    let surplus = pods
        .iter()
        .filter(|pod| ordinal(owner, pod) >= wanted)
        .max_by_key(by_number);
    let frozen = text(owner, "/spec/updateStrategy/type") == "OnDelete";
    let old = |pod: &&Arc<Value>| !frozen && pod["metadata"]["labels"][REVISION] != json!(revision);
    let chosen = surplus.or_else(|| pods.iter().filter(old).max_by_key(by_number));
    chosen.map(|pod| Action::delete("pods", pod))
}

fn pod_name(owner: &Value, ordinal: i64) -> String {
    format!("{}-{ordinal}", name(owner))
}

fn ordinal(owner: &Value, pod: &Value) -> i64 {
    let number = name(pod)
        .strip_prefix(name(owner))
        .and_then(|rest| rest.strip_prefix('-')?.parse().ok());
    number.unwrap_or_default()
}

fn pod(owner: &Value, ordinal: i64, revision: &str) -> Value {
    let mut pod = pod_from(owner);
    let own = pod_name(owner, ordinal);
    set(&mut pod, &["metadata", "name"], json!(own));
    set(&mut pod, &["metadata", "labels", REVISION], json!(revision));
    set(
        &mut pod,
        &["metadata", "labels", "statefulset.kubernetes.io/pod-name"],
        json!(own),
    );
    set(&mut pod, &["spec", "hostname"], json!(own));
    pod
}

fn status(owner: &Value, pods: &[Arc<Value>], revision: &str) -> Value {
    let live: Vec<&Arc<Value>> = pods.iter().filter(|pod| !is_terminating(pod)).collect();
    let ready = live.iter().filter(|pod| is_ready(pod)).count();
    let updated = live
        .iter()
        .filter(|pod| pod["metadata"]["labels"][REVISION] == json!(revision))
        .count();
    let revision = format!("{}-{revision}", name(owner));
    let mut status = json!({
        "observedGeneration": number(owner, "/metadata/generation"), "replicas": live.len(),
        "availableReplicas": ready, "currentRevision": revision, "updateRevision": revision,
    });
    set_count(&mut status, "readyReplicas", ready);
    set_count(&mut status, "currentReplicas", updated);
    set_count(&mut status, "updatedReplicas", updated);
    status
}
