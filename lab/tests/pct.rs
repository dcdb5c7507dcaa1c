//! The stand-in's contract, row by row, on a host made of files. What needs a real container is in `in_lab.rs`.

// The lint exempts test functions, but not their helpers; a test makes its files itself.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;
#[path = "pct/verbs.rs"]
mod verbs;

use common::{Host, START, STOP, hold, said};
use std::fs;
use std::time::Instant;

const MISSING: &str = "Configuration file 'nodes/pve/lxc/999.conf' does not exist\n";

#[test]
fn status_prints_running_and_stopped() {
    Host::new()
        .running("101")
        .pct(&["status", "101"])
        .is(0, "status: running\n", "");
    Host::new()
        .stopped("101")
        .pct(&["status", "101"])
        .is(0, "status: stopped\n", "");
}

#[test]
fn status_of_an_absent_container_is_2() {
    Host::new().pct(&["status", "999"]).is(2, "", MISSING);
}

#[test]
fn a_container_of_another_node_looks_absent() {
    let host = Host::new();
    host.write("etc/pve/nodes/pve2/lxc/999.conf", "hostname: elsewhere\n");
    host.pct(&["status", "999"]).is(2, "", MISSING);
    host.pct(&["exec", "999", "--", "true"]).is(2, "", MISSING);
}

#[test]
fn verbose_status_prints_the_lock_in_the_same_call() {
    let output = Host::new()
        .running("101")
        .conf("101", "lock: backup\n")
        .pct(&["status", "101", "--verbose"])
        .stdout;
    let keys: Vec<_> = output.lines().filter_map(|line| line.split(':').next()).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    for line in [
        "lock: backup",
        "status: running",
        "name: k3s-1",
        "pid: 4242",
        "type: lxc",
        "vmid: 101",
    ] {
        assert!(output.lines().any(|found| found == line), "{line} in {output}");
    }
}

#[test]
fn exec_runs_the_program_and_is_its_exit_code() {
    let host = Host::new().running("101");
    host.pct(&["exec", "101", "--", "printf", "<%s>", "a", "", "b c\n"])
        .is(0, "<a><><b c\n>", "");
    host.pct(&["exec", "101", "--", "sh", "-c", "echo no >&2; exit 3"])
        .is(3, "", "no\n");
    host.pct(&["exec", "101", "--", "printf", "%s", "--", "x"])
        .is(0, "--x", "");
}

#[test]
fn exec_refuses_options_before_the_dashes() {
    let usage = "pct exec <vmid> [<extra-args>] [OPTIONS]\n";
    for host in [
        Host::new(),
        Host::new().stopped("101"),
        Host::new().running("101"),
    ] {
        let text = format!("Unknown option: la\n400 unable to parse option\n{usage}");
        host.pct(&["exec", "101", "ls", "-la"]).is(255, "", &text);
    }
}

#[test]
fn exec_without_a_command_says_so_only_when_running() {
    let line = "missing command at /usr/share/perl5/PVE/CLI/pct.pm line 246.\n";
    Host::new().running("101").pct(&["exec", "101"]).is(255, "", line);
    Host::new()
        .stopped("101")
        .pct(&["exec", "101"])
        .is(255, "", "container '101' not running!\n");
}

#[test]
fn exec_on_a_stopped_or_absent_container_fails() {
    Host::new()
        .stopped("101")
        .pct(&["exec", "101", "--", "x"])
        .is(255, "", "container '101' not running!\n");
    Host::new().pct(&["exec", "999", "--", "x"]).is(2, "", MISSING);
}

#[test]
fn exec_passes_the_hosts_environment_with_pcts_path() {
    let host = Host::new().running("101");
    let mut command = host.command();
    command
        .env("SECRET", "leaks")
        .env("SSL_CERT_FILE", "/x")
        .env("TERM", "xterm")
        .args(["exec", "101", "--", "env"]);
    let output = said(&mut command).stdout;
    let mut lines: Vec<_> = output
        .lines()
        .filter(|line| !line.starts_with("PWD=") && !line.starts_with('_'))
        .collect();
    lines.retain(|line| !line.starts_with("SHLVL") && !line.starts_with("OLDPWD"));
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "LC_ALL=C.UTF-8",
            "PATH=/sbin:/bin:/usr/sbin:/usr/bin",
            "SECRET=leaks",
            "TERM=linux",
            "container=lxc"
        ]
    );
}

