//! What holds for many verbs at once: a configuration that is missing, a lock, a busy lock file, a user who is not root.

use super::{Host, MISSING, hold};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

const LOCKED: &str = "CT is locked (backup)\n";
const ACQUIRING: &str = "trying to acquire lock...\n";

#[test]
fn a_missing_configuration_is_2_where_it_is_looked_for_and_255_in_a_task() {
    for verb in ["status", "config", "pending", "listsnapshot", "enter", "unlock"] {
        Host::new().pct(&[verb, "999"]).is(2, "", MISSING);
    }
    Host::new().pct(&["exec", "999", "--", "x"]).is(2, "", MISSING);
    Host::new().pct(&["set", "999", "--tags", "a"]).is(2, "", MISSING);
    for words in [
        &["start", "999"][..],
        &["snapshot", "999", "one"],
        &["rollback", "999", "one"],
        &["delsnapshot", "999", "one"],
    ] {
        Host::new().pct(words).is(255, "", MISSING);
    }
}

#[test]
fn a_lock_stops_tasks_and_set_and_nothing_else() {
    let locked = || {
        let conf = "lock: backup\n\n[one]\nsnaptime: 1\n";
        Host::new().running("101").conf("101", conf)
    };
    for words in [
        &["stop", "101"][..],
        &["shutdown", "101"],
        &["snapshot", "101", "two"],
        &["rollback", "101", "one"],
        &["delsnapshot", "101", "one"],
        &["set", "101", "--tags", "a"],
    ] {
        let host = locked();
        let before = host.conf_of("101");
        host.pct(words).is(255, "", LOCKED);
        assert_eq!(host.conf_of("101"), before, "{words:?}");
    }
    locked().pct(&["status", "101"]).is(0, "status: running\n", "");
    locked()
        .pct(&["exec", "101", "--", "echo", "in"])
        .is(0, "in\n", "");
    let host = locked();
    host.write("f", "text");
    host.pct(&["push", "101", "f", "/d"]).is(0, "", "");
}

#[test]
fn a_busy_lock_file_is_on_stdout_for_tasks_and_on_stderr_for_the_others() {
    let lock_file = "run/lock/lxc/pve-config-101.lock";
    let timeout = "can't lock file '/run/lock/lxc/pve-config-101.lock' - got timeout\n";
    let patient = |host: Host| host.faults("101", r#"{"lock_wait_ms": 30}"#);
    let host = patient(Host::new().stopped("101"));
    let held = hold(&host.path(lock_file));
    host.pct(&["start", "101"]).is(255, ACQUIRING, timeout);
    drop(held);
    let host = patient(Host::new().running("101"));
    host.write("f", "text");
    let held = hold(&host.path(lock_file));
    for words in [
        &["shutdown", "101"][..],
        &["reboot", "101"],
        &["rollback", "101", "one"],
        &["delsnapshot", "101", "one"],
    ] {
        host.pct(words).is(255, ACQUIRING, timeout);
    }
    host.pct(&["pull", "101", "/etc/passwd", "d"])
        .is(4, "", &format!("{ACQUIRING}{timeout}"));
    drop(held);
    host.pct(&["push", "101", "f", "/d"]).is(0, "", "");
}

#[test]
fn under_ha_a_shutdown_is_asked_for_and_no_lock_is_looked_at() {
    let faults = r#"{"ha": true}"#;
    let host = Host::new()
        .running("101")
        .conf("101", "lock: backup\n")
        .faults("101", faults);
    host.pct(&["shutdown", "101"])
        .is(0, "Requesting HA stop for CT 101\n", "");
}

/// Nobody's `pct` looks at the machine itself, and is refused before it has seen anything of it.
#[test]
fn only_root_may_call_it() {
    let host = Host::new();
    let program = host.path("bin/pct");
    testbed::copy_program(env!("CARGO_BIN_EXE_pct"), &program);
    for path in [&host.path(""), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for words in [&["list"][..], &["status", "101"], &["exec", "101", "--", "true"]] {
        let mut command = Command::new(&program);
        command.env_clear().current_dir("/").args(words);
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), &*stderr),
            (Some(255), "please run as root\n")
        );
    }
}
