//! What only a real container can show. Needs a lab that is up (`lab up`, with a cluster), and changes worker 1;
//! so it is built only when asked for: `cargo test -p lab --test in_lab -- --test-threads 1`.

// The lint exempts test functions, but not their helpers; a test makes its files itself.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "in_lab/cluster.rs"]
mod cluster;
#[path = "in_lab/product.rs"]
mod product;

use assert_cmd::Command;
use std::fs;
use std::time::{Duration, Instant};

struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn lab(arguments: &[&str]) -> Said {
    said(Command::cargo_bin("lab").unwrap().args(arguments))
}

#[track_caller]
fn fault(arguments: &[&str]) {
    let output = said(Command::cargo_bin("lab").unwrap().arg("fault").args(arguments));
    assert_eq!(output.code, 0, "{}", output.stderr);
}

fn pct_command(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("lab").unwrap();
    command
        .args(["exec", "--", "pct"])
        .args(arguments)
        .timeout(Duration::from_mins(1));
    command
}

fn pct(arguments: &[&str]) -> Said {
    said(&mut pct_command(arguments))
}

fn inside(script: &str) -> Said {
    pct(&["exec", "111", "--", "sh", "-c", script])
}

#[track_caller]
fn wait_for(what: &str, mut check: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{what}: not so after 30 s"
        );
    }
}

fn booted() -> bool {
    ["running", "degraded"].contains(&inside("systemctl is-system-running").stdout.trim())
}

#[test]
fn every_exit_code_passes() {
    for code in 0..=255 {
        assert_eq!(inside(&format!("exit {code}")).code, code);
    }
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    assert_eq!(
        [inside("kill -9 $$").code, inside("kill -15 $$").code],
        [137, 143]
    );
}

#[test]
fn what_cannot_be_run_is_127_or_126_with_a_line_of_lxcs() {
    let output = pct(&["exec", "111", "--", "no-such-program"]);
    assert_eq!(output.code, 127);
    assert!(
        output.stderr.starts_with("lxc-attach: 111: "),
        "{}",
        output.stderr
    );
    assert!(
        output
            .stderr
            .contains("No such file or directory - Failed to exec \"no-such-program\""),
        "{}",
        output.stderr
    );
    assert_eq!(pct(&["exec", "111", "--", "/etc/hostname"]).code, 126);
}

#[test]
fn programs_in_usr_local_are_found_only_without_the_hosts_environment() {
    inside("printf '#!/bin/sh\\necho here $HOME\\n' > /usr/local/bin/probe; chmod 755 /usr/local/bin/probe");
    assert_eq!(pct(&["exec", "111", "--", "probe"]).code, 127);
    assert_eq!(
        pct(&["exec", "111", "--keep-env", "0", "--", "probe"]).stdout,
        "here\n"
    );
}

#[test]
fn lxc_says_that_it_is_a_container_and_linux_its_terminal() {
    assert_eq!(inside("echo $container $TERM").stdout, "lxc linux\n");
}

#[test]
fn the_callers_folder_is_kept_where_it_exists_inside() {
    let there = tempfile::tempdir().unwrap();
    let pwd = |folder: &str| said(pct_command(&["exec", "111", "--", "pwd"]).current_dir(folder)).stdout;
    assert_eq!(pwd(there.path().to_str().unwrap()), "/\n");
    assert_eq!(pwd("/usr"), "/usr\n");
}

#[test]
fn fifty_megabytes_of_stdin_arrive_unchanged() {
    let bytes: Vec<u8> = (0..50_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut command = pct_command(&["exec", "111", "--", "cat"]);
    let output = command.write_stdin(bytes.clone()).output().unwrap();
    assert!(output.stdout == bytes, "{} bytes came back", output.stdout.len());
}

#[test]
fn a_frozen_container_runs_and_hangs() {
    fault(&["freeze", "111"]);
    // Without pipes: what hangs inside would hold them even when `pct` is killed.
    let mut call = std::process::Command::new(env!("CARGO_BIN_EXE_lab"));
    let mut hung = call
        .args(["exec", "--", "pct", "exec", "111", "--", "true"])
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        assert_eq!(
            hung.try_wait().unwrap(),
            None,
            "the command ended in a frozen container"
        );
    }
    let status = pct(&["status", "111"]);
    fault(&["thaw", "111"]);
    assert_eq!(status.stdout, "status: running\n");
    assert!(hung.wait().unwrap().success());
    assert_eq!(inside("true").code, 0);
}

