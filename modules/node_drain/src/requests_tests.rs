//! The scripts in a real shell, with a program that stands for kubectl.

use super::*;
use crate::params::Params;
use crate::samples;
use host::LocalHost;
use serde_json::{Value, json};
use testbed::Programs;

/// Notes what it is called with and what it is fed; refuses whatever has `stubborn` in its path.
const PROGRAM: &str = r#"#!/bin/sh
case "$3" in --raw) ;; *) echo "unexpected: $*" >&2; exit 2;; esac
printf '%s %s %s\n' "$2" "$4" "$(cat)" >> "${0%/*}/sent"
case "$4" in *stubborn*) printf 'it is\nrefused\n' >&2; exit 1;; esac
printf '{"kind": "Status"}'
"#;

fn setup() -> (Programs, Params) {
    let programs = Programs::new().with("kubectl", PROGRAM);
    let path = programs.folder().join("kubectl");
    let params = samples::params(json!({"kubectl": [path], "grace_period": 5}));
    (programs, params)
}

#[test]
fn requests_go_side_by_side_and_only_refusals_say_something() {
    let (programs, params) = setup();
    let host = LocalHost::new();
    let pod = |name: &str| PodId {
        namespace: "demo".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
    };
    let mut requests: Vec<Request> = (0..8)
        .map(|number| Request {
            pod: pod(&format!("web-{number}")),
            how: How::Evict,
        })
        .collect();
    requests.push(Request {
        pod: pod("stubborn"),
        how: How::Evict,
    });
    requests.push(Request {
        pod: pod("vault"),
        how: How::Delete,
    });
    let said = send(&params.kubectl(&host), &requests, params.grace_period).unwrap();
    assert_eq!(said, [(8, "it is refused".to_owned())]);

    let sent = std::fs::read_to_string(programs.folder().join("sent")).unwrap();
    assert_eq!(sent.lines().count(), 10, "{sent}");
    let line = |start: &str| sent.lines().find_map(|line| line.strip_prefix(start)).unwrap();
    let eviction: Value =
        serde_json::from_str(line("create /api/v1/namespaces/demo/pods/web-0/eviction ")).unwrap();
    let options = json!({"gracePeriodSeconds": 5, "preconditions": {"uid": "uid-web-0"}});
    let metadata = json!({"name": "web-0", "namespace": "demo"});
    assert_eq!(
        eviction,
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options})
    );
    let deletion: Value = serde_json::from_str(line("delete /api/v1/namespaces/demo/pods/vault ")).unwrap();
    let preconditions = json!({"uid": "uid-vault"});
    assert_eq!(
        deletion,
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 5, "preconditions": preconditions})
    );
}
