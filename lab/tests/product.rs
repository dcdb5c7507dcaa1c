//! What the product answers in each row of the contract of `pct`: its modules on the stand-in itself, on a host made of
//! files. That each answer names the container, the host, what was found and what to do next is what the rows are for.

// The lint exempts test functions, but not their helpers; a test makes its files itself.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

#[allow(dead_code, reason = "shared with the tests of the stand-in")]
mod common;
#[path = "product/machine.rs"]
mod machine;
#[path = "product/processes.rs"]
mod processes;
#[path = "product/running.rs"]
mod running;
#[path = "product/snapshots.rs"]
mod snapshots;
#[path = "product/starting.rs"]
mod starting;
#[path = "product/table.rs"]
mod table;

use common::Host as Files;
use host::{Command, Failure, FileToWrite, Host as _, InContainer, Kind, pct};
use k3s_service::K3sService;
use machine::Machine;
use pct_exec::PctExec;
use serde_json::{Value, json};
use std::fs;

const LOCK_FILE: &str = "run/lock/lxc/pve-config-101.lock";

fn running() -> Machine {
    Machine::new(Files::new().running("101"))
}

fn stopped() -> Machine {
    Machine::new(Files::new().stopped("101"))
}

fn faulty(files: Files, faults: &str) -> Machine {
    Machine::new(files.faults("101", faults))
}

fn empty() -> Machine {
    Machine::new(Files::new())
}

fn elsewhere() -> Machine {
    let files = Files::new();
    files.write("etc/pve/nodes/pve2/lxc/101.conf", "hostname: elsewhere\n");
    listed(files, "pve2", "lxc")
}

fn virtual_machine() -> Machine {
    listed(Files::new(), "pve", "qemu")
}

/// With the cluster's list of guests, as pmxcfs keeps it.
fn listed(files: Files, node: &str, kind: &str) -> Machine {
    list(&files, node, kind);
    Machine::new(files)
}

fn list(files: &Files, node: &str, kind: &str) {
    let list = format!(
        r#"{{"version": 1, "ids": {{"101": {{"node": "{node}", "type": "{kind}", "version": 7}}}}}}"#
    );
    files.write("etc/pve/.vmlist", &list);
}

fn stop(files: &Files) {
    files.write("proc/net/unix", "");
}

fn forget(files: &Files) {
    fs::remove_file(files.path("etc/pve/nodes/pve/lxc/101.conf")).unwrap();
}

fn migrate(files: &Files) {
    forget(files);
    list(files, "pve2", "lxc");
}

/// Options of `pct_exec` for a command that would leave a trace.
fn trace(more: Value) -> Value {
    let mut options = json!({"vmid": 101, "argv": ["touch", "trace"], "start_timeout": 2, "timeout": 3});
    options
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    options
}

/// The kind, the words, and that nothing came of it.
#[track_caller]
fn refuses(row: &str, machine: &Machine, answer: &Value, kind: &str, says: &[&str]) {
    assert_eq!(
        (&answer["failed"], &answer["changed"], &answer["failure"]["kind"]),
        (&json!(true), &json!(false), &json!(kind)),
        "{row}: {answer}"
    );
    let msg = answer["msg"].as_str().unwrap();
    for words in ["101", "pve"].iter().chain(says) {
        assert!(msg.contains(words), "{row}: {words:?} is not in: {msg}");
    }
    assert!(
        !machine.files.path("container/trace").exists(),
        "{row}: it was run"
    );
}

