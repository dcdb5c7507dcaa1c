use super::*;
use crate::samples::{node, params, pod, state, with};
use cluster::Selector;
use serde_json::{Value, json};

fn verdict(options: Value, pod: Value) -> Verdict {
    let mut state = state(node(false, None), &[pod]);
    state
        .pinned
        .insert(("demo".to_owned(), "data".to_owned()), "pv-1".to_owned());
    judge(&params(options).rules, &state, &state.pods[0])
}

#[test]
fn what_a_controller_starts_again_goes() {
    for kind in [
        "ReplicaSet",
        "StatefulSet",
        "Job",
        "ReplicationController",
        "Cluster",
    ] {
        assert_eq!(
            verdict(json!({}), pod("web", Some(kind))),
            Verdict::Evict(vec![]),
            "{kind}"
        );
    }
}

#[test]
fn what_is_left() {
    let deleted = |at: &str| {
        let mut pod = pod("web", Some("ReplicaSet"));
        pod["metadata"]["deletionTimestamp"] = at.into();
        pod
    };
    let mut mirror = pod("static", Some("Node"));
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    let finished = |phase: &str| with(pod("job", Some("Job")), "/status/phase", phase.into());
    let table = [
        (json!({}), pod("ds", Some("DaemonSet")), Leave::DaemonSet),
        (json!({}), mirror, Leave::Mirror),
        (json!({}), finished("Succeeded"), Leave::Finished),
        (json!({}), finished("Failed"), Leave::Finished),
        (json!({}), deleted("2025-12-31T23:00:00Z"), Leave::Terminating),
        (
            json!({"skip_wait_for_delete_timeout": 60}),
            deleted("2025-12-31T23:00:00Z"),
            Leave::TerminatingForLong,
        ),
        (
            json!({"skip_wait_for_delete_timeout": 60}),
            deleted("2025-12-31T23:59:30Z"),
            Leave::Terminating,
        ),
        (
            json!({"skip_wait_for_delete_timeout": 60}),
            deleted("2025-12-31T23:59:00Z"),
            Leave::Terminating,
        ),
        (
            json!({"skip_wait_for_delete_timeout": 60}),
            deleted("2025-12-31T23:58:59Z"),
            Leave::TerminatingForLong,
        ),
        (
            json!({"skip_wait_for_delete_timeout": 60}),
            deleted("2026-01-01T00:00:30Z"),
            Leave::Terminating,
        ),
    ];
    for (options, pod, expected) in table {
        assert_eq!(
            verdict(options.clone(), pod.clone()),
            Verdict::Leave(expected),
            "{options} {pod}"
        );
    }
}

#[test]
fn what_the_options_do_not_allow_is_refused_and_what_they_allow_goes() {
    let scratch = with(
        pod("web", Some("ReplicaSet")),
        "/spec/volumes",
        json!([{"name": "s", "emptyDir": {}}]),
    );
    let claim = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]);
    let local = with(pod("db", Some("StatefulSet")), "/spec/volumes", claim);
    let (refusal, consequence) = (
        Refusal::LocalVolume("pv-1".to_owned()),
        Consequence::WaitsForTheNode("pv-1".to_owned()),
    );
    let table = [
        (
            scratch,
            json!({"delete_emptydir_data": true}),
            Refusal::EmptyDir,
            Consequence::LosesEmptyDir,
        ),
        (
            pod("naked", None),
            json!({"force": true}),
            Refusal::NoController,
            Consequence::GoneForGood,
        ),
        (local, json!({"local_volumes": "wait"}), refusal, consequence),
    ];
    for (pod, allowing, refusal, consequence) in table {
        assert_eq!(verdict(json!({}), pod.clone()), Verdict::Refuse(vec![refusal]));
        assert_eq!(verdict(allowing, pod), Verdict::Evict(vec![consequence]));
    }
}

#[test]
fn a_pod_that_is_gone_for_good_waits_for_no_node() {
    let claim = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]);
    for pod in [
        pod("naked", None),
        with(pod("naked", None), "/spec/volumes", claim),
    ] {
        let mut state = state(node(false, None), &[pod]);
        let uid = state.pods[0].metadata.uid.clone();
        state.fit_here_only.insert(uid);
        state
            .pinned
            .insert(("demo".to_owned(), "data".to_owned()), "pv-1".to_owned());
        let verdict = judge(
            &params(json!({"force": true, "local_volumes": "wait"})).rules,
            &state,
            &state.pods[0],
        );
        assert_eq!(verdict, Verdict::Evict(vec![Consequence::GoneForGood]));
        assert!(!waits_for_the_node(&verdict));
    }
}

#[test]
fn all_that_is_refused_is_named_at_once() {
    let scratch = with(
        pod("naked", None),
        "/spec/volumes",
        json!([{"name": "s", "emptyDir": {"medium": "Memory"}}]),
    );
    let pods = [scratch, pod("a", None), pod("web", Some("ReplicaSet"))];
    let (params, state) = (params(json!({})), state(node(false, None), &pods));
    let error = refuse(&params, &judge_all(&params.rules, &state)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("draining n1: the options do not allow 2 pods to go: demo/a: no controller"),
        "{text}"
    );
    assert!(
        text.contains("demo/naked: no controller") && text.contains("delete_emptydir_data"),
        "{text}"
    );
}

#[test]
fn a_volume_that_other_nodes_can_use_pins_nothing() {
    let claim = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "elsewhere"}}]);
    let pod = with(pod("db", Some("StatefulSet")), "/spec/volumes", claim);
    assert_eq!(verdict(json!({}), pod), Verdict::Evict(vec![]));
}

#[test]
fn budgets_select_by_namespace_and_labels() {
    let pod: Pod = serde_json::from_value(pod("web", Some("ReplicaSet"))).unwrap();
    let selects = |namespace: &str, selector: &Value| {
        let budget =
            json!({"metadata": {"name": "b", "namespace": namespace}, "spec": {"selector": selector}});
        serde_json::from_value::<Budget>(budget)
            .unwrap()
            .selects(&pod.metadata)
    };
    let table = [
        (json!({"matchLabels": {"app": "web"}}), true),
        (json!({"matchLabels": {"app": "db"}}), false),
        (
            json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}),
            true,
        ),
        (
            json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}),
            false,
        ),
        // All of the namespace, and none.
        (json!({}), true),
        (Value::Null, false),
    ];
    for (selector, expected) in table {
        assert_eq!(selects("demo", &selector), expected, "{selector}");
    }
    assert!(!selects("other", &json!({})));
}

#[test]
fn compares_complete_selectors() {
    assert_eq!(
        params(json!({"bypass_selector": "a=b"})).bypass_selector,
        Some(Selector::parse("a=b").unwrap())
    );
}
