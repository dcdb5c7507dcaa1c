//! What the API server fills in when a client left it out. Only what somebody looks at.

use crate::json::{default, items, name, set, text};
use crate::kinds::Kind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Also run on updates, so it must leave alone what is there.
pub fn complete(kind: &Kind, object: &mut Value) {
    let served = |version: &str| kind.versions.iter().any(|v| kind.api_version(v) == version);
    if !served(text(object, "/apiVersion")) {
        set(object, &["apiVersion"], json!(kind.preferred()));
    }
    set(object, &["kind"], json!(kind.name));
    match kind.plural.as_ref() {
        "pods" => pod(object),
        "deployments" => deployment(object),
        "replicasets" | "statefulsets" => workload(object),
        "daemonsets" => template(object),
        "jobs" => job(object),
        "namespaces" => namespace(object),
        "secrets" => secret(object),
        "persistentvolumeclaims" => claim(object),
        "services" => service(object),
        _ => {}
    }
}

fn pod(object: &mut Value) {
    pod_spec(object, &["spec"]);
    default(object, &["spec", "serviceAccountName"], json!("default"));
    default(object, &["spec", "enableServiceLinks"], json!(true));
    default(object, &["status", "phase"], json!("Pending"));
    default(object, &["status", "qosClass"], json!("BestEffort"));
    probe_times(object);
    for key in ["not-ready", "unreachable"] {
        tolerate(object, &format!("node.kubernetes.io/{key}"));
    }
}

/// A pod's conditions carry this field, and nobody ever fills it. A merge cannot send it: null means removal there.
pub fn probe_times(pod: &mut Value) {
    if let Some(conditions) = pod
        .pointer_mut("/status/conditions")
        .and_then(Value::as_array_mut)
    {
        for condition in conditions {
            default(condition, &["lastProbeTime"], Value::Null);
        }
    }
}

/// The admission plugin that keeps a pod on a lost node for five minutes.
fn tolerate(pod: &mut Value, key: &str) {
    let known = items(pod, "/spec/tolerations");
    let covers = |t: &Value| {
        let key_fits =
            text(t, "/key") == key || text(t, "/key").is_empty() && text(t, "/operator") == "Exists";
        key_fits && ["", "NoExecute"].contains(&text(t, "/effect"))
    };
    if known.iter().any(covers) {
        return;
    }
    let mut tolerations = known.to_vec();
    tolerations
        .push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
    set(pod, &["spec", "tolerations"], Value::Array(tolerations));
}

fn pod_spec(object: &mut Value, at: &[&str]) {
    let fields = [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
    ];
    for (key, value) in fields {
        default(object, &[at, &[key]].concat(), value);
    }
}

fn template(object: &mut Value) {
    pod_spec(object, &["spec", "template", "spec"]);
}

fn workload(object: &mut Value) {
    template(object);
    default(object, &["spec", "replicas"], json!(1));
}

fn deployment(object: &mut Value) {
    workload(object);
    default(object, &["spec", "strategy", "type"], json!("RollingUpdate"));
    default(object, &["spec", "revisionHistoryLimit"], json!(10));
    default(object, &["spec", "progressDeadlineSeconds"], json!(600));
}

fn job(object: &mut Value) {
    template(object);
    for (key, value) in [("parallelism", 1), ("completions", 1), ("backoffLimit", 6)] {
        default(object, &["spec", key], json!(value));
    }
    let uid = crate::json::uid(object).to_owned();
    default(
        object,
        &["spec", "selector", "matchLabels", "controller-uid"],
        json!(uid),
    );
    for (key, value) in [("controller-uid", uid), ("job-name", name(object).to_owned())] {
        default(
            object,
            &["spec", "template", "metadata", "labels", key],
            json!(value),
        );
    }
}

fn namespace(object: &mut Value) {
    default(object, &["status", "phase"], json!("Active"));
    if crate::json::is_terminating(object) {
        return;
    }
    default(object, &["spec", "finalizers"], json!(["kubernetes"]));
    let own = name(object).to_owned();
    set(
        object,
        &["metadata", "labels", "kubernetes.io/metadata.name"],
        json!(own),
    );
}

fn secret(object: &mut Value) {
    default(object, &["type"], json!("Opaque"));
    let plain: Vec<(String, String)> = crate::json::pairs(object, "/stringData")
        .map(|(k, v)| (k.to_owned(), STANDARD.encode(v)))
        .collect();
    for (key, value) in plain {
        set(object, &["data", &key], json!(value));
    }
    crate::json::remove(object, &["stringData"]);
}

fn claim(object: &mut Value) {
    default(object, &["status", "phase"], json!("Pending"));
    default(object, &["spec", "volumeMode"], json!("Filesystem"));
    default(object, &["spec", "storageClassName"], json!("local-path"));
}

fn service(object: &mut Value) {
    default(object, &["spec", "type"], json!("ClusterIP"));
    default(object, &["spec", "sessionAffinity"], json!("None"));
    // Nothing is routed in the lab; the address only has to be one of the cluster's, and the same each time.
    let sum = format!("{}/{}", crate::json::namespace(object), name(object))
        .bytes()
        .fold(0u32, |sum, b| sum.wrapping_mul(31).wrapping_add(u32::from(b)));
    let address = format!("10.43.{}.{}", sum / 250 % 250, 2 + sum % 250);
    default(object, &["spec", "clusterIP"], json!(address));
}
