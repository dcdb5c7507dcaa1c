//! The program itself, for what only a process has: an environment, a locale, a user.

use crate::common::Host as Files;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// PATH with the stand-in as `pct`, pointed at the host made of files.
fn programs(files: &Files) -> String {
    let (root, pct) = (files.path("").display().to_string(), env!("CARGO_BIN_EXE_pct"));
    files.install(
        "pct",
        &format!("#!/bin/sh\nLAB_PCT_ROOT={root} LAB_PCT_PROGRAMS={root}bin exec {pct} \"$@\"\n"),
    );
    format!("{root}bin:/usr/bin:/bin")
}

fn pct_exec(path: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_pct")).with_file_name("examples/pct_exec");
    assert!(
        program.exists(),
        "`cargo test -p lab` builds it, `--test` alone does not: cargo build -p lab --examples"
    );
    let mut command = Command::new(program);
    command.env_clear().env("PATH", path).current_dir("/");
    command
}

fn answer(command: &mut Command, options: &Value) -> Value {
    let mut child = command
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(options.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn no_locale_and_no_variable_of_the_login_reaches_pct() {
    for faults in ["{}", r#"{"no_keep_env": true}"#] {
        let files = Files::new().running("101").faults("101", faults);
        let mut command = pct_exec(&programs(&files));
        command
            .env("LC_ALL", "POSIX")
            .env("LANG", "xx_YY.UTF-8")
            .env("SECRET", "leaks")
            .env("TERM", "a;b");
        for refused in ["ENV", "BASH_ENV", "CDPATH", "IFS", "POSIXLY_CORRECT"] {
            command.env(refused, "/x");
        }
        let argv = json!(["sh", "-c", "echo \"$1\"; env", "sh", "é ü 漢"]);
        let answer = answer(&mut command, &json!({"vmid": 101, "argv": argv}));
        assert_eq!(answer["failed"], false, "{answer}");
        let lines: Vec<&str> = answer["stdout_lines"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(lines[0], "é ü 漢", "{answer}");
        let names: Vec<&str> = lines
            .iter()
            .filter_map(|line| Some(line.split_once('=')?.0))
            .collect();
        let ours = [
            "HOME",
            "HOMELAB_K3S_RUN",
            "LC_ALL",
            "LOGNAME",
            "PATH",
            "TERM",
            "USER",
            "container",
        ];
        let mut others = names
            .iter()
            .filter(|name| !ours.contains(name) && !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
        assert_eq!(others.next(), None, "{faults}: {lines:?}");
    }
}

#[test]
fn a_user_who_is_not_root_is_asked_to_become_it() {
    let files = Files::new().running("101");
    // Where anybody may run it; the machine's own files are not touched by a `pct` that refuses.
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    for (from, to) in [
        (env!("CARGO_BIN_EXE_pct"), "bin/pct"),
        (pct_exec("").get_program().to_str().unwrap(), "bin/pct_exec"),
    ] {
        testbed::copy_program(from, &files.path(to));
        open(&files.path(to));
    }
    open(&files.path(""));
    let mut command = Command::new(files.path("bin/pct_exec"));
    command
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", files.path("bin").display()));
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let answer = answer(command.current_dir("/"), &json!({"vmid": 101, "argv": ["true"]}));
    assert_eq!(
        (&answer["failed"], &answer["changed"], &answer["failure"]["kind"]),
        (&json!(true), &json!(false), &json!("attach_failed")),
        "{answer}"
    );
    let msg = answer["msg"].as_str().unwrap();
    for words in [
        "container 101",
        "please run as root",
        "become: true",
        answer["failure"]["place"].as_str().unwrap(),
    ] {
        assert!(msg.contains(words), "{words:?} is not in: {msg}");
    }
}

#[test]
fn a_machine_without_pct_is_refused() {
    let files = Files::new();
    let answer = answer(&mut pct_exec("/nowhere"), &json!({"vmid": 101, "argv": ["true"]}));
    // Where the machine is a Proxmox host itself, it has no such container.
    let kind = answer["failure"]["kind"].as_str().unwrap();
    assert_eq!(
        (kind, files.path("container").is_dir()),
        ("pct_missing", true),
        "{answer}"
    );
    assert!(
        answer["msg"].as_str().unwrap().contains("Proxmox host"),
        "{answer}"
    );
}
