//! The binary itself, with a `pct` and a `kubectl` on PATH: what the protocol promises.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use assert_cmd::Command;
use serde_json::{Value, json};
use testbed::Programs;

/// A cluster of two nodes that holds one taint, in a file.
const KUBECTL: &str = r#"#!/bin/sh
folder=${0%/*}
echo "$*" >> "$folder/asked"
taints=$(cat "$folder/taints" 2>/dev/null || echo '[]')
ready='"status": {"conditions": [{"type": "Ready", "status": "True"}]}'
n1='{"metadata": {"name": "n1", "resourceVersion": "1"}, "spec": {"taints": '$taints'}, '$ready'}'
case "$*" in
*"/api/v1/nodes?"*) echo '{"items": ['"$n1"', {"metadata": {"name": "n2"}, '$ready'}]}';;
*"/api/v1/nodes/n1"*) echo "$n1";;
*/api/v1/*) echo '{"items": []}';;
"patch node n1"*) echo '[{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]' > "$folder/taints"; "$0" get /api/v1/nodes/n1;;
*) echo "unexpected: $*" >&2; exit 1;;
esac
"#;

fn answer(programs: &Programs, arguments: &Value) -> Value {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("node_taint"));
    let output = command
        .env("PATH", programs.path())
        .arg(programs.arguments(arguments))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.stderr.is_empty(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_second_run_changes_nothing() {
    for vmid in [json!("101"), Value::Null] {
        let programs = Programs::new().with_pct().with("kubectl", KUBECTL);
        let kubectl = programs.folder().join("kubectl");
        let arguments = json!({"vmid": vmid, "nodes": ["n1"], "kubectl": [kubectl], "request_timeout": 7});
        let first = answer(&programs, &arguments);
        assert_eq!(
            (&first["changed"], &first["failed"]),
            (&json!(true), &json!(false)),
            "{first}"
        );
        let after = json!(["node-role.kubernetes.io/control-plane:NoSchedule"]);
        assert_eq!(first["nodes"][0]["after"], after);
        let second = answer(&programs, &arguments);
        assert_eq!(
            (&second["changed"], &second["failed"]),
            (&json!(false), &json!(false)),
            "{second}"
        );

        let asked = std::fs::read_to_string(programs.folder().join("asked")).unwrap();
        assert_eq!(asked.lines().filter(|line| line.starts_with("patch")).count(), 1);
        assert!(
            asked
                .lines()
                .all(|line| line.contains("--request-timeout=7s") || line.starts_with("get /api")),
            "{asked}"
        );
    }
}
