//! Renewals on a node whose certificates are real: the scripts run unchanged.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use host::Host as _;
use k3s_certs::rotation::{Done, Paths, Way, apply, look, steps};
use k3s_certs::testing::{DATA, KUBECONFIG, Node};
use k3s_certs::{Standing, certificates};
use k3s_node::NodeSettings;
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(1);

/// All steps of a module that renews.
fn renew(node: &Node, due: bool) -> Result<Done, String> {
    let settings = NodeSettings::look(node).map_err(|error| format!("{error:#}"))?;
    let service = look(node, &settings, &Paths::default()).map_err(|error| format!("{error:#}"))?;
    let mut done = Done::default();
    for step in steps(&service, due).map_err(|error| format!("{error:#}"))? {
        apply(node, &step, LIMIT, &mut done).map_err(|error| format!("{error:#}"))?;
    }
    Ok(done)
}

fn stands(node: &Node, file: &str) -> Standing {
    let read = certificates(node.text(file).as_bytes(), file).unwrap();
    read[0].standing(node.now(), Duration::ZERO)
}

fn admin() -> String {
    format!("{DATA}/server/tls/client-admin.crt")
}

#[test]
fn an_expired_server_is_stopped_rotated_and_started() {
    let node = Node::server(-3);
    node.state("old-is-expired", "");
    assert_eq!(stands(&node, &admin()), Standing::Expired);
    let done = renew(&node, true).unwrap();
    assert_eq!(done.way, Some(Way::Command));
    assert!(done.seconds.is_some());
    assert_eq!(
        node.calls(),
        [
            "stop k3s.service",
            "k3s certificate rotate --data-dir /var/lib/rancher/k3s",
            "reset-failed k3s.service",
            "start k3s.service",
        ]
        .map(|call| call.replace("/var/lib", &node.path("/var/lib").display().to_string()))
    );
    assert_eq!(stands(&node, &admin()), Standing::Valid);
    assert_eq!(node.text(KUBECONFIG), node.text(&format!("fresh{KUBECONFIG}")));
    assert!(!node.is_marked());
    // And again: there is nothing to do.
    assert_eq!(renew(&node, false).unwrap(), Done::default());
}

#[test]
fn an_agent_is_restarted() {
    let node = Node::agent(-3);
    assert_eq!(renew(&node, true).unwrap().way, Some(Way::Restart));
    assert_eq!(
        node.calls(),
        ["reset-failed k3s-agent.service", "restart k3s-agent.service"]
    );
    let kubelet = format!("{DATA}/agent/client-kubelet.crt");
    assert_eq!(stands(&node, &kubelet), Standing::Valid);
}

/// systemd calls an agent active minutes after it has begun to serve.
#[test]
fn an_agent_that_serves_is_not_waited_for_until_systemd_calls_it_active() {
    let (early, late) = ("2025-12-31T23:59:50.123456Z", "2026-01-01T00:00:07.123456Z");
    for (lease, missing) in [
        (late, None),
        (early, Some("renewed last: 2025-12-31T23:59:50.123456Z")),
        ("", Some("renewed last: not known")),
    ] {
        let node = Node::agent(-3);
        node.state("becomes", "activating");
        node.state("lease", lease);
        match (renew(&node, true), missing) {
            (Ok(done), None) => assert_eq!(done.way, Some(Way::Restart)),
            (Err(error), Some(words)) => assert!(
                error.contains(
                    "k3s-agent.service is activating, and its kubelet has not renewed the node's lease"
                ) && error.contains(words),
                "{error}"
            ),
            (other, _) => panic!("{lease}: {other:?}"),
        }
        assert_eq!(node.is_marked(), missing.is_some());
    }
    // Its lease alone does not make its certificate accepted.
    let node = Node::agent(-3);
    node.state("becomes", "activating");
    node.state("lease", late);
    node.state("api-says", "error: You must be logged in to the server");
    let error = renew(&node, true).unwrap_err();
    assert!(
        error.contains("its API says \"error: You must be logged in"),
        "{error}"
    );
}

#[test]
fn a_failing_command_leaves_a_running_k3s() {
    let node = Node::server(-3);
    node.state("rotate-fails", "");
    let error = renew(&node, true).unwrap_err();
    assert!(
        error.contains("renewing the certificates of k3s.service ended with status 1")
            && error.contains("`k3s certificate rotate` failed")
            && error.contains("no space left on device"),
        "{error}"
    );
    assert!(
        error.contains("k3s.service was started again and runs"),
        "{error}"
    );
    assert_eq!(node.text("state/k3s.service.active"), "active\n");
    assert!(!node.is_marked());
}

