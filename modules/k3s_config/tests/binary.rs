//! The binary itself, with its files in a folder, and what it promises of them.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails, and it is the outside world"
)]

use ansible_module::{Call, params, run};
use k3s_config::K3sConfig;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use testbed::{Programs, Sandbox, assert_settles};

const CONFIG: &str = "etc/rancher/k3s/config.yaml.d/50-homelab-k3s.yaml";
const REGISTRIES: &str = "etc/rancher/k3s/registries.yaml";

fn node() -> Sandbox {
    let node = Sandbox::new(&["/etc/", "/var/lib/homelab-k3s", "/run/", "/usr/local/bin"], "");
    for folder in ["etc/systemd/system", "run"] {
        node.make_folder(folder);
    }
    node
}

fn answer(node: &Sandbox, options: Value) -> Value {
    let call = Call::parse(options.to_string().as_bytes()).unwrap();
    run::<K3sConfig>(&params::<K3sConfig>(&call).unwrap(), &call, node).into_json()
}

#[test]
fn files_are_written_for_root_only_and_a_second_run_changes_nothing() {
    let node = node();
    let options =
        json!({"config": {"debug": true}, "secrets": {"token": "s3cr3t"}, "registries": "mirrors: {}\n"});
    let first = answer(&node, options.clone());
    assert_eq!(
        (&first["failed"], &first["changed"]),
        (&json!(false), &json!(true)),
        "{first}"
    );
    assert!(node.text(CONFIG).ends_with("debug: true\ntoken: s3cr3t\n"));
    for file in [CONFIG, REGISTRIES] {
        let mode = std::fs::metadata(node.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(answer(&node, options)["changed"], false);
    assert_eq!(
        answer(&node, json!({"config": {}}))["actions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(!node.has(CONFIG) && node.has(REGISTRIES));
}

#[test]
fn whatever_was_there_a_second_run_changes_nothing() {
    let ours = "# Written by homelab.k3s.k3s_config: a change here is lost.\ndebug: false\n";
    for before in [None, Some(ours), Some("debug: true\n"), Some("not: [yaml")] {
        for config in [
            Value::Null,
            json!({}),
            json!({"debug": true, "node-label": ["yes", "a=0x1F"]}),
        ] {
            for installed in [false, true] {
                let case = format!("{config} on {before:?}, installed {installed}");
                let node = node();
                for file in [CONFIG, REGISTRIES] {
                    if let Some(text) = before {
                        node.put(file, text);
                    }
                }
                if installed {
                    let unit = "[Service]\nExecStart=/usr/local/bin/k3s agent\n";
                    node.put("etc/systemd/system/k3s-agent.service", unit);
                }
                let run = |check: bool| {
                    let options = json!({"config": config, "registries": "mirrors: {a: {}}\n", "on_installed": "write",
                        "_ansible_check_mode": check});
                    answer(&node, options)
                };
                let first = assert_settles(&case, run, || [node.files("etc"), node.files("var")]);
                assert_eq!(first["failed"], false, "{case}: {first}");
            }
        }
    }
}

#[test]
fn what_somebody_else_wrote_is_kept() {
    let node = node();
    node.put(REGISTRIES, "mirrors: {mine: {}}\n");
    assert_eq!(
        answer(&node, json!({"registries": "mirrors: {}\n"}))["failed"],
        false
    );
    assert_eq!(
        node.text("var/lib/homelab-k3s/registries.yaml.before"),
        "mirrors: {mine: {}}\n"
    );
}

#[test]
fn keeps_every_file_complete_when_killed_before_any_change() {
    for at in 1..12 {
        let node = node();
        node.put(REGISTRIES, "mirrors: {mine: {}}\n");
        node.kill_at.set(at);
        answer(&node, json!({"registries": "mirrors: {}\n"}));
        let text = node.text(REGISTRIES);
        assert!(
            text == "mirrors: {mine: {}}\n" || text.ends_with("lost.\nmirrors: {}\n"),
            "{at}: {text}"
        );
        node.revive();
        assert_eq!(
            answer(&node, json!({"registries": "mirrors: {}\n"}))["failed"],
            false,
            "{at}"
        );
        assert_eq!(
            node.text("var/lib/homelab-k3s/registries.yaml.before"),
            "mirrors: {mine: {}}\n",
            "{at}"
        );
    }
}

#[test]
fn an_installed_node_is_written_only_where_that_is_asked_for() {
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s agent --token ab%%cd\n";
    for name in ["k3s-agent.service", "k3s-node.service"] {
        let node = node();
        node.put(&format!("etc/systemd/system/{name}"), unit);
        let options = json!({"config": {"debug": true}});
        let left = answer(&node, options);
        assert_eq!(
            (&left["changed"], &left["installed"]),
            (&json!(false), &json!(true)),
            "{name}"
        );
        assert!(!node.has(CONFIG));
        let written = answer(&node, json!({"config": {"debug": true}, "on_installed": "write"}));
        assert_eq!(written["changed"], true);
        assert!(node.has(CONFIG));
    }
}

#[test]
fn a_unit_that_only_mentions_k3s_does_not_count_as_installed() {
    let node = node();
    let shutdown = "[Service]\nType=oneshot\nExecStop=/usr/local/bin/k3s-killall.sh\n";
    node.put("etc/systemd/system/k3s-shutdown.service", shutdown);
    let written = answer(&node, json!({"config": {"debug": true}}));
    assert_eq!(
        (&written["changed"], &written["installed"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn the_k3s_that_is_there_is_asked_for_its_version() {
    let node = node();
    node.put("etc/systemd/system/k3s.service", "[Service]\n");
    let options =
        json!({"role": "server", "config": {"helm-controller-arg": ["a=b"]}, "on_installed": "write"});
    for (version, warnings) in [("v1.36.2+k3s1", 1), ("v1.36.3+k3s1", 0)] {
        node.put(CONFIG, "debug: true\n");
        node.put_program(
            "usr/local/bin/k3s",
            &format!("#!/bin/sh\necho 'k3s version {version} (5a67e8dc)'\n"),
        );
        let answer = answer(&node, options.clone());
        assert_eq!(answer["changed"], true, "{answer}");
        let warned = answer["warnings"].as_array().map_or(0, Vec::len);
        assert_eq!(warned, warnings, "{answer}");
    }
}

#[test]
fn the_program_refuses_an_unknown_option_with_the_known_ones() {
    let programs = Programs::new().with_pct();
    let output = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("k3s_config"))
        .env("PATH", programs.path())
        .arg(programs.arguments(&json!({"vmid": 101, "server_config": {}})))
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("unsupported option server_config") && msg.contains("registries"),
        "{msg}"
    );
}
