//! Fresh installs.

use crate::*;

fn arguments() -> Value {
    json!({
        "role": "agent", "args": ["--node-label", "tier=work", "--kubelet-arg=v=a  b"], "settle": 0,
        "environment": {"K3S_URL": "https://10.99.0.101:6443", "K3S_TOKEN": "labtoken", "GOGC": "5 0"},
    })
}

fn installed(node: &Node, answer: &Value) {
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(answer["args"], arguments()["args"]);
    assert_eq!(answer["env_keys"], json!(["GOGC", "K3S_TOKEN", "K3S_URL"]));
    let env = "GOGC=\"5 0\"\nK3S_TOKEN=labtoken\nK3S_URL=https://10.99.0.101:6443\n";
    assert_eq!(node.text("etc/systemd/system/k3s-agent.service.env"), env);
    assert_eq!(node.text("state/k3s-agent.service.runs-with"), env);
    assert!(node.has("state/k3s-agent.service.enabled") && !node.has("etc/systemd/system/k3s.service"));
    assert_eq!(node.names("var/lib/homelab-k3s"), [""; 0]);
    assert!(!answer.to_string().contains("labtoken"));
}

#[test]
fn a_fresh_install_is_one_more_case() {
    for era in ["2021", "2026"] {
        let node = Node::new(era, &[NEW]);
        installed(&node, &call(&node, &arguments(), false));
        assert_eq!(call(&node, &arguments(), false)["changed"], false);
    }
}

#[test]
fn wherever_a_fresh_install_is_killed_the_same_command_finishes_it() {
    // Every third point: the others are tried with upgrades.
    let mut points = 0;
    for point in (1..).step_by(3) {
        let node = Node::new("2021", &[NEW]);
        node.put("state/delay", "0");
        node.kill_at.set(point);
        call(&node, &arguments(), false);
        if !node.was_killed() {
            break;
        }
        node.revive();
        installed(&node, &call(&node, &arguments(), false));
        points += 1;
    }
    assert!(points > 10, "only {points} points");
}

#[test]
fn an_upgrade_never_becomes_a_fresh_install() {
    let node = Node::new("2021", &[NEW]);
    let answer = call(&node, &json!({"role": "server"}), false);
    assert_eq!(answer["refusals"][0]["rule"], "not_installed", "{answer:#}");
    let answer = call(&node, &json!({"role": "agent", "args": []}), false);
    assert_eq!(answer["refusals"][0]["rule"], "agent_without_url", "{answer:#}");
    assert_eq!(node.names("etc/systemd/system"), [""; 0]);
}
