//! The binary itself, with a `pct` on PATH: what the protocol promises.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use serde_json::{Value, json};
use testbed::Programs;

/// A cluster with one node that is gone, and its password; both in files.
const KUBECTL: &str = r#"#!/bin/sh
folder=${0%/*}
case "$*" in
*" get --raw /api/v1/nodes?"*)
    [ -e "$folder/deleted" ] && echo '{"items": []}' ||
        echo '{"items": [{"metadata": {"name": "n2", "uid": "u2"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}]}';;
*" get --raw /api/v1/namespaces/kube-system/secrets?"*)
    [ -e "$folder/forgotten" ] && echo '{"items": []}' || echo '{"items": [{"data": {"hash": "s3cr3t"}}]}';;
*" get --raw "*) echo '{"items": null}';;
*" delete --raw /api/v1/nodes/n2 -f -") cat > "$folder/deleted";;
*" delete secret -n kube-system --ignore-not-found n2.node-password.k3s") touch "$folder/forgotten";;
*) echo "unexpected: $*" >&2; exit 1;;
esac
"#;

fn answer(programs: &Programs, arguments: &Value) -> Value {
    programs.answer(assert_cmd::cargo::cargo_bin!("node_remove"), arguments)
}

#[test]
fn it_deletes_the_node_and_its_password_and_then_nothing_more() {
    for vmid in [json!("101"), Value::Null] {
        let programs = Programs::new().with_pct().with("kubectl", KUBECTL);
        let kubectl = programs.folder().join("kubectl");
        let arguments = json!({"vmid": vmid, "node": "n2", "kubectl": [kubectl]});
        let first = answer(&programs, &arguments);
        assert_eq!(
            (&first["changed"], &first["failed"]),
            (&json!(true), &json!(false)),
            "{first}"
        );
        assert!(!first.to_string().contains("s3cr3t"), "{first}");
        let asked = std::fs::read_to_string(programs.folder().join("deleted")).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&asked).unwrap()["preconditions"],
            json!({"uid": "u2"})
        );
        let second = answer(&programs, &arguments);
        assert_eq!(
            (&second["changed"], &second["uid"]),
            (&json!(false), &Value::Null),
            "{second}"
        );
        assert_eq!(
            programs.calls().is_empty(),
            vmid.is_null(),
            "pct is asked for containers only"
        );
    }
}
