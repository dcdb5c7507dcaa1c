//! The binary itself, with a `pct` on PATH: what the protocol promises.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use serde_json::{Value, json};
use testbed::Programs;

/// A cluster of one node, in which nothing else is.
const KUBECTL: &str = r#"#!/bin/sh
case "$4" in
/api/v1/nodes*) echo '{"items": [{"metadata": {"name": "w3"}}]}';;
*) echo '{"items": []}';;
esac
"#;

fn answer(programs: &Programs, arguments: &Value) -> Value {
    programs.answer(assert_cmd::cargo::cargo_bin!("worker_cutover"), arguments)
}

#[test]
fn it_works_in_a_container_and_on_the_host_itself() {
    for vmid in [json!("101"), Value::Null] {
        let programs = Programs::new().with_pct().with("kubectl", KUBECTL);
        let kubectl = programs.folder().join("kubectl");
        let arguments = json!({"vmid": vmid, "old": "w1", "new": "w3", "delete_node": "yes", "agent_actions": [], "kubectl": [kubectl]});
        let answer = answer(&programs, &arguments);
        assert!(answer["done"] == true && answer["gone"] == true, "{answer}");
        assert_eq!(answer["changed"], false);
        assert_eq!(
            programs.calls().is_empty(),
            vmid.is_null(),
            "pct is asked for containers only"
        );
    }
}

#[test]
fn what_is_wrong_with_the_options_is_said_in_one_json_object() {
    let programs = Programs::new();
    for (arguments, words) in [
        (json!({"new": "w3"}), "missing required arguments: old"),
        (json!({"old": "w3", "new": "w3"}), "old and new are both w3"),
        (
            json!({"old": "w1", "new": "w3", "accept": ["all"]}),
            "local_volume, too_small, no_place, younger",
        ),
        (
            json!({"old": "w1", "new": "w3", "delete": true}),
            "unsupported option delete; supported: ",
        ),
    ] {
        let answer = answer(&programs, &arguments);
        assert!(answer["failed"] == true && answer["changed"] == false, "{answer}");
        assert!(answer["msg"].as_str().unwrap().contains(words), "{answer}");
    }
}
