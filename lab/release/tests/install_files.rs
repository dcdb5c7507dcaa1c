//! What the install script writes, and from what: run by a real sh, with a systemctl that only writes
//! down its arguments.

// The tests are the outside world too, and their helpers fail as tests do.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use common::NEW;
use common::machine::{Machine, SKIP, mode, ran};

const RECORDED_UNIT: &str = "[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-UNITS/NAME.service.env
KillMode=process
Delegate=yes
# Having non-zero Limit*s causes performance problems due to accounting overhead
# in the kernel. We recommend using cgroups to do container-local accounting.
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=BIN/k3s \\
";

/// The lines of the unit's environment file, sorted, without the quotes that a shell puts around values.
fn environment(machine: &Machine, unit: &str) -> Vec<String> {
    let text = machine.read(&format!("units/{unit}.service.env"));
    let plain = |line: &str| line.replace(['\'', '"', '\\'], "");
    let mut lines: Vec<_> = text.lines().map(plain).collect();
    lines.sort();
    lines
}

#[test]
fn a_server_is_installed_as_recorded() {
    let machine = Machine::new().with_binary();
    let exec = "server --node-ip 10.99.0.101 --disable traefik,metrics-server --node-label tier=ctl";
    let ran = machine.run(
        &[SKIP, ("K3S_TOKEN", "labtoken"), ("INSTALL_K3S_EXEC", exec)],
        &[],
    );
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let said = "[INFO]  Skipping k3s download and verify
[INFO]  Skipping installation of SELinux RPM
[INFO]  Creating BIN/kubectl symlink to k3s
[INFO]  Creating BIN/crictl symlink to k3s
[INFO]  Creating BIN/ctr symlink to k3s
[INFO]  Creating killall script BIN/k3s-killall.sh
[INFO]  Creating uninstall script BIN/k3s-uninstall.sh
[INFO]  env: Creating environment file UNITS/k3s.service.env
[INFO]  systemd: Creating service file UNITS/k3s.service
[INFO]  systemd: Enabling k3s unit
[INFO]  systemd: Starting k3s
";
    assert_eq!(ran.out, machine.local(said));
    let unit = machine.local(&RECORDED_UNIT.replace("NAME", "k3s"));
    let args = "    server \\\n\t'--node-ip' \\\n\t'10.99.0.101' \\\n\t'--disable' \\\n\t'traefik,metrics-server' \\\n\
                \t'--node-label' \\\n\t'tier=ctl' \\\n\n";
    assert_eq!(machine.read("units/k3s.service"), unit + args);
    assert_eq!(environment(&machine, "k3s"), ["K3S_TOKEN=labtoken"]);
    assert_eq!(mode(&machine.path("units/k3s.service")), 0o644);
    assert_eq!(mode(&machine.path("units/k3s.service.env")), 0o600);
    let enable = machine.local("enable UNITS/k3s.service");
    assert_eq!(
        machine.systemctl_calls(),
        ["disable k3s", &enable, "daemon-reload", "restart k3s"]
    );
    assert_eq!(
        fs::read_link(machine.path("bin/kubectl")).unwrap(),
        Path::new("k3s")
    );
}

#[test]
fn an_agent_is_installed_as_recorded() {
    let machine = Machine::new().with_binary();
    let given = [
        SKIP,
        ("K3S_URL", "https://10.99.0.101:6443"),
        ("K3S_TOKEN", "labtoken"),
        (
            "INSTALL_K3S_EXEC",
            "agent --node-label tier=work --kubelet-arg=max-pods=50",
        ),
    ];
    let ran = machine.run(&given, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let unit = machine.local(&RECORDED_UNIT.replace("NAME", "k3s-agent"));
    let args = "    agent \\\n\t'--node-label' \\\n\t'tier=work' \\\n\t'--kubelet-arg=max-pods=50' \\\n\n";
    assert_eq!(machine.read("units/k3s-agent.service"), unit + args);
    assert_eq!(
        environment(&machine, "k3s-agent"),
        ["K3S_TOKEN=labtoken", "K3S_URL=https://10.99.0.101:6443"]
    );
    assert!(machine.has("bin/k3s-agent-uninstall.sh"));
    assert_eq!(machine.systemctl_calls().last().unwrap(), "restart k3s-agent");
}

#[test]
fn run_again_with_nothing_but_the_version_an_agent_grows_a_server_unit() {
    let machine = Machine::new().with_binary();
    let agent = [
        SKIP,
        ("K3S_URL", "https://10.99.0.101:6443"),
        ("K3S_TOKEN", "labtoken"),
    ];
    machine.run(&agent, &["agent", "--node-label", "tier=work"]);
    let before = machine.read("units/k3s-agent.service");
    machine.systemctl_calls();
    let ran = machine.run(&[SKIP, ("INSTALL_K3S_VERSION", NEW), ("SYSTEMCTL_RC", "1")], &[]);
    // `disable` may fail, `enable` may not: the script ends with the exit status of systemctl.
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.out
            .contains(&machine.local("Skipping BIN/kubectl symlink to k3s, already exists"))
    );
    assert!(ran.out.contains("[INFO]  systemd: Enabling k3s unit"));
    assert_eq!(
        machine.read("units/k3s-agent.service"),
        before,
        "the agent's own unit is left alone"
    );
    assert!(
        machine
            .read("units/k3s.service")
            .ends_with("/k3s \\\n    server \\\n\n")
    );
    assert_eq!(machine.read("units/k3s.service.env"), "");
}

