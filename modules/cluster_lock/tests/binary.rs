//! The binary itself, with a kubectl that keeps one Lease in a file.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use serde_json::{Value, json};
use std::fs;
use testbed::{Programs, assert_settles};

/// As the API server does it: each write has the version that it was made for, and sets another one.
const KUBECTL: &str = r#"#!/bin/sh
lease=${0%/*}/lease
version() { sed -n 's/.*"resourceVersion":"\([0-9]*\)".*/\1/p' "$1"; }
guard() { [ "$(version "$1")" = "$(version "$lease")" ] || { echo "Error from server (Conflict): not that version" >&2; exit 1; }; }
save() {
    next=$(($(version "$lease" 2>/dev/null) + 1))
    sed -e 's/"resourceVersion":"[0-9]*",//' -e 's/"metadata":{/&"resourceVersion":"'$next'",/' "$1" >"$lease.new"
    mv "$lease.new" "$lease"
}
case "$1 $2" in
"get lease") [ ! -f "$lease" ] || cat "$lease"; exit 0;;
esac
cat >"$lease.given"
case "$1 $2" in
"create "*) [ ! -f "$lease" ] || { echo "Error from server (AlreadyExists): exists" >&2; exit 1; }; save "$lease.given";;
"replace "*) guard "$lease.given"; save "$lease.given";;
"delete --raw") guard "$lease.given"; rm "$lease";;
*) echo "unexpected: $*" >&2; exit 1;;
esac
"#;

struct Cluster(Programs);

/// Who has the lock at first.
const HOLDERS: [&str; 6] = [
    "nobody",
    "us",
    "another",
    "one that expired",
    "one that died",
    "no name",
];

impl Cluster {
    fn held_by(holder: &str) -> Self {
        let cluster = Self(Programs::new().with("kubectl", KUBECTL));
        let (run, process, boot, renewed) = match holder {
            "nobody" => return cluster,
            "us" => ("r1", "7:70", "b1", "2199-01-01T00:00:00.000000Z"),
            "another" => ("r2", "8:80", "b2", "2199-01-01T00:00:00.000000Z"),
            "one that expired" => ("r2", "8:80", "b2", "2020-01-01T00:00:00.000000Z"),
            "one that died" => ("r2", "8:80", "b1", "2199-01-01T00:00:00.000000Z"),
            _ => ("", "8:80", "b2", "2199-01-01T00:00:00.000000Z"),
        };
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"resourceVersion": "42", "name": "homelab-k3s-run", "namespace": "kube-system",
                "annotations": {"homelab.k3s/boot-id": boot, "homelab.k3s/process": process}},
            "spec": {"holderIdentity": run, "leaseDurationSeconds": 7200, "renewTime": renewed,
                "acquireTime": "2020-01-01T00:00:00.000000Z"},
        });
        fs::write(cluster.path(), lease.to_string()).unwrap();
        cluster
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.folder().join("lease")
    }

    fn lease(&self) -> Option<Value> {
        let text = fs::read_to_string(self.path()).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    fn run(&self, more: &Value, check: bool) -> Value {
        let mut arguments = json!({
            "run_id": "r1", "kubectl": [self.0.folder().join("kubectl")], "_ansible_check_mode": check,
            "controller": {"user": "operator", "host": "laptop", "boot_id": "b1", "pid": 7, "start": "70", "alive": ["7:70"]},
        });
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.0
            .answer(assert_cmd::cargo::cargo_bin!("cluster_lock"), &arguments)
    }
}

#[test]
fn a_released_lock_is_not_released_again() {
    for holder in HOLDERS {
        let cluster = Cluster::held_by(holder);
        let options = json!({"state": "released"});
        let first = assert_settles(holder, |check| cluster.run(&options, check), || cluster.lease());
        assert_eq!(first["failed"], false, "{holder}: {first}");
        let is_anothers = holder == "another";
        assert_eq!(cluster.lease().is_some(), is_anothers, "{holder}: {first}");
        assert_eq!(
            first["changed"],
            !matches!(holder, "nobody" | "another"),
            "{holder}: {first}"
        );
    }
}

#[test]
fn a_second_run_renews_its_lock_and_changes_nothing_else() {
    for holder in HOLDERS {
        for broken in [false, true] {
            let case = format!("{holder}, break_lock {broken}");
            let cluster = Cluster::held_by(holder);
            let options = json!({"break_lock": broken});
            let before = cluster.lease();
            let first = cluster.run(&options, false);
            if holder == "another" && !broken {
                assert_eq!(first["failed"], true, "{case}: {first}");
                assert_eq!(cluster.lease(), before, "{case}");
                continue;
            }
            assert_eq!(
                (&first["failed"], &first["changed"]),
                (&json!(false), &json!(true)),
                "{case}: {first}"
            );
            let taken = cluster.lease().unwrap();
            assert_eq!(taken["spec"]["holderIdentity"], "r1", "{case}");
            let second = cluster.run(&options, false);
            assert_eq!(
                second["actions"],
                json!(["renew the lock of the cluster"]),
                "{case}"
            );
            assert_eq!(second["held_by"], first["held_by"], "{case}");
            assert_eq!(bare(cluster.lease().unwrap()), bare(taken), "{case}");
        }
    }
}

/// Without what each write changes.
fn bare(mut lease: Value) -> Value {
    lease["spec"]["renewTime"] = Value::Null;
    lease["metadata"]["resourceVersion"] = Value::Null;
    lease
}
