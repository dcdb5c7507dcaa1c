//! Servers in a few words, for the tables of tests.

use super::{Api, Apis, Given};
use serde_json::{Value, json};

/// The options `servers` and `snapshot`.
pub(crate) fn given(options: Value) -> Given {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let snapshot = options.get("snapshot").and_then(Value::as_object).cloned();
    Given::read(list(&options["servers"]), snapshot.unwrap_or_default()).unwrap()
}

pub(crate) use crate::samples::with;

/// `c1` to `c<count>`, all well, with `n1` to `n<count>` for Nodes; the first one leads.
pub(crate) fn servers(count: usize) -> Vec<Value> {
    let member = |number: usize| {
        json!({
            "id": format!("{number:x}"), "name": format!("n{number}-{number:08x}"), "node": format!("n{number}"),
            "learner": false, "leader": number == 1, "trouble": null, "version": "3.5.16",
            "db_size": 1_234_567, "db_size_in_use": 900_000 + 12_345, "raft_lag": 0,
        })
    };
    let members: Vec<Value> = (1..=count).map(member).collect();
    let stale = json!({"members_without_node": [], "nodes_without_member": [], "unexpected_members": [], "expected_without_member": []});
    let etcd = json!({
        "changed": false, "datastore": "etcd", "members": members, "leader": "n1-00000001", "quorum": count / 2 + 1,
        "has_quorum": true, "alarms": [], "stale": stale, "nodes_unknown": null,
    });
    let server = |number: usize| {
        json!({
            "host": format!("c{number}"), "node_name": format!("n{number}"), "pve_host": "pve1", "vmid": 100 + number,
            "etcd": etcd, "ready": {"rc": 0, "stderr": "", "changed": false},
        })
    };
    (1..=count).map(server).collect()
}

/// Nothing is known of them.
pub(crate) fn unanswered(count: usize) -> Vec<Value> {
    let server = |number: usize| json!({"host": format!("c{number}"), "node_name": format!("n{number}")});
    (1..=count).map(server).collect()
}

/// What the servers answer at their own addresses.
pub(crate) fn apis(count: usize) -> Apis {
    let api = |number: usize| {
        let api = Api {
            address: format!("10.0.0.{number}:6443"),
            not_ready: None,
            version: Some("v1.31.4+k3s1".to_owned()),
            quota: Some(2_147_483_648),
            settings: None,
        };
        (format!("c{number}"), api)
    };
    Apis {
        asked_from: "container 101 on pve1".to_owned(),
        nodes_unknown: None,
        servers: (1..=count).map(api).collect(),
    }
}
