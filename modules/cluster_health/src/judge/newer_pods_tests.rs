//! Containers that run beside the others, or say themselves whether they are started again.

use super::tests::{assert_judged, containers};
use crate::samples::{ago, container, node, with};
use serde_json::{Value, json};

/// By hand, in the shape of 1.36, and so long after that nothing is young any more.
#[test]
fn sidecars_debuggers_gates_and_what_else_newer_pods_have() {
    let list: Value = serde_json::from_str(&testbed::recorded("by-hand-k3s-v1.36-pods.json")).unwrap();
    let judged = |name: &str| {
        let pods = list["items"].as_array().unwrap();
        let is = |pod: &&Value| pod["metadata"]["name"].as_str().unwrap().starts_with(name);
        let mut seen = crate::samples::bare().node(node("n2"));
        seen.now += std::time::Duration::from_hours(24 * 300);
        let lease = json!({"metadata": {"name": "n2"}, "spec": {"renewTime": "2026-10-28T00:00:00Z"}});
        let health = seen
            .lease(lease)
            .pod(pods.iter().find(is).unwrap().clone())
            .judged(json!({}));
        let verdicts = health
            .verdicts
            .iter()
            .map(|verdict| format!("{}: {}", verdict.identity, verdict.message));
        verdicts.collect::<Vec<_>>().join("\n")
    };
    let table = [
        ("meshed", "", ""),
        (
            "pulling",
            "Pod demo/Deployment/pulling: ImagePullBackOff",
            "container web: ImagePullBackOff: Back-off pulling image",
        ),
        (
            "mounting",
            "Pod demo/Deployment/mounting: CreateContainerConfigError",
            "container web: CreateContainerError: context deadline exceeded",
        ),
        // The sidecar runs, as it should; what is waited for is the other one.
        (
            "waiting",
            "Pod demo/Deployment/waiting: Pending",
            "it does not start on n2: container web: ContainerCreating",
        ),
        ("debugged", "", ""),
        (
            "gated",
            "Pod demo/gated: SchedulingGated",
            "Scheduling is blocked due to non-empty scheduling gates",
        ),
        ("static", "", ""),
        ("done", "", ""),
        (
            "leaving",
            "Pod demo/Deployment/leaving: Terminating",
            "it should have been gone",
        ),
        ("working", "", ""),
    ];
    for (name, identity, words) in table {
        let verdict = judged(name);
        assert_eq!(verdict.is_empty(), identity.is_empty(), "{name}: {verdict}");
        assert!(
            verdict.starts_with(identity) && verdict.contains(words),
            "{name}: {verdict}"
        );
    }
}

#[test]
fn a_container_may_say_itself_whether_it_is_started_again() {
    let failed = |spec: Value| {
        let ended = json!({"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": ago(5)}});
        with(containers(json!([container(ended)]), 20), json!({"spec": spec}))
    };
    let own = |pod: &str, own: &str| json!({"restartPolicy": pod, "containers": [{"name": "app", "restartPolicy": own}]});
    let sidecar =
        json!({"restartPolicy": "Never", "initContainers": [{"name": "app", "restartPolicy": "Always"}]});
    let crash = "error web: CrashLoopBackOff";
    let young = "info web: NotReady settling";
    assert_judged(&[
        (
            "the pod says so",
            failed(json!({"restartPolicy": "Always"})),
            crash,
        ),
        (
            "the pod says no",
            failed(json!({"restartPolicy": "Never"})),
            young,
        ),
        ("it says so", failed(own("Never", "OnFailure")), crash),
        ("it says no", failed(own("Always", "Never")), young),
        ("a sidecar", failed(sidecar), crash),
    ]);
}
