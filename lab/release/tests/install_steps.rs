//! What the install script does, in which order, and where it stops: download, comparison, restart.

// The tests are the outside world too, and their helpers fail as tests do.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::io::Write;

use common::machine::{Machine, SKIP, mode, ran};
use common::{NEW, OLD, binary};

#[test]
fn it_works_from_a_pipe_with_arguments() {
    for shell in ["sh", "bash"] {
        let machine = Machine::new();
        let script = machine.server.get("/install.sh").body;
        let mut command = machine.command(shell, &[("INSTALL_K3S_VERSION", NEW), ("K3S_TOKEN", "t")]);
        command
            .env_remove("INSTALL_K3S_ARTIFACT_URL")
            .args(["-s", "-", "server", "--disable", "traefik"]);
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&script).unwrap();
        let ran = ran(&child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{shell}: {}", ran.err);
        assert_eq!(fs::read(machine.path("bin/k3s")).unwrap(), binary(NEW));
        assert!(
            machine
                .read("units/k3s.service")
                .ends_with("    server \\\n\t'--disable' \\\n\t'traefik' \\\n\n")
        );
    }
}

#[test]
fn the_binary_comes_from_the_channel_and_is_verified() {
    for (downloader, hidden) in [("curl", "wget"), ("wget", "curl")] {
        let machine = Machine::new();
        machine.link(downloader);
        fs::remove_file(machine.tools.join(hidden)).unwrap_or_default();
        let ran = machine.run(&[("INSTALL_K3S_CHANNEL", "old"), ("ARCH", "amd64")], &[]);
        assert_eq!(ran.code, Some(0), "{hidden} hidden: {}", ran.err);
        let escaped = OLD.replace('+', "%2B");
        let said = format!(
            "[INFO]  Finding release for channel old
[INFO]  Using {OLD} as release
[INFO]  Downloading hash {hash}
[INFO]  Downloading binary {binary}
[INFO]  Verifying binary download
[INFO]  Installing k3s to BIN/k3s
[INFO]  Skipping installation of SELinux RPM
",
            hash = machine
                .server
                .url(&format!("/releases/download/{escaped}/sha256sum-amd64.txt")),
            binary = machine.server.url(&format!("/releases/download/{escaped}/k3s")),
        );
        assert!(ran.out.starts_with(&machine.local(&said)), "{}", ran.out);
        assert_eq!(fs::read(machine.path("bin/k3s")).unwrap(), binary(OLD));
        assert_eq!(mode(&machine.path("bin/k3s")), 0o755);
        assert_eq!(
            fs::read_dir(machine.path("tmp")).unwrap().count(),
            0,
            "the working folder is gone"
        );
    }
}

