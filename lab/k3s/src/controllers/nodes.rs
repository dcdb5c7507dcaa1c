//! Nodes: their pod networks, what a stopped lease means, and what goes with a deleted node.

use super::Action;
use super::placement::covers;
use super::scheduler::set_condition;
use super::world::World;
use crate::clock::{self, paced};
use crate::cluster::Part;
use crate::json::{condition, is_terminating, items, name, set, text};
use crate::kinds;
use crate::supervisor::password_secret;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const GRACE_SECONDS: f64 = 40.0;
/// At any pace more than an election of etcd takes, in which no lease is renewed, or a machine that stands still while its
/// disk writes. In reality both are over in half the grace.
const LEAST_GRACE: Duration = Duration::from_secs(10);
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const LOST: &str = "Kubelet stopped posting node status.";
const FINALIZER: &str = "wrangler.cattle.io/node";
/// Between the two taints of a lost node.
const EXECUTE_SECONDS: f64 = 5.0;

/// When this server last saw a lease move, and first saw a taint. Times of other machines are not compared.
#[derive(Default)]
pub struct Watcher {
    leases: BTreeMap<String, (String, Instant)>,
    tainted: BTreeMap<String, Instant>,
}

impl Watcher {
    fn silence(&mut self, world: &World, node: &str) -> Duration {
        let lease = world.leases.iter().find(|lease| name(lease) == node);
        let renewed = lease
            .map_or("", |lease| text(lease, "/spec/renewTime"))
            .to_owned();
        let seen = self
            .leases
            .entry(node.to_owned())
            .or_insert_with(|| (renewed.clone(), Instant::now()));
        if seen.0 != renewed {
            *seen = (renewed, Instant::now());
        }
        seen.1.elapsed()
    }
}

pub fn actions(world: &World, watcher: &mut Watcher) -> Vec<Action> {
    let mut actions = Vec::new();
    let grace = paced(GRACE_SECONDS).max(LEAST_GRACE);
    for node in &world.nodes {
        let lost = watcher.silence(world, name(node)) > grace;
        actions.extend(forget_password(world, node));
        actions.extend(care(world, node, lost, watcher));
        actions.extend(evict(world, node, watcher));
    }
    actions.extend(orphans(world));
    actions
}

/// Everything that is to change on one node, in one write.
fn care(world: &World, node: &Arc<Value>, lost: bool, watcher: &mut Watcher) -> Option<Action> {
    let mut new = node.as_ref().clone();
    if text(node, "/spec/podCIDR").is_empty() {
        let network = free_network(world);
        set(&mut new, &["spec", "podCIDR"], json!(network));
        set(&mut new, &["spec", "podCIDRs"], json!([network]));
    }
    if lost && condition(node, "Ready") != "Unknown" {
        declare_lost(&mut new);
    }
    taint(&mut new, watcher);
    taint_pressure(&mut new);
    hold(&mut new);
    (*node.as_ref() != new)
        .then(|| Action::Replace(kinds::of("nodes"), Arc::clone(node), new, Part::SpecAndStatus))
}

fn free_network(world: &World) -> String {
    let used: BTreeSet<&str> = world
        .nodes
        .iter()
        .map(|node| text(node, "/spec/podCIDR"))
        .collect();
    let mut networks = (0..=255).map(|number| format!("10.42.{number}.0/24"));
    networks
        .find(|network| !used.contains(network.as_str()))
        .unwrap_or_default()
}

fn declare_lost(node: &mut Value) {
    let now = clock::seconds();
    for kind in ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"] {
        let old = items(node, "/status/conditions")
            .iter()
            .find(|c| text(c, "/type") == kind);
        let heartbeat = old
            .map_or(now.as_str(), |c| text(c, "/lastHeartbeatTime"))
            .to_owned();
        let unknown = json!({
            "type": kind, "status": "Unknown", "reason": "NodeStatusUnknown", "message": LOST,
            "lastHeartbeatTime": heartbeat, "lastTransitionTime": now,
        });
        set_condition(node, unknown);
    }
}

