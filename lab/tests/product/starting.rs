//! `pct start`, which `ensure_started` needs: it is not idempotent, it may only be asked for, and it is a task.

use super::{LOCK_FILE, Row, faulty, forget, refuses, stopped, trace};
use crate::common::{Host as Files, hold};
use crate::machine::Machine;
use pct_exec::PctExec;
use serde_json::json;
use std::cell::RefCell;

const FAILING: [Row; 6] = [
    (
        "start, a template: 255",
        || Machine::new(Files::new().conf("101", "template: 1\n")),
        "{}",
        "container_stopped",
        &["starting container 101", "it's a template"],
    ),
    (
        "start, lxc fails, as it says on stdout",
        without_a_root,
        "{}",
        "container_stopped",
        &["no rootfs", "startup for container '101' failed"],
    ),
    (
        "start, absent meanwhile: 255",
        || stopped().before("start", forget),
        "{}",
        "container_missing",
        &["no container 101"],
    ),
    (
        "start, locked meanwhile",
        || stopped().before("start", lock),
        "{}",
        "container_locked",
        &["(backup)", "`pct unlock 101`"],
    ),
    (
        "start, timed out",
        || faulty(Files::new().stopped("101"), r#"{"start_delay_ms": 4000}"#).hanging("start"),
        "{}",
        "timed_out",
        &[
            "starting container 101",
            "may go on",
            "`pct status 101 --verbose`",
        ],
    ),
    (
        "start, HA, which does it too late",
        || under_ha(20_000),
        "{}",
        "timed_out",
        &["come up", "is stopped", "`ha-manager status`"],
    ),
];

fn without_a_root() -> Machine {
    let machine = stopped();
    let program = "#!/bin/sh\necho no rootfs >&2\nexit 1\n";
    machine.files.program("lxc-start", program);
    machine
}

fn lock(files: &Files) {
    files.write("etc/pve/nodes/pve/lxc/101.conf", "lock: backup\n");
}

fn under_ha(delay: u32) -> Machine {
    let faults = format!(r#"{{"ha": true, "start_delay_ms": {delay}}}"#);
    faulty(Files::new().stopped("101"), &faults)
}

#[test]
fn a_start_that_fails_says_why() {
    for (row, machine, _, kind, says) in FAILING {
        let machine = machine();
        let mut answer = machine.answer::<PctExec>(&trace(json!({"ensure_started": true, "changed": false})));
        // A start that was asked for, or that timed out, may happen all the same, and that is a change.
        let asked = json!(kind == "timed_out");
        assert_eq!(
            (&answer["started"], &answer["changed"]),
            (&asked, &asked),
            "{row}: {answer}"
        );
        answer["changed"] = json!(false);
        refuses(row, &machine, &answer, kind, says);
    }
}

#[test]
fn a_lock_file_that_stays_busy_is_named_and_one_that_does_not_is_waited_for() {
    let busy = || faulty(Files::new().stopped("101"), r#"{"lock_wait_ms": 30}"#);
    let options = trace(json!({"ensure_started": true, "changed": false}));
    let machine = busy();
    let held = hold(&machine.files.path(LOCK_FILE));
    let answer = machine.answer::<PctExec>(&options);
    refuses(
        "start, flock held",
        &machine,
        &answer,
        "container_locked",
        &["pve-config-101.lock", "run this again"],
    );
    let starts = machine.verbs().iter().filter(|verb| *verb == "start").count();
    assert!(starts > 1, "{:?}", machine.verbs());
    drop(held);

    let machine = busy();
    let held = RefCell::new(Some(hold(&machine.files.path(LOCK_FILE))));
    let machine = machine.before("sleep", move |_| drop(held.take()));
    let answer = machine.answer::<PctExec>(&options);
    assert_eq!(
        (&answer["rc"], &answer["started"]),
        (&json!(0), &json!(true)),
        "{answer}"
    );
    assert_eq!(machine.slept().as_millis(), 500);
}

#[test]
fn a_start_under_ha_is_waited_for() {
    let machine = under_ha(100);
    let answer = machine.answer::<PctExec>(&json!({"vmid": 101, "cmd": "echo in", "ensure_started": true}));
    assert_eq!(
        (&answer["stdout"], &answer["started"]),
        (&json!("in\n"), &json!(true)),
        "{answer}"
    );
}

#[test]
fn a_container_that_somebody_else_has_started_is_as_good() {
    let start =
        |files: &Files| files.write("proc/net/unix", "0: 2 0 10000 1 1 5 @/var/lib/lxc/101/command\n");
    let machine = stopped().before("start", start);
    let answer = machine.answer::<PctExec>(&json!({"vmid": 101, "cmd": "echo in", "ensure_started": true}));
    assert_eq!(
        (&answer["stdout"], &answer["started"]),
        (&json!("in\n"), &json!(false)),
        "{answer}"
    );
}
