//! Clusters in a few words, for the tables of tests.

use crate::judge::{Health, judge};
use crate::params::Params;
use crate::state::{Api, Seen, WorkloadKind, WorkloadObject};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) const VERSION: &str = "v1.31.4+k3s1";

pub(crate) fn now() -> SystemTime {
    SystemTime::from(OffsetDateTime::parse("2026-01-01T00:00:00Z", &Rfc3339).unwrap())
}

/// The time so many seconds ago, as the API writes it.
pub(crate) fn ago(seconds: u64) -> String {
    k3s_certs::rfc3339(now() - Duration::from_secs(seconds))
}

pub(crate) fn params(options: Value) -> Params {
    serde_json::from_value(options).unwrap()
}

/// A cluster of one node, with nothing on it.
pub(crate) fn cluster() -> Seen {
    bare().node(node("n0"))
}

/// An API server that is well, and no node.
pub(crate) fn bare() -> Seen {
    let api = Api {
        version: Some(VERSION.to_owned()),
        ready: true,
        ..Api::default()
    };
    Seen {
        api,
        ..Seen::nothing("container 101 on pve1".to_owned(), now())
    }
}

impl Seen {
    pub(crate) fn node(mut self, node: Value) -> Self {
        let lease = json!({"metadata": {"name": node["metadata"]["name"]}, "spec": {"renewTime": ago(5), "leaseDurationSeconds": 40}});
        self.nodes.push(typed(node));
        self.lease(lease)
    }

    pub(crate) fn lease(mut self, lease: Value) -> Self {
        let lease: cluster::Lease = typed(lease);
        self.leases.insert(lease.node.clone(), lease);
        self
    }

    pub(crate) fn pod(mut self, pod: Value) -> Self {
        self.pods.add(vec![typed(pod)], now() - Duration::from_mins(10));
        self
    }

    pub(crate) fn workload(mut self, kind: WorkloadKind, workload: Value) -> Self {
        self.workloads
            .push(typed::<WorkloadObject>(workload).of_kind(kind));
        self
    }

    pub(crate) fn job(mut self, job: Value) -> Self {
        self.jobs.push(typed(job));
        self
    }

    pub(crate) fn judged(&self, options: Value) -> Health {
        judge(&params(options), self)
    }

    /// Each verdict in a few words: `error Pod demo/Deployment/web: CrashLoopBackOff`, with its count where it is
    /// not one.
    pub(crate) fn verdicts(&self, options: Value) -> Vec<String> {
        let verdicts = self.judged(options).verdicts;
        let short = |verdict: &crate::verdict::Verdict| {
            let count = if verdict.count == 1 {
                String::new()
            } else {
                format!(" x{}", verdict.count)
            };
            let settling = if verdict.settling { " settling" } else { "" };
            format!("{} {}{count}{settling}", verdict.severity, verdict.identity)
        };
        verdicts.iter().map(short).collect()
    }
}

pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The first value with what the second has more or other.
pub(crate) fn with(mut value: Value, more: Value) -> Value {
    merge(&mut value, more);
    value
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

pub(crate) fn node(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {}},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"kubeletVersion": VERSION},
        },
    })
}

pub(crate) fn controller(name: &str) -> Value {
    let labels = json!({"node-role.kubernetes.io/control-plane": "true"});
    with(node(name), json!({"metadata": {"labels": labels}}))
}

/// A pod of the Deployment `web`, running and ready on n1 for an hour.
pub(crate) fn pod(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "demo", "creationTimestamp": ago(3600),
            "labels": {"app": "web", "pod-template-hash": "5448b494b7"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5448b494b7", "controller": true}],
        },
        "spec": {"nodeName": "n1", "restartPolicy": "Always"},
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": ago(3600)},
                {"type": "Ready", "status": "True", "lastTransitionTime": ago(3600)},
            ],
            "containerStatuses": [container(json!({"running": {"startedAt": ago(3600)}}))],
        },
    })
}

pub(crate) fn container(state: Value) -> Value {
    json!({"name": "app", "restartCount": 0, "state": state, "lastState": {}})
}

pub(crate) fn not_ready(pod: Value, seconds: u64) -> Value {
    let ready = json!({"type": "Ready", "status": "False", "message": "containers with unready status: [app]", "lastTransitionTime": ago(seconds)});
    with(pod, json!({"status": {"conditions": [ready]}}))
}

pub(crate) fn conditions(node: Value, conditions: Value) -> Value {
    with(node, json!({"status": {"conditions": conditions}}))
}

pub(crate) fn condition(kind: &str, status: &str) -> Value {
    json!({"type": kind, "status": status, "reason": "Because", "message": "it is so", "lastTransitionTime": ago(600)})
}

pub(crate) fn workload(name: &str, spec: Value, status: Value) -> Value {
    let metadata =
        json!({"name": name, "namespace": "demo", "labels": {"app": name}, "creationTimestamp": ago(9000)});
    json!({"metadata": metadata, "spec": spec, "status": status})
}
