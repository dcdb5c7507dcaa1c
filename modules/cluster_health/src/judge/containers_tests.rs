//! Containers that crash, as kubelets of 1.33 to 1.36 tell of them. A waiting container has the reason `CrashLoopBackOff` only
//! after a start was put off; before that it is `terminated`, and one that is made and not started waits without a reason.

use crate::samples::bare;
use crate::state::Pod;
use kubectl::List;
use serde_json::json;

#[test]
fn a_crash_loop_is_seen_whatever_the_kubelet_calls_it() {
    let list = include_str!("../../tests/recorded/by-hand-1.36-crashing-pods.json");
    let pods: List<Pod> = serde_json::from_str(list).unwrap();
    let judged = |name: &str| {
        let pod = pods.items.iter().find(|pod| pod.metadata.name == name).unwrap();
        let mut seen = bare().node(crate::samples::node("n1"));
        seen.pods.add(
            vec![pod.clone()],
            crate::samples::now() - std::time::Duration::from_mins(10),
        );
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
