//! The module on a node: its own programs and the lab's install script run in a real shell.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "the node of these tests is made of files and processes, and a panic is how a test fails"
)]

mod node;

use ansible_module::{Call, params, run};
use k3s_install::K3sInstall;
use node::Node;
use serde_json::{Value, json};

const OLD: &str = "v1.31.4+k3s1";
const NEW: &str = "v1.31.5+k3s1";
const AGENT_ENV: &str = "K3S_URL=https://10.99.0.101:6443 K3S_TOKEN=labtoken CONTAINERD_LOG_LEVEL=warn";
const AGENT_ARGS: &str = "agent --node-label tier=work --kubelet-arg=max-pods=50 --kubelet-arg 'v=a  b'";
const SERVER_ARGS: &str =
    "server --node-ip 10.99.0.101 --disable traefik,metrics-server --token s3cr3t-in-args";

fn call(node: &Node, arguments: &Value, check: bool) -> Value {
    let mut all = json!({"version": NEW, "script_url": "http://release.lab/install.sh", "_ansible_check_mode": check, "_ansible_diff": true});
    all.as_object_mut()
        .unwrap()
        .extend(arguments.as_object().unwrap().clone());
    let call = Call::parse(&serde_json::to_vec(&all).unwrap()).unwrap();
    let params = params::<K3sInstall>(&call).unwrap();
    run::<K3sInstall>(&params, &call, node).into_json()
}

fn agent(era: &str) -> Node {
    let node = Node::new(era, &[NEW]);
    node.install_by_hand(OLD, AGENT_ENV, AGENT_ARGS);
    node
}

fn server(era: &str) -> Node {
    let node = Node::new(era, &[NEW]);
    node.put("etc/rancher/k3s/config.yaml", "tls-san: [k3s.lan]\n");
    node.install_by_hand(OLD, "GITHUB_TOKEN=none", SERVER_ARGS);
    node
}

/// What must be so when all is done, whatever happened on the way.
fn assert_intact(node: &Node, before: &Kept, context: &str) {
    let after = Kept::of(node, before.unit);
    assert_eq!(*before, after, "{context}");
    let other = if before.unit == "k3s.service" {
        "k3s-agent.service"
    } else {
        "k3s.service"
    };
    assert!(
        !node.has(&format!("etc/systemd/system/{other}")),
        "{context}: {other} has grown"
    );
    assert!(
        node.text(&format!("state/{}.version", before.unit)).contains(NEW),
        "{context}: {NEW} does not run"
    );
    // What runs was started with what is on the disk.
    let runs = node.text(&format!("state/{}.runs", before.unit));
    assert_eq!(
        exec_start(&runs),
        before.exec_start,
        "{context}: it runs with other arguments"
    );
    assert_eq!(
        node.text(&format!("state/{}.runs-with", before.unit)),
        before.env,
        "{context}"
    );
    assert_eq!(
        node.names("var/lib/homelab-k3s"),
        [""; 0],
        "{context}: something of ours is left"
    );
    let junk = |names: Vec<String>| {
        names
            .into_iter()
            .filter(|name| name.starts_with(".k3s") || name.contains(".part"))
            .count()
    };
    assert_eq!(
        junk(node.names("usr/local/bin")) + junk(node.names("etc/systemd/system")),
        0,
        "{context}: junk is left"
    );
}

/// What an install must not change.
#[derive(Debug, PartialEq)]
struct Kept {
    unit: &'static str,
    exec_start: String,
    env: String,
    enabled: bool,
    config: String,
}

impl Kept {
    fn of(node: &Node, unit: &'static str) -> Self {
        Self {
            unit,
            exec_start: exec_start(&node.text(&format!("etc/systemd/system/{unit}"))),
            env: node.text(&format!("etc/systemd/system/{unit}.env")),
            enabled: node.has(&format!("state/{unit}.enabled")),
            config: node.text("etc/rancher/k3s/config.yaml"),
        }
    }
}

/// The lines of the command. Newer scripts may write the rest of the unit in another way, not this.
fn exec_start(unit: &str) -> String {
    unit[unit.find("ExecStart=/").unwrap()..].replace("\\x20", " ")
}