#[test]
fn keep_env_0_leaves_nothing_of_the_host_in_all_its_spellings() {
    let host = Host::new().running("101");
    for spelling in [&["--keep-env=0"][..], &["--keep-env", "0"], &["--keep-env", "no"]] {
        let mut command = host.command();
        command
            .env("SECRET", "leaks")
            .args(["exec", "101"])
            .args(spelling)
            .args(["--", "env"]);
        let output = said(&mut command);
        assert!(
            !output.stdout.contains("SECRET") && output.stdout.contains("/usr/local/bin"),
            "{}",
            output.stdout
        );
    }
}

#[test]
fn a_bare_keep_env_swallows_the_vmid() {
    let output = Host::new()
        .running("101")
        .pct(&["exec", "--keep-env", "101", "--", "ls"]);
    assert_eq!(output.code, 255);
    assert!(
        output.stderr.starts_with("400 unable to parse boolean option\n"),
        "{}",
        output.stderr
    );
}

#[test]
fn posixly_correct_makes_the_dashes_the_program() {
    let host = Host::new().running("101");
    host.program("lxc-attach", "#!/bin/sh\nprintf '%s\\n' \"$*\"\n");
    let mut command = host.command();
    command
        .env("POSIXLY_CORRECT", "1")
        .args(["exec", "101", "--", "ls"]);
    said(&mut command).is(0, "-n 101 --keep-env -- -- ls\n", "");
}

#[test]
fn perls_taint_mode_refuses_four_variables_and_an_odd_term() {
    for (name, value) in [
        ("ENV", "x"),
        ("BASH_ENV", "x"),
        ("CDPATH", "/"),
        ("IFS", " "),
        ("TERM", "a;b"),
    ] {
        let host = Host::new().running("101");
        let mut command = host.command();
        command.env(name, value).args(["exec", "101", "--", "true"]);
        let text = format!(
            "Insecure $ENV{{{name}}} while running with -T switch at /usr/share/perl5/PVE/CLI/pct.pm line 253.\n"
        );
        said(&mut command).is(255, "", &text);
    }
}

#[test]
fn arguments_survive_only_a_utf8_locale() {
    let host = Host::new().running("101");
    for (locale, text) in [
        ("C.UTF-8", "é"),
        ("C", "\u{FFFD}\u{FFFD}"),
        ("xx_YY.UTF-8", "\u{FFFD}\u{FFFD}"),
    ] {
        let mut command = host.command();
        command
            .env("LC_ALL", locale)
            .args(["exec", "101", "--", "printf", "é\n"]);
        said(&mut command).is(0, &format!("{text}\n"), "");
    }
}

#[test]
fn bad_vmids_are_schema_errors() {
    let usage = "pct status <vmid> [OPTIONS]\n";
    let head = "400 Parameter verification failed.\nvmid: ";
    let host = Host::new();
    host.pct(&["status", "abc"]).is(
        255,
        "",
        &format!("{head}type check ('integer') failed - got 'abc'\n\n{usage}"),
    );
    let looks = format!("{head}invalid format - value does not look like a valid VM ID\n\n{usage}");
    host.pct(&["status", "99"]).is(255, "", &looks);
}

#[test]
fn lists_the_commands_for_an_unknown_one() {
    let output = Host::new().pct(&["foo"]);
    assert_eq!(output.code, 255);
    assert!(
        output
            .stderr
            .starts_with("ERROR: unknown command 'pct foo'\nUSAGE: pct <COMMAND> [ARGS] [OPTIONS]\n")
    );
    assert!(
        Host::new()
            .pct(&[])
            .stderr
            .starts_with("ERROR: no command specified\nUSAGE: ")
    );
}

#[test]
fn start_is_not_idempotent() {
    Host::new()
        .running("101")
        .pct(&["start", "101"])
        .is(255, "", "CT 101 already running\n");
    let host = Host::new().stopped("101");
    host.pct(&["start", "101"]).is(0, "", "");
    host.pct(&["status", "101"]).is(0, "status: running\n", "");
}