#[test]
fn a_broken_channel_server_makes_the_channel_name_the_version() {
    for fault in ["404", "500", "html", "empty", "name"] {
        let machine = Machine::new();
        machine.server.break_by(&format!(r#"{{"channels": "{fault}"}}"#));
        let ran = machine.run(&[], &[]);
        assert_eq!(ran.code, Some(1), "{fault}");
        assert!(
            ran.out.contains("[INFO]  Using stable as release"),
            "{fault}: {}",
            ran.out
        );
        assert!(
            ran.err.contains("[ERROR]  Download failed"),
            "{fault}: {}",
            ran.err
        );
        assert_eq!(machine.systemctl_calls(), [""; 0]);
    }
}

#[test]
fn a_bad_download_leaves_binary_and_unit_unchanged() {
    let bad_sum = "Download sha256 does not match";
    for (faults, said) in [
        (r#"{"downloads": "truncated"}"#, "Download failed"),
        (r#"{"downloads": "altered"}"#, bad_sum),
        (r#"{"downloads": "404"}"#, "Download failed"),
        (r#"{"downloads": "html"}"#, bad_sum),
        (r#"{"downloads": "empty"}"#, bad_sum),
        (r#"{"sums": "404"}"#, "Download failed"),
        (r#"{"sums": "html"}"#, bad_sum),
    ] {
        let machine = Machine::new();
        machine.run(
            &[("INSTALL_K3S_VERSION", OLD), ("K3S_TOKEN", "t")],
            &["server", "--x"],
        );
        let unit = machine.read("units/k3s.service");
        machine.systemctl_calls();
        machine.server.break_by(faults);
        let ran = machine.run(&[("INSTALL_K3S_VERSION", NEW)], &[]);
        assert_eq!(ran.code, Some(1), "{faults}");
        assert!(
            ran.err.contains(&format!("[ERROR]  {said}")),
            "{faults}: {}",
            ran.err
        );
        assert_eq!(
            fs::read(machine.path("bin/k3s")).unwrap(),
            binary(OLD),
            "{faults}"
        );
        assert_eq!(
            (machine.read("units/k3s.service"), machine.systemctl_calls()),
            (unit, vec![]),
            "{faults}"
        );
        assert_eq!(fs::read_dir(machine.path("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn nothing_changed_means_no_restart() {
    let machine = Machine::new();
    let given = [("INSTALL_K3S_VERSION", NEW), ("K3S_TOKEN", "t")];
    machine.run(&given, &["server"]);
    assert_eq!(machine.systemctl_calls().last().unwrap(), "restart k3s");
    let again = machine.run(&given, &["server"]);
    assert!(
        again
            .out
            .contains("[INFO]  Skipping binary downloaded, installed k3s matches hash")
    );
    assert!(
        again
            .out
            .ends_with("[INFO]  No change detected so skipping service start\n"),
        "{}",
        again.out
    );
    assert_eq!(machine.systemctl_calls().last().unwrap(), "daemon-reload");
    // Binary, unit or environment: each counts.
    for changed in [
        vec![given[0], ("K3S_TOKEN", "other")],
        vec![("INSTALL_K3S_VERSION", OLD), ("K3S_TOKEN", "other")],
        vec![
            ("INSTALL_K3S_VERSION", OLD),
            ("K3S_TOKEN", "other"),
            ("INSTALL_K3S_TYPE", "exec"),
        ],
    ] {
        machine.run(&changed, &["server"]);
        assert_eq!(
            machine.systemctl_calls().last().unwrap(),
            "restart k3s",
            "{changed:?}"
        );
    }
    let force = ("INSTALL_K3S_FORCE_RESTART", "true");
    machine.run(&[given[0], given[1]], &["server"]);
    machine.systemctl_calls();
    machine.run(&[given[0], given[1], force], &["server"]);
    assert_eq!(machine.systemctl_calls().last().unwrap(), "restart k3s");
}

#[test]
fn a_restart_clears_the_rules_of_kubernetes_only() {
    let machine = Machine::new().with_binary();
    machine.run(&[SKIP], &[]);
    for name in ["iptables", "ip6tables"] {
        assert_eq!(machine.read(&format!("log.{name}")), "keep\n");
    }
}

#[test]
fn start_and_enable_can_be_left_out() {
    let machine = Machine::new().with_binary();
    let ran = machine.run(&[SKIP, ("INSTALL_K3S_SKIP_START", "true")], &[]);
    assert!(
        ran.out.ends_with("[INFO]  systemd: Enabling k3s unit\n"),
        "{}",
        ran.out
    );
    assert_eq!(
        machine.systemctl_calls(),
        [
            "disable k3s",
            &machine.local("enable UNITS/k3s.service"),
            "daemon-reload"
        ]
    );
    let ran = machine.run(&[SKIP, ("INSTALL_K3S_SKIP_ENABLE", "true")], &[]);
    assert!(ran.out.trim_end().ends_with("k3s.service"), "{}", ran.out);
    assert_eq!(machine.systemctl_calls(), ["disable k3s"]);
}

#[test]
fn a_failing_start_exits_with_systemctls_status_and_leaves_the_new_files() {
    let machine = Machine::new().with_binary();
    machine.tool("systemctl", "[ \"$1\" != restart ] || exit 5");
    let ran = machine.run(&[SKIP], &["server", "--new"]);
    assert_eq!(ran.code, Some(5));
    assert!(machine.read("units/k3s.service").contains("'--new'"));
}

#[test]
fn links_can_be_skipped_forced_or_already_served_by_the_path() {
    let machine = Machine::new().with_binary();
    machine.tool("kubectl", "true");
    let ran = machine.run(&[SKIP], &[]);
    let skipped = format!(
        "kubectl symlink to k3s, command exists in PATH at {}",
        machine.tools.join("kubectl").display()
    );
    assert!(ran.out.contains(&skipped), "{}", ran.out);
    assert!(!machine.has("bin/kubectl") && machine.has("bin/crictl"));
    machine.run(&[SKIP, ("INSTALL_K3S_SYMLINK", "force")], &[]);
    assert!(machine.has("bin/kubectl"));
    let machine = Machine::new().with_binary();
    machine.run(&[SKIP, ("INSTALL_K3S_SYMLINK", "skip")], &[]);
    assert!(!machine.has("bin/crictl"));
}

#[test]
fn a_read_only_folder_gets_no_download_no_links_and_no_scripts() {
    let machine = Machine::new().with_binary();
    let ran = machine.run(&[("INSTALL_K3S_BIN_DIR_READ_ONLY", "true")], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(fs::read_dir(machine.path("bin")).unwrap().count(), 1);
}

/// The lab kills the script between two steps by holding it there.
#[test]
fn killed_while_held_after_the_deletion_neither_unit_nor_environment_exists() {
    let machine = Machine::new().with_binary();
    machine.run(&[SKIP, ("K3S_TOKEN", "t")], &["server"]);
    fs::write(machine.path("pause"), "after-delete\n").unwrap();
    machine.tool("sleep", "kill -9 $PPID");
    assert_eq!(machine.run(&[SKIP], &[]).code, None, "killed by a signal");
    assert!(!machine.has("units/k3s.service") && !machine.has("units/k3s.service.env"));
    fs::remove_file(machine.path("pause")).unwrap();
    assert_eq!(machine.run(&[SKIP], &[]).code, Some(0));
    assert!(machine.has("units/k3s.service"));
}
