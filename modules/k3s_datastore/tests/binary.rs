//! The binary itself: what the protocol promises, and what it answers when it is carried inside.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails, and it is the outside world"
)]

use rusqlite::Connection;
use serde_json::{Value, json};
use std::process::Output;
use testbed::Programs;

fn binary() -> assert_cmd::Command {
    assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("k3s_datastore"))
}

fn answer(arguments: &Value) -> Value {
    let programs = Programs::new().with_pct();
    programs.answer(assert_cmd::cargo::cargo_bin!("k3s_datastore"), arguments)
}

fn inside(request: &Value) -> Output {
    binary()
        .args(["--inside", &request.to_string()])
        .output()
        .unwrap()
}

#[test]
fn an_unknown_option_is_refused_with_the_known_ones() {
    let msg = answer(&json!({"vmid": 101, "data_dir": "/data"}))["msg"].to_string();
    assert!(
        msg.contains("unsupported option data_dir") && msg.contains("min_free_mb"),
        "{msg}"
    );
}

#[test]
fn reports_a_missing_container() {
    let answer = answer(&json!({"vmid": 102}));
    assert_eq!(answer["failure"]["kind"], "container_missing", "{answer}");
}

#[test]
fn a_machine_without_k3s_is_not_touched() {
    // The inside of this `pct` is the machine of the tests.
    let answer = answer(&json!({"vmid": 101, "_ansible_check_mode": true}));
    assert_eq!(
        (&answer["failed"], &answer["changed"]),
        (&json!(true), &json!(false))
    );
    let rules: Vec<&str> = answer["refusals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["rule"].as_str().unwrap())
        .collect();
    assert!(rules.contains(&"not_a_server"), "{answer}");
}

#[test]
fn inside_it_answers_one_line_or_one_fault() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("state.db");
    let connection = Connection::open(&database).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE kine (id INTEGER PRIMARY KEY, name TEXT, deleted INTEGER, lease INTEGER, value BLOB);
             INSERT INTO kine (name, deleted) VALUES ('/registry/pods/default/a', 0), ('compact_rev_key', 0);",
        )
        .unwrap();
    let looked = inside(&json!({"look": {"database": database}}));
    assert_eq!(String::from_utf8_lossy(&looked.stdout), "{\"objects\":1}\n");
    assert!(looked.status.success() && looked.stderr.is_empty());

    let refused = inside(&json!({"look": {"database": folder.path().join("nothing")}}));
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("opening the database"), "{said}");
}