#[test]
fn start_of_a_locked_or_absent_container_is_255() {
    let host = Host::new().conf("101", "lock: backup\n");
    host.pct(&["start", "101"]).is(255, "", "CT is locked (backup)\n");
    host.pct(&["start", "101", "--skiplock"]).is(0, "", "");
    Host::new()
        .conf("101", "lock: mounted\n")
        .pct(&["start", "101"])
        .is(0, "", "");
    Host::new().pct(&["start", "999"]).is(255, "", MISSING);
    let template = "you can't start a CT if it's a template\n";
    Host::new()
        .conf("101", "template: 1\n")
        .pct(&["start", "101"])
        .is(255, "", template);
}

#[test]
fn a_failed_start_replays_lxc_on_stdout() {
    let host = Host::new().stopped("101");
    host.program("lxc-start", "#!/bin/sh\necho lxc-start: no rootfs >&2\nexit 1\n");
    host.pct(&["start", "101"]).is(
        255,
        "lxc-start: no rootfs\n",
        "startup for container '101' failed\n",
    );
}

#[test]
fn start_writes_lxcs_configuration_anew() {
    let more = "net0: name=eth0,bridge=vmbr0,ip=10.0.0.5/24\nlxc.mount.auto = \"proc:rw\"\nlxc.cap.drop:\n";
    let host = Host::new().conf("101", more);
    fs::create_dir_all(host.path("var/lib/lxc/101")).unwrap();
    host.write("var/lib/lxc/101/lab.conf", "lxc.rootfs.path = overlay:/a:/b\n");
    host.pct(&["start", "101"]).is(0, "", "");
    let config = host.read("var/lib/lxc/101/config");
    for line in [
        "lxc.uts.name = k3s-1",
        "lxc.environment = TERM=linux",
        "lxc.net.0.link = vmbr0",
        "lxc.net.0.ipv4.address = 10.0.0.5/24",
        "lxc.mount.auto = proc:rw",
        "lxc.rootfs.path = overlay:/a:/b",
    ] {
        assert!(config.lines().any(|found| found == line), "{line} in {config}");
    }
}

#[test]
fn under_ha_start_and_stop_only_ask() {
    let faults = r#"{"ha": true, "start_delay_ms": 10}"#;
    let host = Host::new().stopped("101").faults("101", faults);
    let waits = |name: &str| format!("until [ -e ROOT/{name} ] || [ ! -d ROOT ]; do sleep 0.01; done");
    host.program(
        "lxc-start",
        &START.replace("echo", &format!("{}\necho", waits("started"))),
    );
    host.program(
        "lxc-stop",
        &STOP.replace("printf", &format!("{}\nprintf", waits("ended"))),
    );
    host.pct(&["start", "101"])
        .is(0, "Requesting HA start for CT 101\n", "");
    host.pct(&["status", "101"]).is(0, "status: stopped\n", "");
    host.write("started", "");
    becomes(&host, "status: running\n");
    host.pct(&["stop", "101"])
        .is(0, "Requesting HA stop for CT 101\n", "");
    host.pct(&["status", "101"]).is(0, "status: running\n", "");
    host.write("ended", "");
    becomes(&host, "status: stopped\n");
}

/// Another process does it, so its time is real.
#[track_caller]
fn becomes(host: &Host, status: &str) {
    let begun = Instant::now();
    while host.pct(&["status", "101"]).stdout != status {
        assert!(begun.elapsed().as_secs() < 20, "not {status:?} after 20 s");
    }
}

#[test]
fn stop_and_shutdown_of_what_does_not_run_are_errors() {
    for host in [Host::new(), Host::new().stopped("101")] {
        host.pct(&["stop", "101"]).is(255, "", "CT 101 not running\n");
        host.pct(&["shutdown", "101"]).is(255, "", "CT 101 not running\n");
        host.pct(&["reboot", "101"]).is(255, "", "VM 101 not running\n");
    }
}

