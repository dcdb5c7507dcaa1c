//! Renewing them.

use crate::call;
use k3s_certs::testing::{Authority, DATA, KUBECONFIG, Leaf, Node};
use serde_json::{Value, json};
use testbed::assert_settles;

fn rotated(node: &Node) -> Value {
    call(node, json!({"state": "rotated"}))
}

#[test]
fn an_expired_server_is_renewed_once() {
    let node = Node::server(-3);
    node.state("old-is-expired", "");
    let check = call(&node, json!({"state": "rotated", "_ansible_check_mode": true}));
    assert_eq!((&check["changed"], &check["way"]), (&json!(true), &Value::Null));
    assert_eq!(
        check["actions"],
        json!([
            "stop k3s.service, put its certificates aside with `k3s certificate rotate`, start it again",
            "wait until k3s.service runs and its API answers by its own kubeconfig",
            "check that every due certificate is new"
        ])
    );
    assert_eq!(
        (&check["gate_before"], &check["gate_after"]),
        (&json!(true), &Value::Null)
    );
    assert!(node.calls().is_empty() && !node.is_marked());
    let answer = rotated(&node);
    assert_eq!(answer["failed"], false, "{answer}");
    assert_eq!(
        (&answer["changed"], &answer["way"], &answer["unit"]),
        (&json!(true), &json!("command"), &json!("k3s.service"))
    );
    assert_eq!(answer["problem"], Value::Null);
    assert!(answer["seconds"].is_u64());
    assert_eq!(
        (&answer["gate_before"], &answer["gate_after"]),
        (&json!(true), &json!("server"))
    );
    let again = rotated(&node);
    assert_eq!(
        (&again["gate_before"], &again["gate_after"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!((&again["changed"], &again["way"]), (&json!(false), &Value::Null));
    // Unless that is asked for.
    let forced = call(&node, json!({"state": "rotated", "force": true}));
    assert_eq!(
        (&forced["changed"], &forced["way"]),
        (&json!(true), &json!("command"))
    );
}

#[test]
fn what_ends_soon_is_renewed_as_early_as_asked() {
    for (until, renew_before, changed) in [(29, 30, true), (32, 30, false), (32, 60, true), (29, 0, false)] {
        let node = Node::server(until);
        let answer = call(&node, json!({"state": "rotated", "renew_before": renew_before}));
        assert_eq!(answer["changed"], changed, "{until} {renew_before}");
    }
}

/// All of a node that a renewal changes.
fn world(node: &Node, server: bool) -> Vec<String> {
    let (unit, files) = if server {
        (
            "k3s.service",
            [
                format!("{DATA}/server/tls/client-admin.crt"),
                KUBECONFIG.to_owned(),
            ],
        )
    } else {
        let file = |name: &str| format!("{DATA}/agent/{name}.crt");
        (
            "k3s-agent.service",
            ["client-kubelet", "serving-kubelet"].map(file),
        )
    };
    let texts = files.iter().map(|file| node.text(file));
    let stands = [
        node.text(&format!("state/{unit}.active")),
        node.is_marked().to_string(),
    ];
    texts.chain(stands).collect()
}

#[test]
fn what_was_renewed_is_not_due_again() {
    for (until, renew_before) in [(-3, 0), (29, 30), (200, 0), (200, 364)] {
        for (server, stopped, wait) in [
            (true, false, true),
            (true, true, true),
            (true, false, false),
            (false, false, true),
            (false, true, true),
            (false, false, false),
        ] {
            let case = format!(
                "ends in {until} days, renew_before {renew_before}, server {server}, stopped {stopped}, wait {wait}"
            );
            let node = if server {
                Node::server(until)
            } else {
                Node::agent(until)
            };
            if until < 0 {
                node.state("old-is-expired", "");
            }
            if stopped {
                let unit = if server {
                    "k3s.service"
                } else {
                    "k3s-agent.service"
                };
                node.state(&format!("{unit}.active"), "inactive");
            }
            let run = |check: bool| {
                let options = json!({"state": "rotated", "renew_before": renew_before, "wait": wait, "_ansible_check_mode": check});
                call(&node, options)
            };
            let first = assert_settles(&case, run, || world(&node, server));
            assert_eq!(first["failed"], false, "{case}: {first:#}");
            let is_due = (until, renew_before) != (200, 0);
            assert_eq!(first["changed"], is_due || stopped, "{case}: {first:#}");
        }
    }
}

#[test]
fn an_agent_is_restarted_and_old_files_of_a_server_do_not_count() {
    let node = Node::agent(-3);
    let old = Authority::new("ca").sign(&Leaf::new("x").days(-400, -35));
    node.put(&format!("{DATA}/server/tls/client-admin.crt"), &old.pem);
    let answer = rotated(&node);
    assert_eq!(
        (&answer["way"], &answer["unit"]),
        (&json!("restart"), &json!("k3s-agent.service"))
    );
    assert_eq!(
        (&answer["gate_before"], &answer["gate_after"]),
        (&json!(false), &json!("agent"))
    );
    assert_eq!(rotated(&node)["changed"], false);
}

#[test]
fn reports_what_a_renewal_leaves_old_with_its_remedy() {
    let node = Node::server(-3);
    node.put(
        &format!("{DATA}/server/tls/abandoned.crt"),
        &Authority::new("ca").sign(&Leaf::new("x").days(-400, -35)).pem,
    );
    let answer = rotated(&node);
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("/var/lib/rancher/k3s/server/tls/abandoned.crt until 2025-11-27T00:00:00Z")
            && msg.contains("`ignore`"),
        "{msg}"
    );
    assert_eq!(answer["changed"], true);
    assert_eq!(
        call(&node, json!({"state": "rotated", "ignore": ["abandoned.crt"]}))["changed"],
        false
    );
}

#[test]
fn doubts_are_refused_and_renewed_by_force() {
    let early = Leaf::new("system:kube-scheduler").days(2, 365);
    let early = Authority::new("k3s-client-ca@1").sign(&early).pem;
    let cut = early[..200].to_owned();
    for (content, reason) in [
        (
            early,
            "is not valid before 2026-01-03T00:00:00Z, and it is 2026-01-01T00:00:0",
        ),
        (cut, "client-controller.crt: block 1 is truncated"),
    ] {
        let node = Node::server(200);
        node.put(&format!("{DATA}/server/tls/client-controller.crt"), &content);
        let answer = rotated(&node);
        let msg = answer["msg"].as_str().unwrap();
        assert!(msg.contains(reason) && msg.contains("force: true"), "{msg}");
        assert!(node.calls().is_empty());
        let forced = call(&node, json!({"state": "rotated", "force": true}));
        assert_eq!(
            (&forced["failed"], &forced["problem"]),
            (&json!(false), &Value::Null),
            "{forced}"
        );
    }
}

#[test]
fn authorities_are_warned_of_and_not_renewed() {
    let node = Node::server(200);
    let authority = Authority::like(&Leaf::new("k3s-request-header-ca@1").days(-3640, 10));
    node.put(
        &format!("{DATA}/server/tls/request-header-ca.crt"),
        &authority.pem,
    );
    let answer = rotated(&node);
    assert_eq!(answer["changed"], false);
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("CN=k3s-request-header-ca@1 expires in 9 days") && warning.contains("rotate-ca"),
        "{warning}"
    );
}

#[test]
fn killed_between_stop_and_start_the_next_run_heals_it() {
    let node = Node::server(-3);
    node.state("rotate-kills", "");
    assert_eq!(rotated(&node)["failed"], true);
    assert_eq!(node.text("state/k3s.service.active"), "inactive\n");
    node.forget("rotate-kills");
    node.revive();
    let answer = rotated(&node);
    assert_eq!(
        (&answer["failed"], &answer["problem"]),
        (&json!(false), &Value::Null),
        "{answer}"
    );
    assert_eq!(node.text("state/k3s.service.active"), "active\n");
    assert_eq!(rotated(&node)["changed"], false);
}

#[test]
fn a_stopped_k3s_is_started_even_where_nothing_is_due() {
    let node = Node::server(200);
    node.state("k3s.service.active", "inactive");
    let answer = rotated(&node);
    assert_eq!(
        (&answer["changed"], &answer["way"], &answer["actions"][0]),
        (
            &json!(true),
            &Value::Null,
            &json!("start k3s.service, which is enabled but does not run")
        )
    );
    assert_eq!(
        (&answer["gate_before"], &answer["gate_after"]),
        (&json!(false), &json!("server"))
    );
    // A list never starts anything.
    node.state("k3s.service.active", "inactive");
    call(&node, json!({}));
    assert_eq!(node.text("state/k3s.service.active"), "inactive\n");
}

#[test]
fn a_k3s_that_does_not_come_back_is_waited_for_as_long_as_asked() {
    let node = Node::server(-3);
    node.state("becomes", "activating");
    let answer = call(&node, json!({"state": "rotated", "timeout": 20}));
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("took longer than 20 s") && msg.contains("k3s.service is activating"),
        "{msg}"
    );
    assert_eq!(node.text(KUBECONFIG), node.text(&format!("fresh{KUBECONFIG}")));
}

