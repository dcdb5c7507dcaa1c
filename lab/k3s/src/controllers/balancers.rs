//! k3s's own load balancer: for each Service that wants one, a `DaemonSet` in `kube-system` whose pods would forward
//! its ports, and the addresses of their nodes in the Service's status.

use super::Action;
use super::world::{World, is_ready};
use crate::cluster::Part;
use crate::json::{is_terminating, items, name, namespace, set, text, uid};
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
    let found = world
        .daemonsets
        .iter()
        .find(|set| namespace(set) == SYSTEM && name(set) == own);
    let Some(found) = found else {
        return Some(Action::Create(kinds::of("daemonsets"), daemon_set(service, &own)));
    };
    let pods = world.pods_of(found).iter().filter(|pod| is_ready(pod));
    let nodes = pods.filter_map(|pod| world.node(text(pod, "/spec/nodeName")));
    let addresses: BTreeSet<&str> = nodes.filter_map(|node| address(node)).collect();
    let ingress: Vec<Value> = addresses
        .into_iter()
        .map(|ip| json!({"ip": ip, "ipMode": "VIP"}))
        .collect();
    let balancer = if ingress.is_empty() {
        json!({})
    } else {
        json!({"ingress": ingress})
    };
    if service["status"]["loadBalancer"] == balancer {
        return None;
    }
    let mut new = service.as_ref().clone();
    set(&mut new, &["status", "loadBalancer"], balancer);
    Some(Action::Replace(
        kinds::of("services"),
        Arc::clone(service),
        new,
        Part::Status,
    ))
}

fn address(node: &Value) -> Option<&str> {
    let addresses = items(node, "/status/addresses");
    let of = |kind: &str| addresses.iter().find(|a| text(a, "/type") == kind);
    of("ExternalIP")
        .or_else(|| of("InternalIP"))
        .map(|a| text(a, "/address"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_a_container() {
        let service = json!({
            "metadata": {"name": "traefik", "namespace": "kube-system", "uid": "1a2b3c4d-0000"},
            "spec": {"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]},
        });
        assert_eq!(set_name(&service), "svclb-traefik-1a2b3c4d");
        let set = daemon_set(&service, "svclb-traefik-1a2b3c4d");
        let names: Vec<&str> = items(&set, "/spec/template/spec/containers")
            .iter()
            .map(|c| text(c, "/name"))
            .collect();
        assert_eq!(names, ["lb-tcp-80", "lb-udp-53"]);
        assert!(is_ours(&set));
    }
}