#[test]
fn stop_kills_and_shutdown_asks() {
    let host = Host::new().running("101");
    host.pct(&["stop", "101"]).is(0, "", "");
    let host2 = Host::new().running("101");
    host2.pct(&["shutdown", "101", "--timeout", "7"]).is(0, "", "");
    host2.pct(&["start", "101"]).is(0, "", "");
    host2.pct(&["shutdown", "101", "--forceStop", "1"]).is(0, "", "");
    assert_eq!(host.read("stops"), "-n 101 --kill\n");
    assert_eq!(
        host2.read("stops"),
        "-n 101 --timeout 7 --nokill\n-n 101 --timeout 60\n"
    );
}

#[test]
fn a_locked_container_is_not_stopped_but_a_reboot_stops_it_for_good() {
    let locked = || Host::new().running("101").conf("101", "lock: backup\n");
    locked()
        .pct(&["stop", "101"])
        .is(255, "", "CT is locked (backup)\n");
    locked()
        .pct(&["shutdown", "101"])
        .is(255, "", "CT is locked (backup)\n");
    let host = locked();
    host.pct(&["reboot", "101"])
        .is(255, "", "CT is locked (backup)\n");
    host.pct(&["status", "101"]).is(0, "status: stopped\n", "");
}

#[test]
fn unlock_of_an_unlocked_container_fails() {
    let host = Host::new().conf("101", "lock: backup\n");
    host.pct(&["unlock", "101"]).is(0, "", "");
    host.pct(&["unlock", "101"])
        .is(255, "", "no lock found trying to remove any lock\n");
    host.pct(&["unlock", "999"]).is(2, "", MISSING);
}

#[test]
fn set_needs_an_option_and_respects_the_lock() {
    let host = Host::new().stopped("101");
    host.pct(&["set", "101"]).is(255, "", "no options specified\n");
    host.pct(&["set", "101", "--tags", "a"]).is(0, "", "");
    assert!(host.conf_of("101").contains("tags: a\n"));
    host.pct(&["set", "101", "--lock", "backup"]).is(0, "", "");
    host.pct(&["set", "101", "--tags", "b"])
        .is(255, "", "CT is locked (backup)\n");
    host.pct(&["set", "101", "--delete", "lock"])
        .is(255, "", "CT is locked (backup)\n");
}

#[test]
fn features_of_a_running_container_are_pending_until_it_starts() {
    let host = Host::new().running("101");
    host.pct(&["set", "101", "--features", "nesting=1"]).is(0, "", "");
    assert!(
        host.pct(&["config", "101"])
            .stdout
            .contains("features: nesting=1\n")
    );
    assert!(
        !host
            .pct(&["config", "101", "--current", "1"])
            .stdout
            .contains("features")
    );
    assert!(
        host.pct(&["pending", "101"])
            .stdout
            .contains("new features: nesting=1\n")
    );
    host.pct(&["stop", "101"]).is(0, "", "");
    host.pct(&["start", "101"]).is(0, "", "");
    assert!(
        host.pct(&["config", "101", "--current", "1"])
            .stdout
            .contains("features: nesting=1\n")
    );
}

#[test]
fn raw_keys_cannot_be_set_but_survive() {
    let host = Host::new().conf("101", "lxc.cap.drop:\nlxc.mount.auto = proc:rw\n");
    let output = host.pct(&["set", "101", "--lxc.cap.drop", "x"]);
    assert_eq!(
        (output.code, output.stderr.lines().next()),
        (255, Some("Unknown option: lxc.cap.drop"))
    );
    host.pct(&["set", "101", "--swap", "0"]).is(0, "", "");
    let output = host.pct(&["config", "101"]).stdout;
    assert!(
        output.ends_with("swap: 0\nlxc.cap.drop: \nlxc.mount.auto: proc:rw\n"),
        "{output}"
    );
}

#[test]
fn deleting_what_is_not_set_only_warns() {
    let text = "cannot delete 'tags' - not set in current configuration!\n";
    Host::new()
        .stopped("101")
        .pct(&["set", "101", "--delete", "tags"])
        .is(0, "", text);
}

#[test]
fn push_needs_a_running_container() {
    let text = "can only push files to a running CT\n";
    Host::new()
        .stopped("101")
        .pct(&["push", "101", "f", "/d"])
        .is(255, "", text);
    Host::new().pct(&["push", "999", "f", "/d"]).is(255, "", text);
}