#[test]
fn power_verbs_work_on_a_real_container() {
    assert_eq!(pct(&["shutdown", "111"]).code, 0);
    assert_eq!(pct(&["status", "111"]).stdout, "status: stopped\n");
    assert_eq!(pct(&["start", "111"]).code, 0);
    wait_for("systemd has booted", booted);
    let before = inside("cat /proc/1/stat | cut -d' ' -f22").stdout;
    assert_eq!(pct(&["reboot", "111"]).code, 0);
    wait_for("systemd has booted", booted);
    assert_ne!(before, inside("cat /proc/1/stat | cut -d' ' -f22").stdout);
    assert_eq!(pct(&["stop", "111"]).code, 0);
    assert_eq!(pct(&["start", "111"]).code, 0);
    wait_for("systemd has booted", booted);
    inside("systemctl poweroff");
    wait_for("a container powered off from inside is stopped", || {
        pct(&["status", "111"]).stdout == "status: stopped\n"
    });
    fault(&["start", "111"]);
    wait_for("systemd has booted", booted);
}

#[test]
fn files_are_pushed_and_pulled() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("out"), "text").unwrap();
    assert_eq!(
        pct(&["push", "111", &path("out"), "/root/pushed", "--perms", "600"]).code,
        0
    );
    assert_eq!(
        inside("stat -c %a /root/pushed; cat /root/pushed").stdout,
        "600\ntext"
    );
    assert_eq!(pct(&["pull", "111", "/root/pushed", &path("back")]).code, 0);
    assert_eq!(fs::read_to_string(path("back")).unwrap(), "text");
}

#[test]
fn a_rollback_brings_the_disk_back() {
    inside("echo before > /root/state; echo before > /var/lib/rancher/state");
    let output = pct(&["snapshot", "111", "before"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    inside("echo after > /root/state; echo after > /var/lib/rancher/state");
    let output = pct(&["rollback", "111", "before", "--start", "1"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    wait_for("systemd has booted", booted);
    assert_eq!(
        inside("cat /root/state /var/lib/rancher/state").stdout,
        "before\nbefore\n"
    );
    assert_eq!(pct(&["delsnapshot", "111", "before"]).code, 0);
}

#[test]
fn a_full_disk_takes_nothing_more() {
    fault(&["full-disk", "111"]);
    let output = inside("head -c 1000000 /dev/zero > /root/big");
    assert!(
        output.stderr.contains("No space left on device"),
        "{}",
        output.stderr
    );
    fault(&["clear"]);
    assert_eq!(
        inside("rm /root/big; head -c 1000000 /dev/zero > /root/big").code,
        0
    );
}

#[test]
fn a_container_can_go_missing_and_come_back() {
    fault(&["missing", "111"]);
    assert_eq!(pct(&["status", "111"]).code, 2);
    fault(&["clear"]);
    assert_eq!(pct(&["status", "111"]).stdout, "status: running\n");
}

#[test]
fn a_held_lock_file_is_waited_for() {
    // Longer than it takes to see that it is held, and less than `pct` waits.
    fault(&["hold-lock", "111", "5"]);
    wait_for("the lock is held", || {
        lab(&[
            "exec",
            "--",
            "flock",
            "-n",
            "/run/lock/lxc/pve-config-111.lock",
            "true",
        ])
        .code
            == 1
    });
    let output = pct(&["set", "111", "--tags", "a"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "trying to acquire lock...\n OK\n")
    );
}

#[test]
fn a_host_can_be_out_of_reach() {
    let ssh = || {
        let mut command = Command::new("ssh");
        command.args([
            "-i",
            "/run/homelab-lab/ssh/id",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=2",
        ]);
        command.args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/run/homelab-lab/ssh/known_hosts",
        ]);
        said(command.args(["root@10.99.0.1", "hostname"]))
    };
    assert_eq!(ssh().stdout, "pve1\n");
    fault(&["ssh-down", "pve1"]);
    assert_eq!(ssh().code, 255);
    fault(&["ssh-up", "pve1"]);
    assert_eq!(ssh().stdout, "pve1\n");
}

#[test]
fn the_release_server_fails_on_request() {
    let channel = || {
        let url = "http://10.99.0.1:8080/v1-release/channels/stable";
        lab(&[
            "exec",
            "--",
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            url,
        ])
        .stdout
    };
    assert_eq!(channel(), "302");
    fault(&["channel", "500"]);
    assert_eq!(channel(), "500");
    fault(&["channel", "none"]);
    assert_eq!(channel(), "302");
}

#[test]
fn the_api_can_be_down() {
    fault(&["api-down"]);
    let output = lab(&["kubectl", "get", "nodes"]);
    assert_eq!(output.code, 1, "{}", output.stdout);
    fault(&["api-up"]);
    assert_eq!(lab(&["kubectl", "get", "nodes"]).code, 0);
}

#[test]
fn a_second_lab_is_refused() {
    let output = lab(&["up"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.contains("`lab down` removes it"),
        "{}",
        output.stderr
    );
}
