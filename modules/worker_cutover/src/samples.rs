//! Clusters in a few words, for the tables of tests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::params::Params;
use crate::state::State;
use cluster::owners::{Replicas, Seen};
use cluster::{Lease, Owner, Time};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::SystemTime;

pub(crate) const NOW: &str = "2026-01-01T12:00:00Z";

pub(crate) fn params(more: Value) -> Params {
    let mut all = json!({"old": "w1", "new": "w3"});
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

pub(crate) fn node(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "creationTimestamp": "2025-12-01T00:00:00Z", "annotations": {},
            "labels": {"kubernetes.io/hostname": name, "zone": "a"},
        },
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"},
            "nodeInfo": {"kubeletVersion": "v1.31.4+k3s1", "architecture": "amd64"},
        },
    })
}

pub(crate) fn server(name: &str) -> Value {
    with(
        node(name),
        "/metadata/labels/node-role.kubernetes.io~1control-plane",
        json!("true"),
    )
}

pub(crate) fn cordoned(node: Value, record: Option<Value>) -> Value {
    let node = with(node, "/spec/unschedulable", json!(true));
    match record {
        Some(record) => with(
            node,
            "/metadata/annotations/homelab.k3s~1cordon",
            record.to_string().into(),
        ),
        None => node,
    }
}

/// The object with something in it, whether it was there before or not.
pub(crate) fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (above, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(above).unwrap()[key.replace("~1", "/")] = value;
    object
}

/// A pod of the Deployment `app`, by the same name.
pub(crate) fn pod(name: &str, app: &str, on: &str, asked: Value) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "demo", "uid": name, "labels": {"app": app},
            "ownerReferences": [{"kind": "ReplicaSet", "name": app, "controller": true}],
        },
        "spec": {"nodeName": on, "containers": [{"resources": {"requests": asked}}], "volumes": []},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

pub(crate) fn owned_by(pod: Value, kind: &str) -> Value {
    with(pod, "/metadata/ownerReferences/0/kind", json!(kind))
}

pub(crate) fn state(nodes: Vec<Value>, pods: Vec<Value>) -> State {
    let heard = |node: &Value| {
        let lease =
            json!({"metadata": node["metadata"], "spec": {"renewTime": "2026-01-01T11:59:55.000000Z"}});
        let lease: Lease = serde_json::from_value(lease).unwrap();
        (lease.node.clone(), lease)
    };
    State {
        now: SystemTime::from(Time::try_from(NOW.to_owned()).unwrap()),
        leases: nodes.iter().map(heard).collect(),
        nodes: serde_json::from_value(nodes.into()).unwrap(),
        pods: serde_json::from_value(pods.into()).unwrap(),
        claims: Vec::new(),
        volumes: Vec::new(),
        workloads: Vec::new(),
        theirs: BTreeMap::new(),
    }
}

/// Two workers and the new one, and a controller that no taint closes.
pub(crate) fn cluster(pods: Vec<Value>) -> State {
    state(vec![server("c1"), node("w1"), node("w2"), node("w3")], pods)
}

/// A Deployment with its replicas before and now, and the pods that are its.
pub(crate) fn add_workload(state: &mut State, app: &str, before: u32, now: u32) {
    let owner = Owner {
        namespace: "demo".to_owned(),
        kind: "Deployment".to_owned(),
        name: app.to_owned(),
        ready: before,
        pinned: 0,
        task: false,
    };
    let now = Some(Replicas {
        ready: now,
        wanted: Some(before),
    });
    let number = state.workloads.len();
    state.workloads.push(Seen { owner, now });
    let its = state
        .pods
        .iter()
        .filter(|pod| pod.metadata.labels.get("app").is_some_and(|label| label == app));
    let its: Vec<String> = its.map(|pod| pod.metadata.uid.clone()).collect();
    state.theirs.extend(its.into_iter().map(|uid| (uid, number)));
}

/// A claim of `demo` with a volume that only this node may have.
pub(crate) fn add_local_volume(state: &mut State, claim: &str, node: &str) {
    let claimed = json!({"metadata": {"name": claim, "namespace": "demo"}, "spec": {"volumeName": format!("pv-{claim}")}});
    let terms = json!([{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]);
    let volume = json!({"metadata": {"name": format!("pv-{claim}")}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}});
    state.claims.push(serde_json::from_value(claimed).unwrap());
    state.volumes.push(serde_json::from_value(volume).unwrap());
}

pub(crate) fn with_claim(pod: Value, claim: &str) -> Value {
    with(
        pod,
        "/spec/volumes",
        json!([{"persistentVolumeClaim": {"claimName": claim}}]),
    )
}
