//! The binary where there is no etcd: protocol, datastores, and what it leaves behind. With etcd: `cluster.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use testbed::Programs;

const KUBECTL: &str = r#"#!/bin/sh
echo '{"items":[{"metadata":{"name":"n1","labels":{"node-role.kubernetes.io/control-plane":"true"}}}]}'
"#;

fn answer(programs: &Programs, arguments: Value) -> Value {
    programs.answer(assert_cmd::cargo::cargo_bin!("etcd_member"), &arguments)
}

/// A server's data folder with this file or folder in its `db`.
fn server(at: &Path, makes_it: &str) {
    let db = at.join("server/db");
    fs::create_dir_all(&db).unwrap();
    if makes_it.ends_with('/') {
        fs::create_dir_all(db.join(makes_it)).unwrap();
    } else {
        fs::write(db.join(makes_it), "").unwrap();
    }
}

#[test]
fn a_server_without_embedded_etcd_passes_the_gates_also_carried_inside() {
    let programs = Programs::new().with_pct().with("kubectl", KUBECTL);
    let data_dir = programs.folder().join("data");
    let kubectl = [programs.folder().join("kubectl")];
    // k3s makes this folder on every server.
    server(&data_dir, "etcd/");
    for (makes_it, datastore) in [("snapshots/", "external"), ("state.db", "sqlite")] {
        server(&data_dir, makes_it);
        for vmid in [json!(null), json!(101)] {
            let answer = answer(
                &programs,
                json!({
                    "vmid": vmid, "data_dir": data_dir, "kubectl": kubectl,
                    "can_lose": "n1", "require": "all_voters", "wait": 60,
                }),
            );
            assert_eq!(answer["failed"], false, "{answer}");
            assert_eq!(answer["datastore"], datastore);
            assert_eq!(answer["members"], json!([]));
        }
    }
}

#[test]
fn reports_a_node_without_a_server_with_its_location() {
    let programs = Programs::new().with_pct();
    let answer = answer(&programs, json!({"vmid": 101, "data_dir": "/nowhere"}));
    let said = answer["msg"].as_str().unwrap();
    assert!(said.contains("container 101 on "), "{said}");
    assert!(
        said.contains("there is no k3s server here: there is no folder /nowhere/server"),
        "{said}"
    );
}

#[test]
fn reports_a_missing_container() {
    let programs = Programs::new().with_pct();
    let answer = answer(&programs, json!({"vmid": 102}));
    assert_eq!(answer["failed"], true);
    assert_eq!(answer["failure"]["kind"], "container_missing", "{answer}");
}

#[test]
fn certificates_that_are_missing_are_named() {
    let programs = Programs::new().with_pct().with("kubectl", KUBECTL);
    let data_dir = programs.folder().join("data");
    server(&data_dir, "etcd/member/wal/");
    let kubectl = [programs.folder().join("kubectl")];
    let answer = answer(
        &programs,
        json!({"vmid": 101, "data_dir": data_dir, "kubectl": kubectl}),
    );
    let said = answer["msg"].as_str().unwrap();
    assert!(said.contains("tls/etcd/server-ca.crt: No such file"), "{said}");
}

#[test]
fn an_unknown_argument_is_read_as_the_path_of_a_file() {
    let output = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("etcd_member"))
        .arg("/no/such/file")
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["failed"], true);
}
