//! `PodDisruptionBudget`s: how many of their pods may go now.

use super::Action;
use super::world::{World, has_ended, is_ready, owner, owner_uid};
use crate::api::evict::guards;
use crate::clock;
use crate::controllers::world::condition_of;
use crate::json::{is_terminating, name, number, uid};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An eviction that was allowed, and whose pod still stands after this, is forgotten.
const FORGET_SECONDS: i64 = 120;

pub fn actions(world: &World) -> Vec<Action> {
    let changed = |budget| Action::status("poddisruptionbudgets", budget, status(world, budget));
    world.budgets.iter().filter_map(changed).collect()
}

fn status(world: &World, budget: &Value) -> Value {
    let pods: Vec<&Arc<Value>> = world
        .pods
        .iter()
        .filter(|pod| guards(budget, pod) && !has_ended(pod))
        .collect();
    let disrupted = disrupted(budget, &pods);
    let healthy =
        |pod: &&&Arc<Value>| is_ready(pod) && !is_terminating(pod) && !disrupted.contains_key(name(pod));
    let healthy = as_number(pods.iter().filter(healthy).count());
    let (expected, desired) = expectation(world, budget, &pods);
    let allowed = if expected > 0 {
        (healthy - desired).max(0)
    } else {
        0
    };
    let mut status = json!({
        "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected,
        "disruptionsAllowed": allowed, "observedGeneration": number(budget, "/metadata/generation"),
    });
    if !disrupted.is_empty() {
        status["disruptedPods"] = Value::Object(disrupted);
    }
    let reason = if allowed > 0 {
        "SufficientPods"
    } else {
        "InsufficientPods"
    };
    let mut condition = condition_of("DisruptionAllowed", allowed > 0, reason, "", budget);
    condition["observedGeneration"] = json!(number(budget, "/metadata/generation"));
    status["conditions"] = json!([condition]);
    status
}

/// Evictions that were allowed and have not shown yet.
fn disrupted(budget: &Value, pods: &[&Arc<Value>]) -> Map<String, Value> {
    let noted = budget.pointer("/status/disruptedPods").and_then(Value::as_object);
    let stands = |pod: &str| pods.iter().any(|p| name(p) == pod && !is_terminating(p));
    let recent = |time: &Value| clock::age(time.as_str().unwrap_or_default()) < FORGET_SECONDS;
    let kept = noted
        .into_iter()
        .flatten()
        .filter(|(pod, time)| stands(pod) && recent(time));
    kept.map(|(pod, time)| (pod.clone(), time.clone())).collect()
}

/// How many pods there should be, and how many of them must stay.
fn expectation(world: &World, budget: &Value, pods: &[&Arc<Value>]) -> (i64, i64) {
    let present = as_number(pods.len());
    let (least, most) = (&budget["spec"]["minAvailable"], &budget["spec"]["maxUnavailable"]);
    if !most.is_null() {
        let expected = scale(world, pods);
        return (expected, (expected - share(most, expected)).max(0));
    }
    match least {
        Value::String(_) => {
            let expected = scale(world, pods);
            (expected, share(least, expected))
        }
        Value::Number(_) => (present, share(least, present)),
        _ => (present, present.min(1)),
    }
}

/// The sum of what the pods' owners want.
fn scale(world: &World, pods: &[&Arc<Value>]) -> i64 {
    let mut owners: BTreeMap<&str, i64> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| owner(pod).is_some()) {
        let same = |object: &&Arc<Value>| uid(object) == owner_uid(pod);
        let found = world.replicasets.iter().chain(&world.statefulsets).find(same);
        owners.insert(
            owner_uid(pod),
            found.map_or(1, |owner| number(owner, "/spec/replicas")),
        );
    }
    owners.values().sum()
}

/// A number, or a percentage rounded up.
fn share(value: &Value, total: i64) -> i64 {
    match value {
        Value::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or_default();
            (total * percent + 99) / 100
        }
        other => other.as_i64().unwrap_or_default(),
    }
}

fn as_number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_up() {
        assert_eq!(share(&json!("50%"), 3), 2);
        assert_eq!(share(&json!("100%"), 3), 3);
        assert_eq!(share(&json!(2), 3), 2);
    }
}