#[test]
fn run_again_with_nothing_but_the_version_a_server_loses_flags_and_token() {
    let machine = Machine::new().with_binary();
    let exec = (
        "INSTALL_K3S_EXEC",
        "server --disable traefik --node-label tier=ctl",
    );
    machine.run(&[SKIP, ("K3S_TOKEN", "labtoken"), exec], &[]);
    assert!(machine.read("units/k3s.service").contains("traefik"));
    let ran = machine.run(&[SKIP, ("INSTALL_K3S_VERSION", NEW)], &[]);
    assert_eq!(ran.code, Some(0));
    assert!(
        machine
            .read("units/k3s.service")
            .ends_with("/k3s \\\n    server \\\n\n")
    );
    assert_eq!(machine.read("units/k3s.service.env"), "");
}

#[test]
fn the_command_follows_from_flags_and_url() {
    let url = ("K3S_URL", "https://10.99.0.101:6443");
    let token = ("K3S_TOKEN", "t");
    for (environment, args, unit, command) in [
        (vec![], vec![], "k3s", "server"),
        (vec![], vec!["--disable=traefik"], "k3s", "server"),
        (vec![url, token], vec!["--node-label=a=b"], "k3s-agent", "agent"),
        (vec![url, ("K3S_TOKEN_FILE", "/t")], vec![], "k3s-agent", "agent"),
        (vec![url, token], vec!["server"], "k3s", "server"),
        (
            vec![("INSTALL_K3S_EXEC", "agent")],
            vec!["--x"],
            "k3s-agent",
            "agent",
        ),
        (
            vec![("INSTALL_K3S_NAME", "two")],
            vec!["agent"],
            "k3s-two",
            "agent",
        ),
        (vec![], vec!["etcd-only"], "k3s-etcd-only", "etcd-only"),
    ] {
        let machine = Machine::new().with_binary();
        let ran = machine.run(&[vec![SKIP], environment].concat(), &args);
        assert_eq!(ran.code, Some(0), "{unit}: {}", ran.err);
        let text = machine.read(&format!("units/{unit}.service"));
        assert!(text.contains(&format!("/k3s \\\n    {command} \\\n")), "{text}");
    }
}

#[test]
fn what_cannot_be_right_is_fatal_before_anything_is_touched() {
    let url = "https://10.99.0.101:6443";
    for (environment, said) in [
        (
            vec![("K3S_URL", url)],
            "Defaulted k3s exec command to 'agent' because K3S_URL is defined",
        ),
        (
            vec![("K3S_URL", "http://x"), ("K3S_TOKEN", "t")],
            "Only https:// URLs are supported for K3S_URL (have http://x)",
        ),
        (
            vec![("INSTALL_K3S_NAME", "a b")],
            "Invalid characters for system name: k3s-a b",
        ),
        (
            vec![("INSTALL_K3S_BIN_DIR", "/nonexistent")],
            "Executable k3s binary not found at /nonexistent/k3s",
        ),
    ] {
        let machine = Machine::new().with_binary();
        let ran = machine.run(&[vec![SKIP], environment].concat(), &[]);
        assert_eq!(ran.code, Some(1), "{said}");
        assert!(
            ran.err.starts_with("[ERROR]  ") && ran.err.contains(said),
            "{}",
            ran.err
        );
        assert_eq!(machine.systemctl_calls(), [""; 0]);
        assert_eq!(fs::read_dir(machine.path("units")).unwrap().count(), 0);
    }
}

