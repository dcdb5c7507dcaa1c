//! The half that reads, on a controller whose certificates are real: what is run there is run unchanged.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ansible_module::{Call, params, run};
use k3s_certs::testing::{KUBECONFIG, Node};
use kubeconfig_fetch::KubeconfigFetch;
use serde_json::{Value, json};
use testbed::assert_settles;

/// A controller whose certificates end so many days from now.
fn controller(until: i64) -> Node {
    let node = Node::server(until);
    node.any_program.set(true);
    if until < 0 {
        node.state("old-is-expired", "");
    }
    node
}

fn read(node: &Node, more: Value) -> Value {
    let mut arguments =
        json!({"state": "read", "node_name": "k3s-1", "kubectl": ["/usr/local/bin/k3s", "kubectl"]});
    arguments
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let call = Call::parse(&serde_json::to_vec(&arguments).unwrap()).unwrap();
    let params = params::<KubeconfigFetch>(&call).unwrap();
    run::<KubeconfigFetch>(&params, &call, node).into_json()
}

/// What k3s would hand out, under its name and with the address for others.
fn handed_out(node: &Node, from: &str) -> String {
    node.text(&format!("{from}{KUBECONFIG}"))
        .replace("default", "k3s-k3s-1")
        .replace("https://127.0.0.1:6443", "https://k3s-1:6443")
}

#[test]
fn an_expired_certificate_is_renewed_once() {
    let node = controller(-3);
    let check = read(&node, json!({"_ansible_check_mode": true}));
    assert_eq!(
        (&check["changed"], &check["kubeconfig"]),
        (&json!(true), &Value::Null),
        "{check}"
    );
    assert!(node.calls().is_empty());
    let answer = read(&node, json!({}));
    assert_eq!(
        (&answer["failed"], &answer["way"]),
        (&json!(false), &json!("command")),
        "{answer}"
    );
    assert_eq!(answer["kubeconfig"], handed_out(&node, "fresh"));
    assert!(!node.is_marked());
    let again = read(&node, json!({}));
    assert_eq!(
        (&again["changed"], &again["kubeconfig"]),
        (&json!(false), &answer["kubeconfig"])
    );
}

#[test]
fn one_that_lasts_is_only_read() {
    let node = controller(20);
    for options in [
        json!({}),
        json!({"renew_before": 19}),
        json!({"renew_before": 21, "rotate_if_expired": false}),
    ] {
        let answer = read(&node, options);
        assert_eq!(answer["changed"], false, "{answer}");
        assert_eq!(answer["kubeconfig"], handed_out(&node, "old"));
    }
    assert_eq!(read(&node, json!({"renew_before": 21}))["way"], "command");
}

#[test]
fn what_was_renewed_is_not_due_again() {
    for (until, renew_before, is_due) in [(-3, 0, true), (20, 19, false), (20, 21, true), (200, 364, true)] {
        for rotate in [true, false] {
            let case =
                format!("ends in {until} days, renew_before {renew_before}, rotate_if_expired {rotate}");
            let node = controller(until);
            let run = |check: bool| {
                let options = json!({"renew_before": renew_before, "rotate_if_expired": rotate, "_ansible_check_mode": check});
                read(&node, options)
            };
            let world = || {
                (
                    node.text(KUBECONFIG),
                    node.text("state/k3s.service.active"),
                    node.is_marked(),
                )
            };
            let first = assert_settles(&case, run, world);
            assert_eq!(first["failed"], until < 0 && !rotate, "{case}: {first:#}");
            assert_eq!(first["changed"], is_due && rotate, "{case}: {first:#}");
        }
    }
}

#[test]
fn whatever_fails_in_between_k3s_runs_again() {
    let node = controller(-3);
    node.state("rotate-fails", "");
    // As a real one does with what has ended.
    node.renews_by_start(&[".crt"]);
    let answer = read(&node, json!({}));
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("no space left on device") && msg.contains("started again"),
        "{msg}"
    );
    assert_eq!(node.text("state/k3s.service.active"), "active\n");
    // The next run finds what the start has made, and has nothing to do.
    assert_eq!(read(&node, json!({}))["kubeconfig"], handed_out(&node, "fresh"));
}

#[test]
fn what_a_killed_run_has_left_stopped_is_healed_by_the_next() {
    let node = controller(-3);
    node.state("rotate-kills", "");
    let killed = read(&node, json!({}));
    assert!(
        killed["msg"].as_str().unwrap().contains("the module was killed"),
        "{killed}"
    );
    assert_eq!(node.text("state/k3s.service.active"), "inactive\n");
    node.forget("rotate-kills");
    node.revive();
    let answer = read(&node, json!({}));
    assert_eq!(
        (&answer["failed"], &answer["way"]),
        (&json!(false), &json!("command")),
        "{answer}"
    );
    assert_eq!(node.text("state/k3s.service.active"), "active\n");
    assert_eq!(read(&node, json!({}))["changed"], false);
}

#[test]
fn an_agent_has_none() {
    let node = Node::agent(-3);
    node.any_program.set(true);
    let answer = read(&node, json!({}));
    let msg = answer["msg"].as_str().unwrap();
    assert!(msg.contains("an agent has none"), "{msg}");
    assert!(node.calls().is_empty());
}