#[test]
fn a_failed_push_exits_0() {
    let host = Host::new().running("101");
    host.write("f", "text");
    host.pct(&["push", "101", "nofile", "/d"])
        .is(0, "", "failed to open nofile for reading\n");
    let text = "failed to create file: /no/dir/x: No such file or directory\n";
    host.pct(&["push", "101", "f", "/no/dir/x"]).is(0, "", text);
    host.pct(&["push", "101", "f", "/d", "--perms", "u+rw"])
        .is(0, "", "invalid mode: '0u+rw'\n");
    host.pct(&["push", "101", "f", "/d", "--user", "nobody-here"]).is(
        0,
        "",
        "failed to get uid for: nobody-here\n",
    );
}

#[test]
fn push_writes_with_mode_and_owner_and_keeps_them_otherwise() {
    use std::os::unix::fs::MetadataExt as _;
    let host = Host::new().running("101");
    host.write("f", "one");
    let target = host.path("proc/4242/root/new");
    host.pct(&[
        "push", "101", "f", "/new", "--perms", "0640", "--user", "kim", "--group", "kims",
    ])
    .is(0, "", "");
    host.write("f", "two");
    host.pct(&["push", "101", "f", "new"]).is(0, "", "");
    let found = fs::metadata(&target).unwrap();
    assert_eq!(
        (found.mode() & 0o7777, found.uid(), found.gid()),
        (0o640, 1234, 1235)
    );
    assert_eq!(fs::read_to_string(target).unwrap(), "two");
}

#[test]
fn a_link_in_the_container_leads_nowhere_outside() {
    let host = Host::new().running("101");
    std::os::unix::fs::symlink("/etc", host.path("proc/4242/root/link")).unwrap();
    host.write("f", "text");
    host.pct(&["push", "101", "f", "/link/pushed"]).is(0, "", "");
    assert_eq!(host.read("proc/4242/root/etc/pushed"), "text");
}

#[test]
fn a_failed_pull_exits_0_and_leaves_an_empty_file() {
    let host = Host::new().running("101");
    host.write("d", "old");
    host.pct(&["pull", "101", "/nope", "d"])
        .is(0, "", "failed to open /nope: No such file or directory\n");
    assert_eq!(host.read("d"), "");
    let text = "can only pull files from a running VM at /usr/share/perl5/PVE/CLI/pct.pm line 664.\n";
    Host::new()
        .stopped("101")
        .pct(&["pull", "101", "/a", "d"])
        .is(255, "", text);
}

#[test]
fn list_is_empty_or_a_table_of_this_node() {
    Host::new().pct(&["list"]).is(0, "", "");
    let host = Host::new().running("101").conf("1000", "lock: backup\n");
    host.write("etc/pve/nodes/pve2/lxc/102.conf", "hostname: elsewhere\n");
    let table = "VMID       Status     Lock         Name                \n\
                 101        running                 k3s-1               \n\
                 1000       stopped    backup       k3s-1               \n";
    host.pct(&["list"]).is(0, table, "");
}

