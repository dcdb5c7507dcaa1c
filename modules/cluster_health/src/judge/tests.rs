use super::*;
use crate::samples::{bare, cluster, node, not_ready, now, pod, with};
use serde_json::json;

#[test]
fn severities_decide_what_fails() {
    let seen = bare().node(with(node("n1"), json!({"spec": {"unschedulable": true}})));
    for (fail_on, healthy) in [("error", true), ("warning", false), ("never", true)] {
        assert_eq!(
            seen.judged(json!({"fail_on": fail_on})).is_healthy(),
            healthy,
            "{fail_on}"
        );
    }
}

#[test]
fn what_is_ignored_is_only_counted() {
    let seen = cluster()
        .pod(not_ready(pod("web-1"), 400))
        .pod(not_ready(pod("web-2"), 400));
    let health = seen.judged(json!({"ignore": [{"namespace": "demo", "selector": "app=web"}]}));
    assert!(health.is_healthy() && health.verdicts.is_empty());
    assert_eq!(health.ignored, 2);
}

#[test]
fn spans_are_told_as_a_person_would() {
    let table = [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_800, "2 d"),
    ];
    for (seconds, expected) in table {
        assert_eq!(span(Duration::from_secs(seconds)), expected);
    }
    assert_eq!(age(None, now()), None);
}
