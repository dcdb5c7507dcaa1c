//! The binary itself, with a `pct` and a `kubectl` on PATH: what the protocol promises.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use serde_json::{Value, json};
use testbed::{Programs, assert_settles};

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
    programs.answer(assert_cmd::cargo::cargo_bin!("node_taint"), arguments)
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

/// Nodes that have the taints which they were given last, as a merge patch replaces them, each in a file. Where `kill` is there, the
/// module ends with the first node's patch.
const NODES: &str = r#"#!/bin/sh
folder=${0%/*}
echo "$*" >> "$folder/asked"
node() {
    taints=$(cat "$folder/taints-$1" 2>/dev/null || echo '[]')
    echo '{"metadata": {"name": "'$1'", "resourceVersion": "1"}, "spec": {"taints": '$taints'},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}}'
}
case "$*" in
*"/api/v1/nodes?"*) echo '{"items": ['"$(node n1), $(node n2)"', '"$(node n3)"']}';;
*"/api/v1/nodes/"*) name=${*##*/nodes/}; node "${name%%[? ]*}";;
*/api/v1/*) echo '{"items": []}';;
"patch node "*)
    name=${*#patch node }; name=${name%% *}
    for word; do case $word in *'"taints":'*) echo "$word" | sed -e 's/.*"taints"://' -e 's/}}$//' >"$folder/taints-$name";; esac; done
    [ ! -f "$folder/kill" ] || { rm "$folder/kill"; kill -KILL "$(cat "$folder/module")"; }
    node "$name";;
*) echo "unexpected: $*" >&2; exit 1;;
esac
"#;

#[test]
fn whatever_taints_a_node_has_a_second_run_changes_nothing() {
    let own = r#"[{"key":"node-role.kubernetes.io/control-plane","value":"true","effect":"NoSchedule"}]"#;
    let others = r#"[{"key":"gpu","effect":"NoExecute","timeAdded":"2026-09-01T11:40:45Z"}]"#;
    for (before, state, changed) in [
        ("[]", "present", true),
        (own, "present", false),
        (others, "present", true),
        ("[]", "absent", false),
        (own, "absent", true),
        (others, "absent", false),
    ] {
        let programs = Programs::new().with("kubectl", NODES);
        let path = programs.folder().join("taints-n1");
        std::fs::write(&path, before).unwrap();
        let run = |check: bool| {
            let kubectl = programs.folder().join("kubectl");
            let arguments =
                json!({"nodes": ["n1"], "state": state, "kubectl": [kubectl], "_ansible_check_mode": check});
            answer(&programs, &arguments)
        };
        let case = format!("{state} on {before}");
        let world = || std::fs::read_to_string(&path).unwrap();
        let first = assert_settles(&case, run, world);
        assert_eq!(
            (&first["failed"], &first["changed"]),
            (&json!(false), &json!(changed)),
            "{case}: {first}"
        );
        assert_eq!(world().contains("gpu"), before == others, "{case}");
    }
}

#[test]
fn killed_between_two_nodes_the_next_run_does_the_other_one() {
    let programs = Programs::new().with_pct().with("kubectl", NODES);
    let folder = programs.folder();
    std::fs::write(folder.join("kill"), "").unwrap();
    let arguments = json!({"nodes": ["n1", "n2"], "kubectl": [folder.join("kubectl")]});
    // The shell replaces the module, and its number stays.
    let killed = std::process::Command::new("/bin/sh")
        .args(["-c", "echo $$ > \"$1\"; exec \"$2\" \"$3\"", "sh"])
        .arg(folder.join("module"))
        .arg(assert_cmd::cargo::cargo_bin!("node_taint"))
        .arg(programs.arguments(&arguments))
        .env("PATH", programs.path())
        .output()
        .unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&killed.status),
        Some(9)
    );
    assert!(killed.stdout.is_empty());

    let next = answer(&programs, &arguments);
    assert_eq!(
        (&next["changed"], &next["failed"]),
        (&json!(true), &json!(false)),
        "{next}"
    );
    let tainted = json!(["node-role.kubernetes.io/control-plane:NoSchedule"]);
    assert_eq!(
        (&next["nodes"][0]["after"], &next["nodes"][1]["after"]),
        (&tainted, &tainted)
    );
    let asked = std::fs::read_to_string(folder.join("asked")).unwrap();
    let patched = |node: &str| {
        asked
            .lines()
            .filter(|line| line.starts_with(&format!("patch node {node}")))
            .count()
    };
    assert_eq!(
        (patched("n1"), patched("n2"), patched("n3")),
        (1, 1, 0),
        "{asked}"
    );
    assert_eq!(answer(&programs, &arguments)["changed"], false);
}
