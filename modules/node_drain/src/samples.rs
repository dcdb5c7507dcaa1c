//! Clusters in a few words, for the tables of tests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::cordon::Record;
use crate::params::Params;
use crate::state::State;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) fn now() -> SystemTime {
    SystemTime::from(OffsetDateTime::parse("2026-01-01T00:00:00Z", &Rfc3339).unwrap())
}

pub(crate) fn node(unschedulable: bool, run: Option<&str>) -> Value {
    let mut node = json!({
        "metadata": {"name": "n1", "resourceVersion": "7", "labels": {"kubernetes.io/hostname": "n1"}, "annotations": {}},
        "spec": {"unschedulable": unschedulable},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    if let Some(run) = run {
        node["metadata"]["annotations"][Record::ANNOTATION] = json!({"run": run}).to_string().into();
    }
    node
}

pub(crate) fn state(node: Value, pods: &[Value]) -> State {
    State {
        now: now(),
        node: serde_json::from_value(node).unwrap(),
        other_nodes: 2,
        pods: pods
            .iter()
            .map(|pod| serde_json::from_value(pod.clone()).unwrap())
            .collect(),
        budgets: Vec::new(),
        pinned: BTreeMap::new(),
        fit_here_only: BTreeSet::new(),
        gone: false,
        owners: Vec::new(),
    }
}

pub(crate) fn pod(name: &str, owner: Option<&str>) -> Value {
    let owners: Vec<Value> = owner
        .iter()
        .map(|kind| json!({"kind": kind, "name": format!("{name}-owner"), "controller": true}))
        .collect();
    json!({
        "metadata": {"name": name, "namespace": "demo", "uid": format!("uid-{name}"), "labels": {"app": name}, "ownerReferences": owners},
        "spec": {"volumes": []},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

pub(crate) fn with(mut pod: Value, pointer: &str, value: Value) -> Value {
    *pod.pointer_mut(pointer).unwrap() = value;
    pod
}

pub(crate) fn params(more: Value) -> Params {
    let mut all = json!({"node": "n1"});
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}
