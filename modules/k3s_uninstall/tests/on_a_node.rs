//! A node as a folder, on which the module's programs run unchanged, with an uninstall script of a few lines.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use ansible_module::{Call, params, run};
use k3s_uninstall::K3sUninstall;
use serde_json::{Value, json};
use testbed::{Programs, Sandbox, assert_settles};

const MOVED: [&str; 7] = [
    "/proc/self/mounts",
    "/etc/systemd",
    "/etc/rancher",
    "/opt/k3s",
    "/usr/local/bin",
    "/var/lib/",
    "/run/",
];

/// A server in a folder of its own for programs, as `INSTALL_K3S_BIN_DIR` makes it.
fn node() -> Sandbox {
    let node = Sandbox::new(&MOVED, "\n## systemctl\n#!/bin/sh\n");
    node.make_folder("run");
    node.put(
        "etc/systemd/system/k3s.service",
        &node.moved("[Service]\nExecStart=/opt/k3s/k3s \\\n    server \\\n"),
    );
    node.put("opt/k3s/k3s", "");
    node.put("etc/rancher/node/password", "secret\n");
    node.put("var/lib/homelab-k3s/install-record.json", "{}");
    let script = "#!/bin/sh\n[ ! -f \"$SANDBOX/state/broken\" ] || { echo 'umount: busy' >&2; exit 1; }\n\
                  rm -f \"$SANDBOX/etc/systemd/system/k3s.service\"\nrm -f \"$SANDBOX/opt/k3s/k3s\"\nrm -f \"$0\"\n";
    node.put_program("opt/k3s/k3s-uninstall.sh", script);
    node
}

fn answer(node: &Sandbox, options: Value) -> Value {
    let call = Call::parse(options.to_string().as_bytes()).unwrap();
    run::<K3sUninstall>(&params::<K3sUninstall>(&call).unwrap(), &call, node).into_json()
}

#[test]
fn removes_a_server_and_reports_leftovers() {
    let node = node();
    let first = answer(&node, json!({"role": "server"}));
    assert_eq!(
        (&first["failed"], &first["changed"]),
        (&json!(false), &json!(true)),
        "{first}"
    );
    assert!(!node.has("opt/k3s/k3s") && !node.has("var/lib/homelab-k3s/install-record.json"));
    assert_eq!(first["leftovers"][0]["path"], "/etc/rancher/node", "{first}");
    assert!(node.has("etc/rancher/node/password"));
    let second = answer(&node, json!({"role": "server"}));
    assert_eq!(
        (&second["changed"], &second["installed"]),
        (&json!(false), &json!(false))
    );
}

/// A node whose k3s runs in a unit of this name; the script removes what k3s's own does, and itself at last.
fn node_in(unit: &str, role: &str) -> Sandbox {
    let node = Sandbox::new(&MOVED, "\n## systemctl\n#!/bin/sh\n");
    node.make_folder("run");
    let text = format!("[Service]\nExecStart=/usr/local/bin/k3s {role}\n");
    node.put(&format!("etc/systemd/system/{unit}.service"), &node.moved(&text));
    node.put("usr/local/bin/k3s", "");
    let script = format!(
        "#!/bin/sh\nrm -f \"$SANDBOX/etc/systemd/system/{unit}.service\"\nrm -f \"$SANDBOX/usr/local/bin/k3s\"\nrm -f \"$0\"\n"
    );
    node.put_program(&format!("usr/local/bin/{unit}-uninstall.sh"), &script);
    node
}

#[test]
fn what_was_removed_is_not_removed_again() {
    for (unit, role) in [("k3s", "server"), ("k3s-agent", "agent"), ("k3s-node", "agent")] {
        // As after an interrupted run: the unit is gone already, or a record was left, or both.
        for (unit_is_gone, record) in [(false, false), (false, true), (true, false), (true, true)] {
            let case = format!("{unit}, unit gone {unit_is_gone}, record {record}");
            let node = node_in(unit, role);
            if unit_is_gone {
                node.remove_file(&format!("etc/systemd/system/{unit}.service"));
            }
            if record {
                let script = format!("/usr/local/bin/{unit}-uninstall.sh");
                let text = json!({"script": node.moved(&script)}).to_string();
                node.put("var/lib/homelab-k3s/uninstall-record.json", &text);
            }
            let run = |check: bool| answer(&node, json!({"role": role, "_ansible_check_mode": check}));
            let world = || ["etc", "usr", "var"].map(|folder| node.files(folder));
            let first = assert_settles(&case, run, world);
            assert_eq!(first["failed"], false, "{case}: {first}");
            // Of a unit of another name only the unit itself or the record says where its script is.
            let known = unit != "k3s-node" || !unit_is_gone || record;
            assert_eq!(first["changed"], known, "{case}: {first}");
            assert_eq!(node.has("usr/local/bin/k3s"), !known, "{case}: {first}");
        }
    }
}

#[test]
fn reports_mounts_that_the_script_has_left() {
    let node = node();
    let rootfs = "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/69b1da05/rootfs";
    let mounts = format!("tmpfs /run tmpfs rw 0 0\noverlay {rootfs} overlay rw 0 0\n");
    node.put("proc/self/mounts", &node.moved(&mounts));
    let has_mounts = |answer: &Value| answer["leftovers"].to_string().contains("mounts of pods");
    let left = answer(&node, json!({"role": "server"}));
    assert!(has_mounts(&left), "{left}");
    node.put("proc/self/mounts", "tmpfs /run tmpfs rw 0 0\n");
    let gone = answer(&node, json!({"role": "server"}));
    assert!(!has_mounts(&gone), "{gone}");
}

#[test]
fn killed_before_any_change_the_next_run_goes_on() {
    for at in 1.. {
        let node = node();
        node.kill_at.set(at);
        answer(&node, json!({"role": "server"}));
        let killed = node.was_killed();
        node.revive();
        let next = answer(&node, json!({"role": "server"}));
        assert_eq!(next["failed"], false, "killed at {at}: {next}");
        for gone in [
            "opt/k3s/k3s",
            "opt/k3s/k3s-uninstall.sh",
            "etc/systemd/system/k3s.service",
            "var/lib/homelab-k3s/install-record.json",
        ] {
            assert!(!node.has(gone), "killed at {at}: {gone} is left");
        }
        assert_eq!(
            next["leftovers"][0]["path"], "/etc/rancher/node",
            "killed at {at}"
        );
        let again = answer(&node, json!({"role": "server"}));
        assert_eq!(again["changed"], false, "killed at {at}: {again}");
        if !killed {
            assert!(at > 6, "only {at} moments were tried");
            return;
        }
    }
}

#[test]
fn reports_a_failed_script_with_its_own_error() {
    let node = node();
    node.put("state/broken", "");
    let failed = answer(&node, json!({"role": "server"}));
    let msg = failed["msg"].as_str().unwrap();
    assert!(
        msg.contains("running /opt/k3s/k3s-uninstall.sh ended with status 1: umount: busy"),
        "{msg}"
    );
}

#[test]
fn the_program_wants_a_role() {
    let programs = Programs::new().with_pct();
    let output = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("k3s_uninstall"))
        .env("PATH", programs.path())
        .arg(programs.arguments(&json!({"vmid": 101})))
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        answer["msg"]
            .as_str()
            .unwrap()
            .contains("missing required arguments: role"),
        "{answer}"
    );
}
