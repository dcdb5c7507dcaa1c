//! The program itself: how it answers, and how it ends.

// The lint exempts test functions, but not their helpers; a test starts programs itself.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lab-pod");

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A port that nobody has. Below the range of clients' ports: one of those that ask here could get it.
fn port() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 131;
        let port = u16::try_from(12_000 + offset % 20_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port.to_string();
        }
    }
}

fn web(port: &str, grace: &str) -> Child {
    let mut command = Command::new(PROGRAM);
    command
        .env("PORT", port)
        .env("GRACE", grace)
        .stdout(Stdio::null());
    command.spawn().unwrap()
}

fn get(port: &str) -> Option<String> {
    let output = run(&["get", &format!("http://127.0.0.1:{port}/")]);
    output.status.success().then(|| said(&output))
}

/// Its first answer, which comes as soon as it listens.
fn answer(port: &str) -> String {
    let begun = Instant::now();
    loop {
        match get(port) {
            Some(answer) => return answer,
            None => assert!(begun.elapsed() < Duration::from_secs(20), "no answer"),
        }
    }
}

fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

#[test]
fn done_exits_0_fail_exits_1_and_an_unknown_part_exits_2() {
    assert_eq!(run(&["done"]).status.code(), Some(0));
    assert_eq!(run(&["fail"]).status.code(), Some(1));
    assert_eq!(run(&["nginx"]).status.code(), Some(2));
    assert_eq!(run(&["sleep", "0"]).status.code(), Some(0));
}

#[test]
fn web_answers_its_host_name_and_ends_on_sigterm() {
    let port = port();
    let mut child = web(&port, "0");
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(answer(&port), name.trim());
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(get(&port), None);
}

#[test]
fn with_a_grace_web_goes_on_after_sigterm() {
    let port = port();
    let mut child = web(&port, "600");
    answer(&port);
    terminate(&child);
    for _ in 0..20 {
        assert!(get(&port).is_some());
    }
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn names_a_variable_without_a_number() {
    let mut command = Command::new(PROGRAM);
    let output = command.env("GRACE", "soon").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("GRACE=soon"));
}