#[test]
fn the_wait_can_be_left_to_the_next_run() {
    let node = Node::server(-3);
    node.state("becomes", "activating");
    let answer = call(&node, json!({"state": "rotated", "wait": false}));
    assert_eq!(
        (&answer["failed"], &answer["way"]),
        (&json!(false), &json!("command")),
        "{answer}"
    );
    assert_eq!(answer["actions"].as_array().unwrap().len(), 1);
    assert!(node.is_marked());
    // Nothing is due any more, but its end was not seen yet.
    assert_eq!(
        call(&node, json!({"state": "rotated", "wait": false}))["changed"],
        false
    );
    node.state("k3s.service.active", "active");
    let answer = rotated(&node);
    assert_eq!(
        answer["actions"],
        json!(["wait until k3s.service runs and its API answers by its own kubeconfig"])
    );
    assert!(!node.is_marked());
    assert_eq!(rotated(&node)["changed"], false);
}

#[test]
fn files_that_are_written_a_moment_later_are_waited_for() {
    let node = Node::agent(-3);
    let authority = Authority::new("k3s-client-ca@1");
    let late = format!("{DATA}/agent/client-kube-proxy.crt");
    let signed = |from, until| {
        authority
            .sign(&Leaf::new("system:kube-proxy").days(from, until))
            .pem
    };
    node.put(&late, &signed(-368, -3));
    node.late.borrow_mut().push((late, signed(0, 365)));
    let answer = rotated(&node);
    assert_eq!(
        (&answer["failed"], &answer["problem"]),
        (&json!(false), &Value::Null),
        "{answer}"
    );
}
