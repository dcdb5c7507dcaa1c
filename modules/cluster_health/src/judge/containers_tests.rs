//! Containers that crash, as kubelets of 1.33 to 1.36 report them. The newest look again only when the backoff ends, so for
//! the first minutes the container is `terminated` and never waits with the reason `CrashLoopBackOff`; one that is made and not
//! started waits without a reason.

use crate::samples::{bare, node, not_ready, now, pod, with};
use cluster::List;
use cluster::Pod;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

#[test]
fn a_crash_loop_is_seen_whatever_the_kubelet_calls_it() {
    let list = include_str!("../../tests/recorded/by-hand-1.36-crashing-pods.json");
    let pods: List<Pod> = serde_json::from_str(list).unwrap();
    let judged = |name: &str| {
        let pod = pods.items.iter().find(|pod| pod.metadata.name == name).unwrap();
        let mut seen = bare().node(node("n1"));
        seen.pods.add(vec![pod.clone()], now() - Duration::from_mins(10));
        seen.verdicts(json!({}))
    };
    let loops = |name: &str| format!("error Pod demo/{name}: CrashLoopBackOff");
    let young = |name: &str| format!("info Pod demo/{name}: NotReady settling");
    for name in [
        "backing-off",
        "ended",
        "made",
        "done",
        "runs",
        "restarted-by-rule",
        "in-all-but-one",
        "all-restarted",
    ] {
        assert_eq!(judged(name), [loops(name)]);
    }
    // Crashed once, not to be started again, or lost with its node: that it is not ready is waited for.
    for name in ["made-once", "not-in-a-rule", "lost"] {
        assert_eq!(judged(name), [young(name)]);
    }
}

/// What a kubelet of 1.36 reported in the first minutes of a container that ends with 1 after a second, each state once: it never
/// said `CrashLoopBackOff`.
#[test]
fn a_recorded_crash_loop_is_seen_from_its_second_end_on() {
    let states: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/recorded/k3s-v1.36-crash-loop.json")).unwrap();
    let judged = |state: &Value| {
        let app = json!({"name": "app", "restartCount": state["restartCount"], "state": state["state"], "lastState": state["lastState"]});
        let pod = with(
            not_ready(pod("web-1"), 0),
            json!({"status": {"phase": state["phase"], "containerStatuses": [app]}}),
        );
        let mut seen = bare().node(node("n1"));
        // Each state was seen within a second.
        seen.now = SystemTime::UNIX_EPOCH + Duration::from_secs(state["at"].as_u64().unwrap() + 1);
        seen.leases.clear();
        seen.pods.add(
            vec![crate::samples::typed(pod)],
            seen.now - Duration::from_mins(10),
        );
        let verdicts = seen.judged(json!({})).verdicts;
        verdicts
            .iter()
            .any(|verdict| verdict.identity.reason == crate::verdict::Reason::CrashLoopBackOff)
    };
    let ends = states
        .iter()
        .position(|state| state["state"]["terminated"].is_object())
        .unwrap();
    for (at, state) in states.iter().enumerate() {
        assert_eq!(judged(state), at >= ends, "{state}");
    }
    assert!(states.len() > ends + 4);
}
