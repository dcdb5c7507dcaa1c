//! The module on a node: its own programs and the lab's install script run in a real shell.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "the node of these tests is made of files and processes, and a panic is how a test fails"
)]

mod failures;
mod fresh;
mod kills;
mod node;
mod settled;
mod upgrades;

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

/// One run of the module; nothing of it may be an argument that a list of processes shows.
fn call(node: &Node, arguments: &Value, check: bool) -> Value {
    let mut all = json!({"version": NEW, "script_url": "http://release.lab/install.sh", "_ansible_check_mode": check, "_ansible_diff": true});
    all.as_object_mut()
        .unwrap()
        .extend(arguments.as_object().unwrap().clone());
    let call = Call::parse(&serde_json::to_vec(&all).unwrap()).unwrap();
    let params = params::<K3sInstall>(&call).unwrap();
    run::<K3sInstall>(&params, &call, &**node).into_json()
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

/// What a node has, all of it: for what must leave no trace.
fn everything(node: &Node) -> Vec<(String, String)> {
    ["etc", "usr", "var"]
        .iter()
        .flat_map(|folder| node.files(folder))
        .collect()
}

/// Names the files that differ; their contents would fill the screen.
fn assert_untouched(node: &Node, before: &[(String, String)], context: &str) {
    let after = everything(node);
    let only_in = |these: &[(String, String)], those: &[(String, String)]| -> Vec<String> {
        these
            .iter()
            .filter(|file| !those.contains(file))
            .map(|(name, _)| name.clone())
            .collect()
    };
    let changed = [only_in(before, &after), only_in(&after, before)].concat();
    assert_eq!(changed, [""; 0], "{context}");
}
