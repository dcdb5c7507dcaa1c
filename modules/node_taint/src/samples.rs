//! Clusters in a few words, for the tables of tests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::params::Params;
use crate::state::State;
use cluster::{Node, Pod};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const TAINT: &str = "node-role.kubernetes.io/control-plane";

/// Options with these differences.
pub(crate) fn options(more: Value) -> Result<Params, String> {
    let all = with(json!({"nodes": ["c1"]}), more);
    serde_json::from_value(all).map_err(|error| error.to_string())
}

/// One object with another laid over it.
fn with(mut under: Value, over: Value) -> Value {
    match (&mut under, over) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                let old = fields.remove(&key).unwrap_or_default();
                fields.insert(key, with(old, value));
            }
            under
        }
        (_, over) => over,
    }
}

pub(crate) fn node(name: &str, more: Value) -> Node {
    let node = json!({
        "metadata": {"name": name, "resourceVersion": "7", "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    serde_json::from_value(with(node, more)).unwrap()
}

/// Of a Deployment that is called as the pod without what follows its last `-`.
pub(crate) fn pod(name: &str, node: &str, more: Value) -> Pod {
    let (owner, _) = name.rsplit_once('-').unwrap_or((name, ""));
    let owner = json!([{"kind": "ReplicaSet", "name": format!("{owner}-5448b494b7"), "controller": true}]);
    let labels = json!({"pod-template-hash": "5448b494b7"});
    let pod = json!({
        "metadata": {"name": name, "namespace": "demo", "labels": labels, "ownerReferences": owner},
        "spec": {"nodeName": node},
        "status": {"phase": "Running"},
    });
    serde_json::from_value(with(pod, more)).unwrap()
}

pub(crate) fn claimed(name: &str, node: &str) -> Pod {
    let volumes = json!([{"name": "scratch", "emptyDir": {}}, {"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]);
    pod(name, node, json!({"spec": {"volumes": volumes}}))
}

pub(crate) fn state(nodes: Vec<Node>, pods: Vec<Pod>) -> State {
    State {
        nodes,
        pods,
        volumes: BTreeMap::new(),
    }
}
