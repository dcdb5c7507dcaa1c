//! The parsers on what was recorded: a real k3s where it was at hand, else made by hand in the shape of the API's
//! own documentation, and named so.

use super::*;
use cluster::{Chart, List, Pod};
use serde_json::Value;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../tests/recorded/", $name))
    };
}

/// Put together from what `kubectl get node -o jsonpath` printed.
#[test]
fn a_node_of_a_real_server() {
    let node: Node = serde_json::from_str(recorded!("k3s-v1.36.2-node.json")).unwrap();
    assert_eq!(
        (node.name.as_str(), node.kubelet_version.as_str()),
        ("k3s-controller-1", "v1.36.2+k3s1")
    );
    assert!(node.is_ready() && node.is_controller() && node.has_etcd());
    assert!(!node.unschedulable && node.record.is_none());
    assert_eq!(node.condition("EtcdIsVoter").unwrap().status, "True");
    assert_eq!(node.condition("DiskPressure").unwrap().status, "False");
}

/// Of each node its name, version, roles, and what its conditions say that is not as it should be.
fn nodes(list: &str) -> Vec<String> {
    let nodes = serde_json::from_str::<List<Node>>(&testbed::recorded(list))
        .unwrap()
        .items;
    let described = |node: &Node| {
        let healthy = |kind: &str| {
            if matches!(kind, "Ready" | "EtcdIsVoter") {
                "True"
            } else {
                "False"
            }
        };
        let odd = node
            .conditions
            .iter()
            .filter(|condition| condition.status != healthy(&condition.r#type))
            .map(|condition| format!("{}={}", condition.r#type, condition.reason));
        let words = [
            (node.is_controller(), "controller"),
            (node.has_etcd(), "etcd"),
            (node.condition("EtcdIsVoter").is_some(), "says whether it votes"),
            (node.unschedulable, "cordoned"),
        ];
        let words = words
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, word)| word.to_owned());
        let words: Vec<String> = words.chain(odd).collect();
        format!("{} {}: {}", node.name, node.kubelet_version, words.join(", "))
    };
    nodes.iter().map(described).collect()
}

#[test]
fn nodes_with_all_that_they_may_say() {
    assert_eq!(
        nodes("by-hand-k3s-v1.36-nodes.json"),
        [
            "n1 v1.36.3+k3s1: controller, etcd, says whether it votes",
            "n2 v1.36.3+k3s1: controller, etcd, says whether it votes, EtcdIsVoter=MemberIsLearner",
            "n3 v1.36.3-rc1+k3s1: etcd, says whether it votes, EtcdIsVoter=Unhealthy",
            "n4 v1.36.3+k3s1: cordoned, MemoryPressure=NodeStatusUnknown, DiskPressure=NodeStatusUnknown, PIDPressure=NodeStatusUnknown, Ready=NodeStatusUnknown",
        ]
    );
}

#[test]
fn leases_and_their_times() {
    // Fields of 1.31 and later (`strategy`, `preferredHolder`), and a Lease that has not been renewed yet.
    let lease = |spec: Value| -> Lease {
        serde_json::from_value(serde_json::json!({"metadata": {"name": "n1"}, "spec": spec})).unwrap()
    };
    let coordinated = lease(serde_json::json!({
        "holderIdentity": "n1", "leaseDurationSeconds": 60, "leaseTransitions": 3, "acquireTime": null,
        "renewTime": "2026-01-01T00:00:00.000042Z", "strategy": "OldestEmulationVersion", "preferredHolder": "n2",
    }));
    assert_eq!(coordinated.duration.as_secs(), 60);
    let renewed = SystemTime::from(coordinated.renewed.unwrap());
    assert_eq!(k3s_certs::rfc3339(renewed), "2026-01-01T00:00:00Z");
    assert!(lease(serde_json::json!({"renewTime": null})).renewed.is_none());
}

#[test]
fn charts_and_their_jobs() {
    let charts = |list: &str| -> Vec<String> {
        let charts = serde_json::from_str::<List<Chart>>(list).unwrap().items;
        let described = |chart: &Chart| {
            let failed = chart
                .status
                .conditions
                .iter()
                .any(|condition| condition.r#type == "Failed" && condition.status == "True");
            format!(
                "{} in {}: {}{}",
                chart.metadata.name,
                chart.target_namespace(),
                chart.job_name(),
                if failed { " failed" } else { "" }
            )
        };
        charts.iter().map(described).collect()
    };
    assert_eq!(
        charts(&testbed::recorded("by-hand-k3s-v1.36-helmcharts.json")),
        [
            "traefik in kube-system: helm-install-traefik",
            "traefik-crd in kube-system: helm-install-traefik-crd failed",
            "packed in elsewhere: helm-install-packed",
        ]
    );
    // Until 1.33 the API keeps what a manifest names and leaves empty.
    let metadata = r#""metadata": {"name": "own", "namespace": "apps"}"#;
    for rest in [
        r#""spec": null, "status": null"#,
        r#""spec": {"targetNamespace": null, "valuesContent": null}, "status": {"jobName": null, "conditions": null}"#,
    ] {
        let list = format!(r#"{{"items": [{{{metadata}, {rest}}}]}}"#);
        assert_eq!(charts(&list), ["own in apps: helm-install-own"], "{rest}");
    }
}

#[test]
fn a_job_is_complete_or_failed_only_where_it_says_so() {
    let job = |conditions: &str| -> Job {
        let text = format!(
            r#"{{"metadata": {{"name": "helm-install-traefik"}}, "status": {{"uncountedTerminatedPods": {{}}, "ready": 0, "failed": 1, "conditions": [{conditions}]}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    // k3s makes the Job of a chart suspended, and resumes it.
    let resumed = r#"{"type": "Suspended", "status": "False", "reason": "JobResumed"}"#;
    let ending =
        r#"{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "FailureTarget", "status": "True"}"#;
    let complete = format!(r#"{resumed}, {{"type": "Complete", "status": "True"}}"#);
    for (conditions, expected) in [(resumed, false), (ending, false), (&complete, true)] {
        let job = job(conditions);
        assert_eq!(job.is("Complete").is_some(), expected, "{conditions}");
        assert!(job.is("Failed").is_none() && job.failures == 1, "{conditions}");
    }
}

#[test]
fn a_node_whose_kubelet_is_gone() {
    let nodes: List<Node> = serde_json::from_str(&testbed::recorded("by-hand-k3s-v1.36-nodes.json")).unwrap();
    let node = nodes.items.iter().find(|node| node.name == "n4").unwrap();
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
fn the_checks_of_a_real_server() {
    let passed = checks(recorded!("k3s-v1.36.2-readyz-verbose.txt"));
    assert_eq!(passed.len(), 37);
    assert!(passed.iter().all(|check| check.passed));
    assert_eq!(passed[0].name, "ping");
    // As kubectl quotes what a starting server says.
    let quoted = r#"Error from server (InternalError): an error on the server ("[+]ping ok\n[+]log ok\n[+]etcd ok\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed") has prevented the request from succeeding"#;
    let failed: Vec<String> = checks(quoted)
        .into_iter()
        .filter(|check| !check.passed)
        .map(|check| check.name)
        .collect();
    assert_eq!(failed, ["poststarthook/rbac/bootstrap-roles"]);
    assert_eq!(checks(quoted).len(), 4);
    let counted = |text: &str| {
        let checks = checks(text);
        (checks.iter().filter(|check| check.passed).count(), checks.len())
    };
    // Some are reported with more words.
    let new = "[+]ping ok\n[+]etcd-readiness excluded: ok\n[-]poststarthook/start-service-ip-repair-controllers failed: reason withheld\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check failed\n";
    assert_eq!(counted(new), (2, 3));
    assert_eq!(
        counted(
            r#"Error from server (InternalError): an error on the server ("apiserver not ready") has prevented the request from succeeding"#
        ),
        (0, 0)
    );
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
    // Since 3.5.
    let reasoned = etcd(
        "{\"health\":\"true\",\"reason\":\"\"}",
        "etcd_server_is_learner 0\n",
        "",
    );
    assert!(reasoned.healthy && reasoned.said.is_empty());
    let ill = etcd("{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n", "", "");
    assert!(!ill.healthy);
    assert_eq!(ill.said, "ALARM NOSPACE");
    let away = etcd("", "", "was refused\n");
    assert!(!away.healthy);
    assert_eq!(away.said, "was refused");
}

#[test]
fn reads_a_service_of_systemd() {
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
