//! The binary itself, with a `pct` on PATH: what the protocol promises.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use assert_cmd::Command;
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

fn answer(programs: &Programs, arguments: &Value) -> (bool, Value) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("node_drain"));
    let output = command
        .env("PATH", programs.path())
        .arg(programs.arguments(arguments))
        .output()
        .unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (
        output.status.success(),
        serde_json::from_slice(&output.stdout).unwrap(),
    )
}

#[test]
fn it_works_in_a_container_and_on_the_host_itself() {
    for vmid in [json!("101"), Value::Null] {
        let programs = Programs::new().with_pct().with("kubectl", KUBECTL);
        let kubectl = programs.folder().join("kubectl");
        let arguments = json!({"vmid": vmid, "node": "n1", "state": "uncordoned", "kubectl": [kubectl]});
        let (ok, answer) = answer(&programs, &arguments);
        assert!(ok, "{answer}");
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
        let (ok, answer) = answer(&programs, &arguments);
        assert!(
            !ok && answer["failed"] == true && answer["changed"] == false,
            "{answer}"
        );
        assert!(answer["msg"].as_str().unwrap().contains(words), "{answer}");
    }
}

#[test]
fn a_container_of_another_host_is_refused() {
    let programs = Programs::new().with_pct();
    let (ok, answer) = answer(&programs, &json!({"vmid": 102, "node": "n1"}));
    assert!(
        !ok && answer["failure"]["kind"] == "container_missing",
        "{answer}"
    );
}
