//! The binary itself, which looks at this machine, and changes nothing on it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails, and it is the outside world"
)]

use serde_json::{Value, json};
use testbed::Programs;

fn answer(arguments: &Value) -> Value {
    let programs = Programs::new().with_pct();
    programs.answer(assert_cmd::cargo::cargo_bin!("k3s_prereqs"), arguments)
}

#[test]
fn an_unknown_option_is_refused_with_the_known_ones() {
    let msg = answer(&json!({"vmid": 101, "nfs": true}))["msg"].to_string();
    assert!(
        msg.contains("unsupported option nfs") && msg.contains("nfs_client"),
        "{msg}"
    );
}

#[test]
fn reports_a_missing_container() {
    assert_eq!(
        answer(&json!({"vmid": 102}))["failure"]["kind"],
        "container_missing"
    );
}

#[test]
fn checks_this_machine() {
    let answer = answer(
        &json!({"_ansible_check_mode": true, "fail_on_refusal": false, "nfs_client": false, "min_free_mb": 1}),
    );
    assert_eq!(answer["failed"], false, "{answer}");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(answer["kernel"], kernel.trim());
    let rules: Vec<&str> = answer["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["rule"].as_str().unwrap())
        .collect();
    assert_eq!(
        rules[..7],
        [
            "systemd",
            "distribution",
            "proc_sys",
            "kmsg",
            "cgroup",
            "kernel",
            "disk"
        ]
    );
    assert_eq!(
        (&answer["config_file"], &answer["config_lines"]),
        (&Value::Null, &json!([]))
    );
}
