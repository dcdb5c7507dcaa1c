//! The parsers on what was recorded: a real k3s where it was at hand, else made by hand in the shape of the API's
//! own documentation, and named so.

use super::*;
use kubectl::List;
use serde_json::Value;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../tests/recorded/", $name))
    };
}

#[test]
fn a_node_of_a_real_server() {
    let node: Node = serde_json::from_str(recorded!("k3s-v1.21.2-node.json")).unwrap();
    assert_eq!(
        (node.name.as_str(), node.kubelet.as_str()),
        ("n1", "v1.21.2+k3s1")
    );
    assert!(node.is_ready() && node.is_controller() && node.has_etcd());
    assert!(!node.unschedulable && node.record.is_none());
    assert!(node.condition("EtcdIsVoter").is_none(), "1.21 does not say");
    assert_eq!(node.condition("DiskPressure").unwrap().status, "False");
}

#[test]
fn a_node_whose_kubelet_is_gone() {
    let conditions: Value = serde_json::from_str(recorded!("k3s-v1.21.2-conditions-not-ready.json")).unwrap();
    let node = serde_json::json!({"metadata": {"name": "n3"}, "status": {"conditions": conditions}});
    let node: Node = serde_json::from_value(node).unwrap();
    assert!(!node.is_ready());
    let ready = node.condition("Ready").unwrap();
    assert_eq!(
        (
            ready.status.as_str(),
            ready.reason.as_str(),
            ready.message.as_str()
        ),
        (
            "Unknown",
            "NodeStatusUnknown",
            "Kubelet stopped posting node status."
        )
    );
}

#[test]
fn a_lease_of_a_real_server() {
    let lease: Lease = serde_json::from_str(recorded!("k3s-v1.21.2-lease.json")).unwrap();
    assert_eq!(
        (lease.node.as_str(), lease.duration),
        ("n2", Duration::from_secs(40))
    );
    let renewed = SystemTime::from(lease.renewed.unwrap());
    assert_eq!(k3s_certs::rfc3339(renewed), "2026-11-22T17:16:22Z");
}

#[test]
fn the_checks_of_a_real_server() {
    let passed = checks(recorded!("k3s-v1.21.2-readyz-verbose.txt"));
    assert_eq!(passed.len(), 24);
    assert!(passed.iter().all(|check| check.passed));
    assert_eq!(passed[0].name, "ping");
    // As kubectl v1.21.2 quotes what a starting server says.
    let quoted = r#"Error from server (InternalError): an error on the server ("[+]ping ok\n[+]log ok\n[+]etcd ok\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed") has prevented the request from succeeding"#;
    let failed: Vec<String> = checks(quoted)
        .into_iter()
        .filter(|check| !check.passed)
        .map(|check| check.name)
        .collect();
    assert_eq!(failed, ["poststarthook/rbac/bootstrap-roles"]);
    assert_eq!(checks(quoted).len(), 4);
    assert!(checks("The connection to the server 127.0.0.1:6443 was refused").is_empty());
}

#[test]
fn of_the_pods_only_those_in_doubt_are_kept() {
    let list: List<Pod> = serde_json::from_str(recorded!("by-hand-pods.json")).unwrap();
    let mut pods = Pods::default();
    pods.add(list.items, crate::samples::now() - Duration::from_mins(10));
    assert_eq!(pods.total(), 12);
    let phases: Vec<(&str, usize)> = pods
        .phases
        .iter()
        .map(|(phase, count)| (phase.as_str(), *count))
        .collect();
    assert_eq!(
        phases,
        [("Failed", 1), ("Pending", 4), ("Running", 6), ("Succeeded", 1)]
    );
    let suspect: Vec<&str> = pods
        .suspect
        .iter()
        .map(|pod| pod.metadata.name.as_str())
        .collect();
    assert_eq!(
        suspect,
        [
            "crash-7d4b9c6f5-x2x2x",
            "image-6c8f5d7b9-k8k8k",
            "config-5f6d7c8b9-q4q4q",
            "hungry-8b7c6d5f4-z9z9z",
            "picky-9d8c7b6f5-m3m3m",
            "held-4f5d6c7b8-h7h7h",
            "evicted-3d4f5c6b7-e5e5e",
            "init-2c3d4f5b6-i6i6i",
            "slow-1b2c3d4f5-s1s1s",
        ]
    );
}

#[test]
fn etcd_speaks_for_itself() {
    let etcd = |health, learner, said| Etcd::of(health, learner, said);
    let well = etcd("{\"health\":\"true\"}", "etcd_server_is_learner 0\n", "");
    assert!(well.healthy && !well.learner);
    assert!(etcd("{\"health\":\"true\"}", "etcd_server_is_learner 1\n", "").learner);
    let ill = etcd("{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n", "", "");
    assert!(!ill.healthy);
    assert_eq!(ill.said, "ALARM NOSPACE");
    let away = etcd("", "", "was refused\n");
    assert!(!away.healthy);
    assert_eq!(away.said, "was refused");
}

#[test]
fn a_service_as_systemd_tells_it() {
    let text = "Result=exit-code\nNRestarts=5\nExecMainStatus=1\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\nStateChangeTimestamp=Thu 2026-01-01 00:00:00 UTC\n";
    assert_eq!(
        Service::parse("k3s", text).to_string(),
        "k3s is activating (auto-restart) since Thu 2026-01-01 00:00:00 UTC, result exit-code, status 1, restarted 5 times"
    );
    let well = "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=0\n";
    assert_eq!(Service::parse("k3s", well).to_string(), "k3s is active (running)");
    assert_eq!(
        Service::parse("k3s", "LoadState=not-found\n").to_string(),
        "there is no service k3s (not-found)"
    );
}
