//! Deployments: one `ReplicaSet` for each template they had.

use super::Action;
use super::world::{World, condition_of, hash, owner_uid, reference, set_count};
use crate::cluster::Part;
use crate::json::{default, is_terminating, name, namespace, number, set, text, uid};
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;

const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

pub fn actions(world: &World) -> Vec<Action> {
    let live = world
        .deployments
        .iter()
        .filter(|deployment| !is_terminating(deployment));
    live.flat_map(|deployment| one(world, deployment)).collect()
}

fn one(world: &World, deployment: &Arc<Value>) -> Vec<Action> {
    let hash = hash(&deployment["spec"]["template"]);
    let sets: Vec<&Arc<Value>> = world
        .replicasets
        .iter()
        .filter(|set| owner_uid(set) == uid(deployment))
        .collect();
    let is_new = |set: &Value| set["metadata"]["labels"][HASH] == json!(hash);
    let (new, old): (Vec<_>, Vec<_>) = sets.into_iter().partition(|set| is_new(set));
    let wanted = number(deployment, "/spec/replicas");
    let mut actions = Vec::new();
    if let Some(set) = new.first() {
        let recreate = text(deployment, "/spec/strategy/type") == "Recreate";
        let busy = recreate && old.iter().any(|set| !world.pods_of(set).is_empty());
        actions.extend((!busy).then(|| scale(set, wanted)).flatten());
        // Old pods go as the new ones come.
        let ready = number(set, "/status/readyReplicas");
        let spare = if recreate { 0 } else { (wanted - ready).max(0) };
        let shrink = |set: &&Arc<Value>| scale(set, number(set, "/spec/replicas").min(spare));
        actions.extend(old.iter().filter_map(shrink));
    } else {
        let first = old.is_empty() || text(deployment, "/spec/strategy/type") != "Recreate";
        let replicas = if first { wanted } else { 0 };
        actions.push(new_set(deployment, &hash, replicas, old.len() + 1));
    }
    let all: Vec<&Arc<Value>> = new.iter().chain(&old).copied().collect();
    actions.extend(Action::status(
        "deployments",
        deployment,
        status(deployment, new.first().copied(), &all),
    ));
    actions
}

fn scale(set: &Arc<Value>, wanted: i64) -> Option<Action> {
    if number(set, "/spec/replicas") == wanted {
        return None;
    }
    let mut scaled = set.as_ref().clone();
    crate::json::set(&mut scaled, &["spec", "replicas"], json!(wanted));
    Some(Action::Replace(
        kinds::of("replicasets"),
        Arc::clone(set),
        scaled,
        Part::Main,
    ))
}

fn new_set(deployment: &Value, hash: &str, replicas: i64, revision: usize) -> Action {
    let mut template = deployment["spec"]["template"].clone();
    set(&mut template, &["metadata", "labels", HASH], json!(hash));
    let mut selector = deployment["spec"]["selector"].clone();
    default(&mut selector, &["matchLabels", HASH], json!(hash));
    let object = json!({
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)), "namespace": namespace(deployment),
            "labels": template["metadata"]["labels"], "ownerReferences": reference(deployment),
            "annotations": {REVISION: revision.to_string()},
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    });
    Action::Create(kinds::of("replicasets"), object)
}

fn status(deployment: &Value, new: Option<&Arc<Value>>, all: &[&Arc<Value>]) -> Value {
    let sum = |pointer: &str| all.iter().map(|set| number(set, pointer)).sum::<i64>();
    let (replicas, ready) = (sum("/status/replicas"), sum("/status/readyReplicas"));
    let updated = new.map_or(0, |set| number(set, "/status/replicas"));
    let wanted = number(deployment, "/spec/replicas");
    let available = if ready >= wanted - may_lack(deployment, wanted) {
        condition_of(
            "Available",
            true,
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
            deployment,
        )
    } else {
        condition_of(
            "Available",
            false,
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
            deployment,
        )
    };
    let set = new.map_or("", |set| name(set));
    let progressing = if ready >= wanted && updated == wanted && replicas == wanted {
        let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
        condition_of(
            "Progressing",
            true,
            "NewReplicaSetAvailable",
            &message,
            deployment,
        )
    } else {
        let message = format!("ReplicaSet \"{set}\" is progressing.");
        condition_of("Progressing", true, "ReplicaSetUpdated", &message, deployment)
    };
    let conditions = [available, progressing].map(|mut condition| {
        condition["lastUpdateTime"] = condition["lastTransitionTime"].clone();
        condition
    });
    let mut status = json!({
        "observedGeneration": number(deployment, "/metadata/generation"), "conditions": conditions,
    });
    for (field, number) in [
        ("replicas", replicas),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("unavailableReplicas", wanted - ready),
    ] {
        set_count(&mut status, field, usize::try_from(number).unwrap_or_default());
    }
    status
}

/// How many pods may be missing before a deployment is called unavailable: a number, or a share, rounded down.
fn may_lack(deployment: &Value, wanted: i64) -> i64 {
    if text(deployment, "/spec/strategy/type") == "Recreate" {
        return 0;
    }
    let most = deployment.pointer("/spec/strategy/rollingUpdate/maxUnavailable");
    match most {
        Some(Value::Number(number)) => number.as_i64().unwrap_or_default(),
        Some(Value::String(share)) => {
            wanted * share.trim_end_matches('%').parse::<i64>().unwrap_or_default() / 100
        }
        _ => wanted / 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_may_lack_a_quarter_unless_it_says_otherwise() {
        let lack = |strategy: Value, wanted| may_lack(&json!({"spec": {"strategy": strategy}}), wanted);
        assert_eq!(lack(json!({}), 3), 0);
        assert_eq!(lack(json!({}), 4), 1);
        assert_eq!(lack(json!({"rollingUpdate": {"maxUnavailable": 2}}), 3), 2);
        assert_eq!(lack(json!({"rollingUpdate": {"maxUnavailable": "50%"}}), 3), 1);
        assert_eq!(lack(json!({"type": "Recreate"}), 8), 0);
    }
}
