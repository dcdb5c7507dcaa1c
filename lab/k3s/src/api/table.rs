//! Tables: the server's side of `kubectl get` without `-o`. Kinds that nobody looks at show NAME and AGE.

use crate::api::age::age;
use crate::api::pod_cells::{pod_status, ready, restarts};
use crate::json::{condition, flag, items, name, number, pairs, text};
use crate::kinds::Kind;
use serde_json::{Value, json};

/// Name of a column, whether only `-o wide` shows it, and its cell.
type Column = (&'static str, bool, fn(&Value) -> Value);

pub fn of(kind: &Kind, objects: &[&Value], list: Value, with_columns: bool) -> Value {
    let columns = columns(kind);
    let rows: Vec<Value> = objects.iter().map(|object| row(columns, object)).collect();
    let mut table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": list, "rows": rows});
    table["columnDefinitions"] = if with_columns {
        definitions(columns)
    } else {
        Value::Null
    };
    table
}

fn row(columns: &[Column], object: &Value) -> Value {
    let cells: Vec<Value> = columns.iter().map(|(_, _, cell)| cell(object)).collect();
    let part = json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
    });
    json!({"cells": cells, "object": part})
}

fn definitions(columns: &[Column]) -> Value {
    let definition = |(title, wide, _): &Column| {
        let format = if *title == "Name" { "name" } else { "" };
        json!({"name": title, "type": "string", "format": format, "description": "", "priority": i32::from(*wide)})
    };
    columns.iter().map(definition).collect()
}

fn columns(kind: &Kind) -> &'static [Column] {
    match kind.plural.as_ref() {
        "nodes" => NODES,
        "pods" => PODS,
        "poddisruptionbudgets" => BUDGETS,
        "deployments" => DEPLOYMENTS,
        "daemonsets" => DAEMONSETS,
        "statefulsets" | "replicasets" => SETS,
        "leases" => LEASES,
        "namespaces" => NAMESPACES,
        "configmaps" | "secrets" => DATA,
        _ => OTHERS,
    }
}

const NAME: Column = ("Name", false, |o| json!(name(o)));
const AGE: Column = ("Age", false, |o| {
    json!(age(text(o, "/metadata/creationTimestamp")))
});

const OTHERS: &[Column] = &[NAME, AGE];

const NODES: &[Column] = &[
    NAME,
    ("Status", false, |o| json!(node_status(o))),
    ("Roles", false, |o| json!(roles(o))),
    AGE,
    ("Version", false, |o| {
        json!(text(o, "/status/nodeInfo/kubeletVersion"))
    }),
    ("Internal-IP", true, |o| json!(address(o, "InternalIP"))),
    ("External-IP", true, |o| json!(address(o, "ExternalIP"))),
    ("OS-Image", true, |o| json!(text(o, "/status/nodeInfo/osImage"))),
    ("Kernel-Version", true, |o| {
        json!(text(o, "/status/nodeInfo/kernelVersion"))
    }),
    ("Container-Runtime", true, |o| {
        json!(text(o, "/status/nodeInfo/containerRuntimeVersion"))
    }),
];

const PODS: &[Column] = &[
    NAME,
    ("Ready", false, |o| json!(ready(o))),
    ("Status", false, |o| json!(pod_status(o))),
    ("Restarts", false, restarts),
    AGE,
    ("IP", true, |o| or_none(text(o, "/status/podIP"))),
    ("Node", true, |o| or_none(text(o, "/spec/nodeName"))),
    ("Nominated Node", true, |_| json!("<none>")),
    ("Readiness Gates", true, |_| json!("<none>")),
];

const BUDGETS: &[Column] = &[
    NAME,
    ("Min Available", false, |o| {
        number_or_text(&o["spec"]["minAvailable"])
    }),
    ("Max Unavailable", false, |o| {
        number_or_text(&o["spec"]["maxUnavailable"])
    }),
    ("Allowed Disruptions", false, |o| {
        json!(number(o, "/status/disruptionsAllowed"))
    }),
    AGE,
];

const DEPLOYMENTS: &[Column] = &[
    NAME,
    ("Ready", false, |o| json!(of_wanted(o, "/status/readyReplicas"))),
    ("Up-to-date", false, |o| {
        json!(number(o, "/status/updatedReplicas"))
    }),
    ("Available", false, |o| {
        json!(number(o, "/status/availableReplicas"))
    }),
    AGE,
];

const SETS: &[Column] = &[
    NAME,
    ("Ready", false, |o| json!(of_wanted(o, "/status/readyReplicas"))),
    AGE,
];

const DAEMONSETS: &[Column] = &[
    NAME,
    ("Desired", false, |o| {
        json!(number(o, "/status/desiredNumberScheduled"))
    }),
    ("Current", false, |o| {
        json!(number(o, "/status/currentNumberScheduled"))
    }),
    ("Ready", false, |o| json!(number(o, "/status/numberReady"))),
    ("Up-to-date", false, |o| {
        json!(number(o, "/status/updatedNumberScheduled"))
    }),
    ("Available", false, |o| {
        json!(number(o, "/status/numberAvailable"))
    }),
    AGE,
];

const LEASES: &[Column] = &[
    NAME,
    ("Holder", false, |o| json!(text(o, "/spec/holderIdentity"))),
    AGE,
];

const NAMESPACES: &[Column] = &[NAME, ("Status", false, |o| json!(text(o, "/status/phase"))), AGE];

const DATA: &[Column] = &[
    NAME,
    ("Data", false, |o| {
        json!(o["data"].as_object().map_or(0, serde_json::Map::len))
    }),
    AGE,
];

fn or_none(text: &str) -> Value {
    json!(if text.is_empty() { "<none>" } else { text })
}

fn number_or_text(value: &Value) -> Value {
    if value.is_null() {
        json!("N/A")
    } else {
        value.clone()
    }
}

fn of_wanted(object: &Value, pointer: &str) -> String {
    format!("{}/{}", number(object, pointer), number(object, "/spec/replicas"))
}

fn node_status(node: &Value) -> String {
    let ready = match condition(node, "Ready") {
        "True" => "Ready",
        "" => "Unknown",
        _ => "NotReady",
    };
    let cordoned = if flag(node, "/spec/unschedulable") {
        ",SchedulingDisabled"
    } else {
        ""
    };
    format!("{ready}{cordoned}")
}

fn roles(node: &Value) -> String {
    let labels = pairs(node, "/metadata/labels");
    let mut roles: Vec<&str> = labels
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    roles.sort_unstable();
    if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    }
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let found = items(node, "/status/addresses")
        .iter()
        .find(|a| text(a, "/type") == kind);
    found.map_or("<none>", |a| text(a, "/address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cordoned_server_prints_as_recorded() {
        let node = json!({
            "metadata": {"labels": {"node-role.kubernetes.io/master": "true", "node-role.kubernetes.io/control-plane": "true"}},
            "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        assert_eq!(node_status(&node), "Ready,SchedulingDisabled");
        assert_eq!(roles(&node), "control-plane,master");
    }
}