#[test]
fn a_k3s_that_does_not_stop_is_left_running() {
    let node = Node::server(-3);
    node.state("stop-hangs", "");
    let error = renew(&node, true).unwrap_err();
    assert!(error.contains("k3s.service did not stop within 120 s"), "{error}");
    assert_eq!(node.text("state/k3s.service.active"), "active\n");
    node.forget("stop-hangs");
    node.state("stop-fails", "");
    let error = renew(&node, true).unwrap_err();
    assert!(error.contains("stopping k3s.service failed"), "{error}");
}

#[test]
fn a_script_that_its_limit_has_stopped_leaves_a_running_k3s() {
    let node = Node::server(-3);
    node.state("rotate-kills", "");
    node.times_out.set(true);
    let error = renew(&node, true).unwrap_err();
    assert!(
        error.contains("/bin/sh was stopped") && error.contains("was started again and runs"),
        "{error}"
    );
    assert_eq!(node.text("state/k3s.service.active"), "active\n");
}

#[test]
fn reports_both_failures_and_recovers_in_the_next_run() {
    let node = Node::server(-3);
    node.state("rotate-fails", "");
    node.state("start-fails", "");
    let error = renew(&node, true).unwrap_err();
    assert!(
        error.contains("no space left on device")
            && error.contains("run `systemctl start k3s.service` there"),
        "{error}"
    );
    assert!(node.is_marked());
    node.forget("start-fails");
    assert_eq!(renew(&node, false).unwrap().way, None);
    assert_eq!(node.text("state/k3s.service.active"), "active\n");
    assert!(!node.is_marked());
}

#[test]
fn killed_between_stop_and_start_the_next_run_heals_it() {
    for due in [true, false] {
        let node = Node::server(-3);
        node.state("rotate-kills", "");
        renew(&node, true).unwrap_err();
        assert_eq!(node.text("state/k3s.service.active"), "inactive\n");
        assert!(node.is_marked());
        node.forget("rotate-kills");
        node.revive();
        let done = renew(&node, due).unwrap();
        assert_eq!(done.way, due.then_some(Way::Command));
        assert_eq!(node.text("state/k3s.service.active"), "active\n");
        assert!(!node.is_marked());
    }
}

#[test]
fn reports_what_a_k3s_that_does_not_come_back_lacks() {
    let cases: [(&str, &str, &str); 3] = [
        ("becomes", "activating", "last seen: k3s.service is activating"),
        (
            "api-says",
            "E0101 noise\nUnable to connect to the server: x509: certificate has expired",
            "its API says \"Unable to connect to the server: x509: certificate has expired\"",
        ),
        (
            "becomes",
            "failed",
            "k3s.service has failed, and systemd does not start it again",
        ),
    ];
    for (what, content, expected) in cases {
        let node = Node::server(-3);
        node.state(what, content);
        let error = renew(&node, true).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("journalctl -u k3s.service"), "{error}");
        assert!(error.contains("dynamic-cert.json"), "{error}");
        // The next run goes on from here.
        assert!(node.is_marked());
        node.state("becomes", "active");
        node.remove("state/api-says").unwrap();
        node.state("k3s.service.active", "inactive");
        renew(&node, false).unwrap();
        assert!(!node.is_marked());
    }
}

#[test]
fn an_old_kubeconfig_is_not_taken_for_the_new_one() {
    let node = Node::server(-3);
    node.state("writes-nothing", "");
    let stale = node.text(KUBECONFIG);
    let error = renew(&node, true).unwrap_err();
    assert!(
        error.contains("has not rewritten /etc/rancher/k3s/k3s.yaml yet"),
        "{error}"
    );
    assert_eq!(node.text(KUBECONFIG), stale);
}

#[test]
fn a_server_without_an_api_is_only_waited_for() {
    let node = Node::server(-3);
    node.remove(KUBECONFIG).unwrap();
    node.state("api-says", "no API here");
    renew(&node, true).unwrap();
    assert!(!node.text("state/calls").contains("readyz"));
}

#[test]
fn arguments_of_the_unit_are_not_read() {
    let node = Node::server(30);
    let settings = NodeSettings::look(&node).unwrap();
    let service = look(&node, &settings, &Paths::default()).unwrap();
    assert_eq!(service.binary, "/usr/local/bin/k3s");
    assert!(!format!("{service:?}").contains("s3cr3t"));
}