#[test]
fn a_busy_lock_file_is_waited_for_and_reported_with_either_message() {
    let host = Host::new()
        .running("101")
        .faults("101", r#"{"lock_wait_ms": 60}"#);
    host.write("f", "text");
    let _held = hold(&host.path("run/lock/lxc/pve-config-101.lock"));
    let acquiring = "trying to acquire lock...\n";
    let timeout = "can't lock file '/run/lock/lxc/pve-config-101.lock' - got timeout\n";
    let both = format!("{acquiring}{timeout}");
    host.pct(&["stop", "101"]).is(255, acquiring, timeout);
    host.pct(&["snapshot", "101", "one"]).is(255, acquiring, timeout);
    host.pct(&["set", "101", "--tags", "a"]).is(4, "", &both);
    host.pct(&["unlock", "101"]).is(4, "", &both);
    host.pct(&["push", "101", "f", "/d"]).is(4, "", &both);
    host.pct(&["exec", "101", "--", "true"]).is(0, "", "");
}

#[test]
fn old_configuration_keys_are_complained_about() {
    let text = "vm 101 - lxc.cgroup.devices.allow is deprecated, this will be a hard error in the future!\n";
    let host = Host::new()
        .running("101")
        .conf("101", "lxc.cgroup.devices.allow: a\n");
    host.pct(&["status", "101"]).is(0, "status: running\n", text);
    let host = Host::new()
        .running("101")
        .faults("101", r#"{"config_warning": true}"#);
    host.pct(&["exec", "101", "--", "echo", "out"])
        .is(0, "out\n", text);
}

#[test]
fn an_attach_race_is_reported_by_lxc_and_passes() {
    let host = Host::new().running("101").faults("101", r#"{"attach_race": 1}"#);
    let output = host.pct(&["exec", "101", "--", "echo", "out"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
    assert!(
        output
            .stderr
            .contains("Connection refused - Failed to get init pid\n"),
        "{}",
        output.stderr
    );
    host.pct(&["exec", "101", "--", "echo", "out"]).is(0, "out\n", "");
}

#[test]
fn a_slow_container_is_slow() {
    let host = Host::new().running("101").faults("101", r#"{"slow_ms": 80}"#);
    let begun = Instant::now();
    host.pct(&["exec", "101", "--", "true"]).is(0, "", "");
    assert!(begun.elapsed().as_millis() >= 80);
}

#[test]
fn old_lxc_reports_no_signal() {
    let script = "#!/bin/sh\nexit 137\n";
    for (faults, code) in [("{}", 137), (r#"{"old_lxc": true}"#, 0)] {
        let host = Host::new().running("101").faults("101", faults);
        host.program("lxc-attach", script);
        host.pct(&["exec", "101", "--", "x"]).is(code, "", "");
    }
}

#[test]
fn an_older_pct_does_not_know_keep_env() {
    let host = Host::new()
        .running("101")
        .faults("101", r#"{"no_keep_env": true}"#);
    let output = host.pct(&["exec", "101", "--keep-env=0", "--", "true"]);
    assert_eq!(
        (output.code, output.stderr.lines().next()),
        (255, Some("Unknown option: keep-env"))
    );
    host.pct(&["exec", "101", "--", "true"]).is(0, "", "");
}

#[test]
fn snapshots_are_sections_and_roll_back_stops_the_container() {
    let host = Host::new().running("101");
    for part in ["upper", "rancher", "kubelet"] {
        fs::create_dir_all(host.path("var/lib/lxc/101/disk").join(part)).unwrap();
    }
    host.write("var/lib/lxc/101/disk/upper/file", "before");
    host.pct(&["snapshot", "101", "one", "--description", "a note"])
        .is(0, "", "");
    host.pct(&["snapshot", "101", "one"])
        .is(255, "", "snapshot name 'one' already used\n");
    host.pct(&["snapshot", "101", "current"]).is(
        255,
        "",
        "unable to use snapshot name 'current' (reserved name)\n",
    );
    host.write("var/lib/lxc/101/disk/upper/file", "after");
    host.pct(&["set", "101", "--tags", "later"]).is(0, "", "");
    host.pct(&["rollback", "101", "two"])
        .is(255, "", "snapshot 'two' does not exist\n");
    host.pct(&["rollback", "101", "one"]).is(0, "", "");
    assert_eq!(host.read("var/lib/lxc/101/disk/upper/file"), "before");
    host.pct(&["status", "101"]).is(0, "status: stopped\n", "");
    assert!(!host.pct(&["config", "101"]).stdout.contains("tags"));
    host.pct(&["delsnapshot", "101", "one"]).is(0, "", "");
    host.pct(&["delsnapshot", "101", "one"])
        .is(255, "", "snapshot 'one' does not exist\n");
}

#[test]
fn listsnapshot_shows_where_you_are() {
    let snapshots =
        "parent: two\n\n[one]\nsnaptime: 1700000000\n\n[two]\n#why\nparent: one\nsnaptime: 1700000060\n";
    let host = Host::new().conf("101", snapshots);
    let table = "`-> one                        2023-11-14 22:13:20    no-description\n\
                 \u{20}`-> two                       2023-11-14 22:14:20    why\n\
                 \u{20} `-> current                  You are here!\n";
    let output = host.pct(&["listsnapshot", "101"]);
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed(&output.stdout), squeezed(table));
    let plain = "`-> current                                           You are here!\n";
    Host::new()
        .stopped("101")
        .pct(&["listsnapshot", "101"])
        .is(0, plain, "");
}