fn assert_upgraded(node: &Node, unit: &'static str, arguments: &Value) {
    let before = Kept::of(node, unit);
    let answer = call(node, arguments, false);
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(
        (&answer["running"], &answer["installed"]),
        (&json!(NEW), &json!(NEW))
    );
    assert_eq!(
        (&answer["proof"]["files"], &answer["proof"]["running"]),
        (&json!(true), &json!(NEW))
    );
    assert_intact(node, &before, "after the upgrade");
    let again = call(node, arguments, false);
    assert_eq!(
        (&again["changed"], &again["actions"]),
        (&json!(false), &json!([])),
        "{again:#}"
    );
    assert!(
        !answer.to_string().contains("labtoken") && !answer.to_string().contains("s3cr3t"),
        "{answer:#}"
    );
}

#[test]
fn an_agent_keeps_url_token_labels_and_arguments() {
    for era in ["2021", "2025"] {
        assert_upgraded(
            &agent(era),
            "k3s-agent.service",
            &json!({"role": "agent", "node_name": "node"}),
        );
    }
}

#[test]
fn a_server_keeps_flags_token_and_disabled_add_ons() {
    for era in ["2021", "2025"] {
        assert_upgraded(&server(era), "k3s.service", &json!({"role": "server"}));
    }
}

#[test]
fn the_script_may_download_for_itself() {
    assert_upgraded(&agent("2025"), "k3s-agent.service", &json!({"prefetch": false}));
}

/// Everything is killed, the module and what it runs in the container, before the nth changing program.
fn killed_at(point: u32, node: &Node, unit: &'static str, arguments: &Value) -> bool {
    let before = Kept::of(node, unit);
    node.kill_at.set(point);
    let answer = call(node, arguments, false);
    assert_eq!(answer["failed"], node.was_killed(), "{answer:#}");
    node.kill_at.set(0);
    taken_up(
        node,
        &before,
        arguments,
        &format!("killed before program {point}"),
    )
}

/// The module is gone after its nth command; what it had started in the container goes on to its end.
fn died_after(point: u32, node: &Node, unit: &'static str, arguments: &Value) -> bool {
    let before = Kept::of(node, unit);
    node.die_after.set(point);
    call(node, arguments, false);
    node.die_after.set(0);
    taken_up(node, &before, arguments, &format!("died after command {point}"))
}

/// The same command again; `false` where there was no such point any more.
fn taken_up(node: &Node, before: &Kept, arguments: &Value, context: &str) -> bool {
    if !node.was_killed() {
        return false;
    }
    node.revive();
    let answer = call(node, arguments, false);
    assert_eq!(answer["failed"], false, "{context}: {answer:#}");
    assert_intact(node, before, context);
    assert_eq!(call(node, arguments, false)["changed"], false, "{context}");
    true
}

/// Every `step`th point from `first` on. Returns how many there were.
fn all_points(first: u32, step: usize, mut at: impl FnMut(u32) -> bool) -> usize {
    (first..).step_by(step).take_while(|point| at(*point)).count()
}

/// Quick to arrive: what is tried here is not the wait.
fn quick(node: Node) -> Node {
    node.put("state/delay", "0");
    node
}

#[test]
fn wherever_an_agents_install_is_killed_the_same_command_finishes_it() {
    let arguments = json!({"settle": 0});
    let tried = |first| {
        all_points(first, 2, |point| {
            killed_at(point, &quick(agent("2021")), "k3s-agent.service", &arguments)
        })
    };
    // Two at a time: it is some seventy installs.
    let odd = std::thread::scope(|scope| {
        let even = scope.spawn(|| tried(2));
        tried(1) + even.join().unwrap()
    });
    assert!(odd > 30, "only {odd} points");
}

#[test]
fn wherever_the_module_dies_the_same_command_finishes_it() {
    let arguments = json!({"settle": 0, "prefetch": false});
    let points = all_points(1, 1, |point| {
        died_after(point, &quick(server("2025")), "k3s.service", &arguments)
    });
    assert!(points > 8, "only {points} points");
}