/// What the row is about, the host, options besides those of [`trace`], and the kind and words of the answer.
type Row = (
    &'static str,
    fn() -> Machine,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const LET_IN_BY_NOBODY: [Row; 10] = [
    (
        "status, stopped",
        stopped,
        "{}",
        "container_stopped",
        &["is stopped", "`pct start 101`"],
    ),
    (
        "status, absent: 2",
        empty,
        "{}",
        "container_missing",
        &["no container 101", "pct_id and pve_host"],
    ),
    (
        "status, another node",
        elsewhere,
        "{}",
        "container_elsewhere",
        &["Proxmox host pve2", "set pve_host"],
    ),
    (
        "status, a virtual machine",
        virtual_machine,
        "{}",
        "container_missing",
        &["virtual machine", "pct_id"],
    ),
    (
        "status, listed here, but without a configuration",
        || listed(Files::new(), "pve", "lxc"),
        "{}",
        "container_missing",
        &["no container 101"],
    ),
    (
        "status, locked",
        || Machine::new(Files::new().running("101").conf("101", "lock: backup\n")),
        r#"{"refuse_locked": true}"#,
        "container_locked",
        &["(backup)", "`pct unlock 101`"],
    ),
    (
        "start, locked",
        || Machine::new(Files::new().conf("101", "lock: backup\n")),
        r#"{"ensure_started": true}"#,
        "container_locked",
        &["(backup)", "`pct unlock 101`"],
    ),
    (
        "exec, stopped meanwhile: 255",
        || running().before("exec", stop),
        "{}",
        "container_stopped",
        &["is stopped", "`pct start 101`"],
    ),
    (
        "exec, absent meanwhile: 2",
        || running().before("exec", forget),
        "{}",
        "container_missing",
        &["no container 101"],
    ),
    (
        "exec, migrated meanwhile: 2",
        || running().before("exec", migrate),
        "{}",
        "container_elsewhere",
        &["Proxmox host pve2"],
    ),
];

#[test]
fn what_lets_nobody_in_is_reported_and_left_unchanged() {
    for (row, machine, more, kind, says) in LET_IN_BY_NOBODY {
        let machine = machine();
        let before = machine.everything();
        let answer = machine.answer::<PctExec>(&trace(serde_json::from_str(more).unwrap()));
        refuses(row, &machine, &answer, kind, says);
        if !row.contains("meanwhile") {
            assert_eq!(machine.everything(), before, "{row}");
        }
    }
}

/// Modules that do not ask for the state first, of which this is one.
#[test]
fn every_module_explains_a_container_that_lets_nothing_in() {
    let rows: [(&str, Machine, &str, &[&str]); 6] = [
        (
            "exec, stopped",
            stopped(),
            "container_stopped",
            &["is stopped", "`pct start 101`"],
        ),
        (
            "exec, absent: 2",
            empty(),
            "container_missing",
            &["no container 101"],
        ),
        (
            "exec, another node",
            elsewhere(),
            "container_elsewhere",
            &["pve2"],
        ),
        (
            "exec, a virtual machine",
            virtual_machine(),
            "container_missing",
            &["virtual machine"],
        ),
        (
            "exec, race",
            faulty(Files::new().running("101"), r#"{"attach_race": 99}"#),
            "attach_failed",
            &["Failed to get init pid"],
        ),
        ("exec, freeze", running().frozen(), "timed_out", &["frozen"]),
    ];
    for (row, machine, kind, says) in rows {
        let before = machine.everything();
        let answer = machine.answer::<K3sService>(&json!({"vmid": 101, "unit": "k3s"}));
        refuses(row, &machine, &answer, kind, says);
        assert_eq!(machine.everything(), before, "{row}");
    }
}

/// What the modules ask that change a node.
#[test]
fn a_container_is_free_where_it_runs_and_no_task_holds_it() {
    let free =
        |machine: &Machine| pct::is_free(&machine, 101).map_err(|error| Failure::of(&error).unwrap().kind);
    assert_eq!(free(&running()), Ok(()));
    assert_eq!(free(&stopped()), Err(Kind::ContainerStopped));
    let locked = Machine::new(Files::new().running("101").conf("101", "lock: snapshot\n"));
    assert_eq!(free(&locked), Err(Kind::ContainerLocked));
    assert_eq!(free(&empty()), Err(Kind::ContainerMissing));
    assert_eq!(free(&elsewhere()), Err(Kind::ContainerElsewhere));
}

#[test]
fn what_is_pending_is_not_taken_for_the_configuration() {
    let conf = "features: keyctl=1\n\n[pve:pending]\nfeatures: nesting=1\n";
    let machine = faulty(
        Files::new().running("101").conf("101", conf),
        r#"{"config_warning": true}"#,
    );
    let config = pct::config(&&machine, 101).unwrap();
    assert!(config.has_feature("keyctl") && !config.has_feature("nesting"));
    let error = pct::config(&&empty(), 101).unwrap_err();
    assert_eq!(Failure::of(&error).unwrap().kind, Kind::ContainerMissing);
}

/// A failed push or pull ends with 0, so files go another way.
#[test]
fn files_never_go_by_push_or_pull() {
    let machine = running();
    let inside = InContainer::new(&machine, 101);
    let path = |name: &str| machine.files.path(name).to_str().unwrap().to_owned();
    let file = path("container/file");
    inside.write(&FileToWrite::private(&file, "text")).unwrap();
    assert_eq!(inside.read(&file).unwrap().unwrap(), b"text");
    let copy = Command::new(["cat"]).send(&file).save(path("copy"), 100);
    assert_eq!(inside.run(&copy).unwrap().saved.unwrap().bytes, 4);
    inside.remove(&file).unwrap();
    assert_eq!(inside.read(&file).unwrap(), None);

    let nowhere = path("container/no/dir/x");
    let error = inside.write(&FileToWrite::private(&nowhere, "text")).unwrap_err();
    assert!(
        format!("{error:#}").contains(&format!("writing {nowhere}")),
        "{error:#}"
    );
    assert!(
        inside
            .run(&Command::new(["cat", &nowhere]).save(path("copy"), 100))
            .unwrap()
            .status
            != 0
    );
    assert!(
        machine.verbs().iter().all(|verb| verb == "exec"),
        "{:?}",
        machine.verbs()
    );
}
