//! The program, called in each way in which a module is chosen.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use assert_cmd::Command;
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use tempfile::TempDir;
use testbed::Programs;

const REFUSED: &str = r#"{"no_such_option": 1}"#;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_homelab-k3s"))
}

/// The program under another file name; the folder goes when the test ends.
fn named(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_homelab-k3s"), &path).unwrap();
    (folder, path)
}

fn answer(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(command: &mut Command, status: i32) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn a_module_reads_standard_input_or_a_file() {
    let (folder, _) = named("unused");
    let file = folder.path().join("args");
    std::fs::write(&file, REFUSED).unwrap();
    for module in ["node_drain", "etcd_member", "k3s_version"] {
        let by_stdin = answer(program().args([module, "-"]).write_stdin(REFUSED));
        let by_file = answer(program().arg(module).arg(&file));
        let msg = by_stdin["msg"].as_str().unwrap();
        assert!(msg.contains(module) && msg.contains("no_such_option"), "{msg}");
        assert_eq!(by_stdin, by_file);
    }
}

#[test]
fn the_copy_that_ansible_names_after_a_module_is_that_module() {
    for name in ["AnsiballZ_node_drain", "node_drain"] {
        let (folder, path) = named(name);
        let file = folder.path().join("args");
        std::fs::write(&file, REFUSED).unwrap();
        let said = answer(Command::new(&path).arg(&file));
        assert!(said["msg"].as_str().unwrap().contains("node_drain"), "{said}");
    }
}

#[test]
fn what_is_said_of_a_module_is_said_by_its_own_name() {
    let help = text(program().args(["node_drain", "--help"]), 0);
    assert!(help.contains("Usage: node_drain [OPTIONS] [FILE]"), "{help}");
    let fault = text(program().args(["node_drain", "--nonsense"]), 1);
    assert!(fault.contains("--nonsense"), "{fault}");
    assert_eq!(
        text(program().args(["node_drain", "--version"]), 0),
        concat!("node_drain ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let spec: Value = serde_json::from_str(&text(program().args(["node_drain", "--spec"]), 0)).unwrap();
    assert!(spec["options"]["node"].is_object(), "{spec}");
}

#[test]
fn refuses_an_unknown_module_and_names_those_there_are() {
    let said = answer(program().args(["node_drian", "-"]).write_stdin("{}"));
    assert_eq!(said["failed"], true);
    let msg = said["msg"].as_str().unwrap();
    assert!(
        msg.contains("node_drian") && msg.contains("node_drain, node_remove"),
        "{msg}"
    );
}

#[test]
fn without_a_module_it_says_how_it_is_called() {
    for (argument, status) in [(None, 1), (Some("--help"), 0)] {
        let usage = text(program().args(argument), status);
        assert!(
            usage.contains("homelab-k3s MODULE") && usage.contains("node_drain, node_remove"),
            "{usage}"
        );
    }
    // By this it is tried whether a folder lets programs start.
    assert_eq!(
        text(program().arg("--version"), 0),
        concat!("homelab-k3s ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_copy_that_a_module_takes_along_is_that_module() {
    let (_folder, path) = named("etcd_member");
    for vmid in [json!(null), json!(101)] {
        let said = Programs::new()
            .with_pct()
            .answer(&path, &json!({"vmid": vmid, "data_dir": "/nowhere"}));
        let msg = said["msg"].as_str().unwrap();
        assert!(msg.contains("there is no folder /nowhere/server"), "{msg}");
    }
}

#[test]
fn a_job_inside_belongs_to_the_module_that_is_named() {
    let fault = text(program().args(["etcd_member", "--inside", "nonsense"]), 1);
    assert!(fault.contains("reading what is asked for"), "{fault}");
    let fault = text(program().args(["k3s_archive", "--inside-check", "/nowhere"]), 1);
    assert!(fault.contains("the archive /nowhere"), "{fault}");
    let fault = text(program().args(["node_drain", "--inside", "nonsense"]), 1);
    assert!(fault.contains("unexpected argument"), "{fault}");
}

/// What dies of a signal has its memory written to a file, where the limits of the shell that started it allow that.
#[test]
fn a_program_that_dies_leaves_no_core() {
    let programs = Programs::new().with("pct", "#!/bin/sh\nulimit -c > limit\nkill -ABRT $PPID\n");
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", "ulimit -c unlimited; exec \"$0\" pct_exec args.json"])
        .arg(env!("CARGO_BIN_EXE_homelab-k3s"))
        .current_dir(
            programs
                .arguments(&json!({"vmid": 101, "argv": ["true"]}))
                .parent()
                .unwrap(),
        )
        .env("PATH", programs.path())
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(6), "{status:?}");
    assert!(!status.core_dumped(), "{status:?}");
    let limit = std::fs::read_to_string(programs.folder().join("limit")).unwrap();
    assert_eq!(limit, "0\n", "of what it starts");
}