#[test]
fn exec_and_arguments_are_joined_and_quoted() {
    let machine = Machine::new().with_binary();
    let exec = r#"server --a "two words" --b=$HOME;touch * --c 'it is'"#;
    let ran = machine.run(
        &[SKIP, ("INSTALL_K3S_EXEC", exec)],
        &["--d", "it's", "x y", "", "--e=\"q\""],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let unit = machine.read("units/k3s.service");
    let lines = "    server \\\n\t'--a' \\\n\t'two words' \\\n\t'--b=$HOME;touch' \\\n\t'*' \\\n\t'--c' \\\n\t'it is' \\\n\
                 \t'--d' \\\n\t'it'\\''s' \\\n\t'x y' \\\n\t'' \\\n\t'--e=\"q\"' \\\n\n";
    assert!(unit.ends_with(lines), "{unit}");
}

#[test]
fn the_environment_file_has_what_the_script_was_given() {
    let given = [
        SKIP,
        ("K3S_TOKEN", "t k'en"),
        ("CONTAINERD_HTTP_PROXY", "c"),
        ("KINE_DEBUG", "k"),
        ("https_proxy", "http://p"),
        ("NO_PROXY", "10.0.0.0/8"),
        ("INSTALL_K3S_NAME", "x"),
        ("SECRET", "no"),
        ("NOT_K3S_THING", "no"),
    ];
    let machine = Machine::new().with_binary();
    machine.run(&given, &["server"]);
    assert_eq!(
        environment(&machine, "k3s-x"),
        [
            "CONTAINERD_HTTP_PROXY=c",
            "K3S_TOKEN=t ken",
            "KINE_DEBUG=k",
            "NO_PROXY=10.0.0.0/8",
            "https_proxy=http://p",
        ]
    );
    assert_eq!(mode(&machine.path("units/k3s-x.service.env")), 0o600);
}

#[test]
fn an_explicit_type_of_the_service_wins() {
    let machine = Machine::new().with_binary();
    machine.run(&[SKIP, ("INSTALL_K3S_TYPE", "simple")], &["agent"]);
    let unit = machine.read("units/k3s-agent.service");
    assert!(unit.contains("\nType=simple\n"), "{unit}");
}

#[test]
fn uninstall_takes_all_but_the_node_password_unless_another_unit_is_there() {
    let machine = Machine::new().with_binary();
    machine.run(&[SKIP], &["server"]);
    for file in [
        "etc/rancher/k3s/k3s.yaml",
        "etc/rancher/node/password",
        "var/lib/rancher/k3s/x",
        "var/lib/kubelet/y",
    ] {
        let path = machine.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    fs::write(machine.path("units/k3s-agent.service"), "").unwrap();
    // What the killall script would do to this machine is not for a test: it is replaced.
    let killall = "#!/bin/sh\necho killed >> \"$LOG\"\n";
    testbed::write_programs([(machine.path("bin/k3s-killall.sh"), killall)]);
    let uninstall = || {
        let mut command = machine.command("sh", &[("LAB_ROOT", machine.root.path().to_str().unwrap())]);
        ran(&command
            .arg(machine.path("bin/k3s-uninstall.sh"))
            .output()
            .unwrap())
    };
    machine.systemctl_calls();
    let kept = fs::read(machine.path("bin/k3s-uninstall.sh")).unwrap();
    let first = uninstall();
    assert_eq!(
        first.out,
        "Additional k3s services installed, skipping uninstall of k3s\n"
    );
    assert_eq!(
        machine.systemctl_calls(),
        ["killed", "disable k3s", "reset-failed k3s", "daemon-reload"]
    );
    assert!(
        !machine.has("units/k3s.service")
            && machine.has("bin/k3s")
            && machine.has("etc/rancher/k3s/k3s.yaml")
    );

    fs::remove_file(machine.path("units/k3s-agent.service")).unwrap();
    fs::write(machine.path("bin/k3s-uninstall.sh"), kept).unwrap();
    assert_eq!(uninstall().code, Some(0));
    for gone in [
        "bin/k3s",
        "bin/kubectl",
        "bin/k3s-killall.sh",
        "bin/k3s-uninstall.sh",
        "etc/rancher/k3s",
        "var/lib/rancher/k3s",
        "var/lib/kubelet",
    ] {
        assert!(!machine.has(gone), "{gone}");
    }
    assert!(machine.has("etc/rancher/node/password"));
}

#[test]
fn the_scripts_it_writes_are_valid_shell() {
    let machine = Machine::new().with_binary();
    machine.run(&[SKIP], &["server"]);
    for script in ["bin/k3s-killall.sh", "bin/k3s-uninstall.sh"] {
        let checked = machine
            .command("sh", &[])
            .arg("-n")
            .arg(machine.path(script))
            .output()
            .unwrap();
        assert!(checked.status.success(), "{script}: {}", ran(&checked).err);
        assert_eq!(mode(&machine.path(script)), 0o755);
    }
}
