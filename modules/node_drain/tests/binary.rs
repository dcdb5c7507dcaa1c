//! The binary itself, with a `pct` on PATH: what the protocol promises.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use serde_json::{Value, json};
use testbed::Programs;

/// Answers the one list that is asked for, and notes each call.
const KUBECTL: &str = r#"#!/bin/sh
echo "$*" >> "${0%/*}/asked"
case "$4" in
/api/v1/nodes*) echo '{"items": [{"metadata": {"name": "n1", "resourceVersion": "1"}, "spec": {"unschedulable": true}}]}';;
*) echo "unexpected" >&2; exit 1;;
esac
"#;

fn answer(programs: &Programs, arguments: &Value) -> Value {
    programs.answer(assert_cmd::cargo::cargo_bin!("node_drain"), arguments)
}

#[test]
fn it_works_in_a_container_and_on_the_host_itself() {
    for vmid in [json!("101"), Value::Null] {
        let programs = Programs::new().with_pct().with("kubectl", KUBECTL);
        let kubectl = programs.folder().join("kubectl");
        let arguments = json!({"vmid": vmid, "node": "n1", "state": "uncordoned", "kubectl": [kubectl]});
        let answer = answer(&programs, &arguments);
        assert_eq!(answer["failed"], false, "{answer}");
        assert_eq!(
            (&answer["changed"], &answer["failed"]),
            (&json!(false), &json!(false))
        );
        assert_eq!(
            answer["cordoned_by"],
            json!({"before": "operator", "after": "operator"})
        );
        assert_eq!(
            programs.calls().is_empty(),
            vmid.is_null(),
            "pct is asked for containers only"
        );
        let asked = std::fs::read_to_string(programs.folder().join("asked")).unwrap();
        assert_eq!(asked, "--request-timeout=10s get --raw /api/v1/nodes?limit=500\n");
    }
}

#[test]
fn what_is_wrong_with_the_options_is_said_in_one_json_object() {
    let programs = Programs::new();
    for (arguments, words) in [
        (json!({}), "missing required arguments: node"),
        (
            json!({"node": "n1", "pdb": "ignore"}),
            "respect, bypass, respect_then_bypass",
        ),
        (
            json!({"node": "n1", "drain": true}),
            "unsupported option drain; supported: ",
        ),
        (json!({"node": "n1", "grace_period": -1}), "grace_period"),
        (
            json!({"node": "n1", "state": "uncordoned", "owners": [{"name": "web"}]}),
            "owners",
        ),
    ] {
        let answer = answer(&programs, &arguments);
        assert!(answer["failed"] == true && answer["changed"] == false, "{answer}");
        assert!(answer["msg"].as_str().unwrap().contains(words), "{answer}");
    }
}

#[test]
fn a_container_of_another_host_is_refused() {
    let programs = Programs::new().with_pct();
    let answer = answer(&programs, &json!({"vmid": 102, "node": "n1"}));
    assert!(answer["failure"]["kind"] == "container_missing", "{answer}");
}
