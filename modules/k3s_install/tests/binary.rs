//! The binary itself: what the protocol promises.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use serde_json::{Value, json};
use testbed::Programs;

fn answer(arguments: &Value) -> Value {
    let programs = Programs::new().with_pct();
    programs.answer(assert_cmd::cargo::cargo_bin!("k3s_install"), arguments)
}

#[test]
fn a_call_without_a_version_is_refused() {
    assert_eq!(
        answer(&json!({"vmid": 101}))["msg"],
        "k3s_install: missing required arguments: version"
    );
}

#[test]
fn an_unknown_option_is_refused_with_the_known_ones() {
    let msg =
        answer(&json!({"vmid": 101, "version": "v1.31.5+k3s1", "channel": "stable"}))["msg"].to_string();
    assert!(
        msg.contains("unsupported option channel") && msg.contains("script_sha256"),
        "{msg}"
    );
}

#[test]
fn reports_a_missing_container() {
    let answer = answer(&json!({"vmid": 102, "version": "v1.31.5+k3s1"}));
    assert_eq!(answer["failure"]["kind"], "container_missing", "{answer}");
}

#[test]
fn nothing_is_installed_where_that_is_not_meant() {
    // The inside of this `pct` is the machine of the tests: whatever it is, it is not a node of this name.
    let arguments = json!({"vmid": 101, "version": "v1.31.5+k3s1", "node_name": "no-such-node", "_ansible_check_mode": true});
    let answer = answer(&arguments);
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
    assert!(rules.contains(&"node_name"), "{answer}");
}
