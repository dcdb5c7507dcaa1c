//! k3s's own load balancer: for each Service that wants one, a `DaemonSet` in `kube-system` whose pods would forward
//! its ports. The Service gets no address: nobody reads it.

use super::Action;
use super::world::World;
use crate::json::{is_terminating, items, name, namespace, text, uid};
use crate::kinds;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const SYSTEM: &str = "kube-system";
const SERVICE: &str = "svccontroller.k3s.cattle.io/svcname";
const SPACE: &str = "svccontroller.k3s.cattle.io/svcnamespace";
const IMAGE: &str = "rancher/klipper-lb:v0.4.9";

pub fn actions(world: &World, enabled: bool) -> Vec<Action> {
    let services: Vec<&Arc<Value>> = world
        .namespaced
        .get("services")
        .into_iter()
        .flatten()
        .filter(|service| {
            enabled && text(service, "/spec/type") == "LoadBalancer" && !is_terminating(service)
        })
        .collect();
    let mut actions: Vec<Action> = services
        .iter()
        .filter_map(|service| one(world, service))
        .collect();
    let wanted: BTreeSet<String> = services.iter().map(|service| set_name(service)).collect();
    let surplus = world
        .daemonsets
        .iter()
        .filter(|set| is_ours(set) && !wanted.contains(name(set)) && !is_terminating(set));
    actions.extend(surplus.map(|set| Action::delete("daemonsets", set)));
    actions
}

fn is_ours(set: &Value) -> bool {
    namespace(set) == SYSTEM && set["metadata"]["labels"].get(SERVICE).is_some()
}

/// With a part of the uid: Services of the same name do not get in each other's way.
fn set_name(service: &Value) -> String {
    let plain = format!("svclb-{}", name(service));
    match uid(service).get(..8) {
        Some(part) => format!("{plain}-{part}"),
        None => plain,
    }
}

fn one(world: &World, service: &Arc<Value>) -> Option<Action> {
    let own = set_name(service);
    let found = world.find("daemonsets", SYSTEM, &own);
    let made = || Action::Create(kinds::of("daemonsets"), daemon_set(service, &own));
    found.is_none().then(made)
}

fn daemon_set(service: &Value, own: &str) -> Value {
    let labels = json!({"app": own, SERVICE: name(service), SPACE: namespace(service)});
    let container = |port: &Value| {
        let protocol = text(port, "/protocol");
        let protocol = if protocol.is_empty() { "TCP" } else { protocol }.to_lowercase();
        let number = &port["port"];
        json!({"name": format!("lb-{protocol}-{number}"), "image": IMAGE, "ports": [{
            "name": format!("lb-{protocol}-{number}"), "containerPort": number, "hostPort": number,
        }]})
    };
    let containers: Vec<Value> = items(service, "/spec/ports").iter().map(container).collect();
    let tolerations = json!([
        {"key": "node-role.kubernetes.io/master", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "CriticalAddonsOnly", "operator": "Exists"},
    ]);
    json!({
        "metadata": {"name": own, "namespace": SYSTEM, "labels": labels},
        "spec": {
            "selector": {"matchLabels": {"app": own}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": containers, "tolerations": tolerations, "automountServiceAccountToken": false},
            },
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        },
    })
}
