//! Pods without a node get the emptiest one that suits them, or a condition that says why there is none.

use super::Action;
use super::placement::{claims_of, obstacle};
use super::resources::Use;
use super::world::{World, has_ended, owner_uid};
use crate::clock;
use crate::cluster::Part;
use crate::json::{is_terminating, items, name, namespace, set, text};
use crate::kinds;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub fn actions(world: &World) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut load = load(world);
    let mut used = Use::of(world);
    for pod in &world.pods {
        if !text(pod, "/spec/nodeName").is_empty() || is_terminating(pod) || has_ended(pod) {
            continue;
        }
        match choose(world, pod, &load, &used) {
            Ok(node) => {
                used.add(&node, pod);
                *load.entry((node.clone(), String::new())).or_default() += 1;
                *load.entry((node.clone(), owner_uid(pod).to_owned())).or_default() += 1;
                actions.push(bind(pod, &node));
            }
            Err(why) => actions.extend(refuse(pod, &why)),
        }
    }
    actions
}

/// Pods on each node, all together and by owner.
type Load = BTreeMap<(String, String), i64>;

fn load(world: &World) -> Load {
    let mut load = Load::new();
    for pod in world.pods.iter().filter(|pod| !has_ended(pod)) {
        let node = text(pod, "/spec/nodeName").to_owned();
        *load.entry((node.clone(), owner_uid(pod).to_owned())).or_default() += 1;
        *load.entry((node, String::new())).or_default() += 1;
    }
    load
}

fn choose(world: &World, pod: &Value, load: &Load, used: &Use) -> Result<String, String> {
    for claim in claims_of(pod) {
        if world.claim(namespace(pod), claim).is_none() {
            let why = format!("persistentvolumeclaim \"{claim}\" not found");
            return Err(refusal(world, &[format!("{} {why}", world.nodes.len())], false));
        }
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut suitable = Vec::new();
    for node in &world.nodes {
        let count = |owner: &str| {
            load.get(&(name(node).to_owned(), owner.to_owned()))
                .copied()
                .unwrap_or_default()
        };
        let room: i64 = text(node, "/status/allocatable/pods").parse().unwrap_or(110);
        let full = || (count("") >= room).then_some("Too many pods");
        let lacks = || full().or_else(|| used.lack(node, pod)).map(str::to_owned);
        match obstacle(world, pod, node).or_else(lacks) {
            Some(why) => *reasons.entry(why).or_default() += 1,
            None => suitable.push((count(owner_uid(pod)), count(""), name(node))),
        }
    }
    suitable.sort_unstable();
    if let Some((_, _, node)) = suitable.first() {
        return Ok((*node).to_owned());
    }
    let crowded = reasons
        .keys()
        .any(|why| why.starts_with("Insufficient") || why == "Too many pods");
    let mut reasons: Vec<String> = reasons
        .iter()
        .map(|(why, count)| format!("{count} {why}"))
        .collect();
    reasons.sort_unstable();
    Err(refusal(world, &reasons, crowded))
}

/// The scheduler also says that putting other pods out would not help.
fn refusal(world: &World, reasons: &[String], crowded: bool) -> String {
    let nodes = world.nodes.len();
    if nodes == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let available = format!("0/{nodes} nodes are available: {}.", reasons.join(", "));
    let why = if crowded {
        "No preemption victims found for incoming pod"
    } else {
        "Preemption is not helpful for scheduling"
    };
    format!("{available} preemption: 0/{nodes} nodes are available: {nodes} {why}.")
}

fn bind(pod: &Arc<Value>, node: &str) -> Action {
    let mut bound = pod.as_ref().clone();
    set(&mut bound, &["spec", "nodeName"], json!(node));
    set_condition(
        &mut bound,
        json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": clock::seconds()}),
    );
    Action::Replace(kinds::of("pods"), Arc::clone(pod), bound, Part::SpecAndStatus)
}

fn refuse(pod: &Arc<Value>, why: &str) -> Option<Action> {
    let is_known = items(pod, "/status/conditions")
        .iter()
        .any(|c| text(c, "/message") == why);
    if is_known {
        return None;
    }
    let mut refused = pod.as_ref().clone();
    let condition = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why,
        "lastTransitionTime": clock::seconds(),
    });
    set_condition(&mut refused, condition);
    Some(Action::Replace(
        kinds::of("pods"),
        Arc::clone(pod),
        refused,
        Part::Status,
    ))
}

pub fn set_condition(object: &mut Value, condition: Value) {
    let kind = text(&condition, "/type").to_owned();
    let mut conditions = items(object, "/status/conditions").to_vec();
    conditions.retain(|c| text(c, "/type") != kind);
    conditions.push(condition);
    set(object, &["status", "conditions"], json!(conditions));
}