/// The taints that follow from the condition: first no new pods, a little later no pods.
fn taint(node: &mut Value, watcher: &mut Watcher) {
    let key = match condition(node, "Ready") {
        "True" => None,
        "Unknown" => Some(UNREACHABLE),
        _ => Some(NOT_READY),
    };
    let since = match key {
        None => {
            watcher.tainted.remove(name(node));
            None
        }
        Some(_) => Some(
            *watcher
                .tainted
                .entry(name(node).to_owned())
                .or_insert_with(Instant::now),
        ),
    };
    let execute =
        key == Some(UNREACHABLE) && since.is_some_and(|since| since.elapsed() > paced(EXECUTE_SECONDS));
    let wanted = |taint: &Value| {
        let own = [NOT_READY, UNREACHABLE].contains(&text(taint, "/key"));
        !own || Some(text(taint, "/key")) == key && (text(taint, "/effect") == "NoSchedule" || execute)
    };
    let mut taints: Vec<Value> = items(node, "/spec/taints")
        .iter()
        .filter(|taint| wanted(taint))
        .cloned()
        .collect();
    for (effect, wanted) in [("NoSchedule", key.is_some()), ("NoExecute", execute)] {
        let there = taints
            .iter()
            .any(|t| Some(text(t, "/key")) == key && text(t, "/effect") == effect);
        if wanted && !there {
            taints.push(json!({"key": key, "effect": effect, "timeAdded": clock::seconds()}));
        }
    }
    if taints.is_empty() {
        crate::json::remove(node, &["spec", "taints"]);
    } else {
        set(node, &["spec", "taints"], json!(taints));
    }
}

/// No new pods where something runs short.
fn taint_pressure(node: &mut Value) {
    for (kind, key) in [
        ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
        ("DiskPressure", "node.kubernetes.io/disk-pressure"),
        ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ] {
        let presses = condition(node, kind) == "True";
        let mut taints = items(node, "/spec/taints").to_vec();
        let there = taints.iter().any(|taint| text(taint, "/key") == key);
        if presses && !there {
            taints.push(json!({"key": key, "effect": "NoSchedule", "timeAdded": clock::seconds()}));
        } else if !presses && there {
            taints.retain(|taint| text(taint, "/key") != key);
        }
        if taints.is_empty() {
            crate::json::remove(node, &["spec", "taints"]);
        } else {
            set(node, &["spec", "taints"], json!(taints));
        }
    }
}

/// k3s's own finalizer holds a node until its traces are gone; etcd's, which goes first, is the etcd room's.
fn hold(node: &mut Value) {
    let mut finalizers = items(node, "/metadata/finalizers").to_vec();
    finalizers.retain(|finalizer| finalizer.as_str() != Some(FINALIZER));
    if !is_terminating(node) || !finalizers.is_empty() {
        finalizers.push(json!(FINALIZER));
    }
    set(node, &["metadata", "finalizers"], json!(finalizers));
}

/// Pods that do not tolerate a `NoExecute` taint go, at once or when their patience ends.
fn evict(world: &World, node: &Value, watcher: &Watcher) -> Vec<Action> {
    let Some(taint) = items(node, "/spec/taints")
        .iter()
        .find(|t| text(t, "/effect") == "NoExecute")
    else {
        return Vec::new();
    };
    let (key, value) = (text(taint, "/key"), text(taint, "/value"));
    let here = world
        .pods
        .iter()
        .filter(|pod| text(pod, "/spec/nodeName") == name(node) && !is_terminating(pod));
    let mut actions = Vec::new();
    for pod in here {
        let tolerations = items(pod, "/spec/tolerations")
            .iter()
            .filter(|t| covers(t, key, value, "NoExecute"));
        let patience: Vec<Option<f64>> = tolerations.map(|t| t["tolerationSeconds"].as_f64()).collect();
        let waited = watcher.tainted.get(name(node)).map(Instant::elapsed);
        let patient =
            |seconds: &Option<f64>| seconds.is_none_or(|s| waited.is_none_or(|waited| waited < paced(s)));
        if !patience.iter().any(patient) {
            actions.push(Action::delete("pods", pod));
        } else if key == UNREACHABLE {
            actions.extend(not_ready(pod));
        }
    }
    actions
}

/// Pods of a lost node are not counted on.
fn not_ready(pod: &Arc<Value>) -> Option<Action> {
    if condition(pod, "Ready") != "True" {
        return None;
    }
    let mut new = pod.as_ref().clone();
    set_condition(
        &mut new,
        json!({"type": "Ready", "status": "False", "lastTransitionTime": clock::seconds()}),
    );
    Some(Action::Replace(
        kinds::of("pods"),
        Arc::clone(pod),
        new,
        Part::Status,
    ))
}

/// Pods of deleted nodes; nobody is left to stop them in order.
fn orphans(world: &World) -> Vec<Action> {
    let known: BTreeSet<&str> = world.nodes.iter().map(|node| name(node)).collect();
    let lost = |pod: &&Arc<Value>| {
        let node = text(pod, "/spec/nodeName");
        !node.is_empty() && !known.contains(node)
    };
    world
        .pods
        .iter()
        .filter(lost)
        .map(|pod| Action::Kill(Arc::clone(pod)))
        .collect()
}

/// A node that goes takes its password along, so that a rebuilt one can come under its name.
fn forget_password(world: &World, node: &Value) -> Option<Action> {
    if !is_terminating(node) {
        return None;
    }
    let secret = password_secret(name(node));
    world
        .secrets
        .iter()
        .find(|object| name(object) == secret)
        .map(|object| Action::delete("secrets", object))
}
