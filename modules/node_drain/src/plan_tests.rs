use super::*;
use crate::selector::Selector;
use crate::state::Pinned;
use serde_json::{Value, json};
use std::time::SystemTime;

fn now() -> SystemTime {
    SystemTime::from(OffsetDateTime::parse("2026-01-01T00:00:00Z", &Rfc3339).unwrap())
}

fn node(unschedulable: bool, run: Option<&str>) -> Value {
    let mut node = json!({
        "metadata": {"name": "n1", "resourceVersion": "7", "labels": {"kubernetes.io/hostname": "n1"}, "annotations": {}},
        "spec": {"unschedulable": unschedulable},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    if let Some(run) = run {
        node["metadata"]["annotations"][Record::ANNOTATION] = json!({"run": run}).to_string().into();
    }
    node
}

fn state(node: Value, pods: &[Value]) -> State {
    State {
        now: now(),
        node: serde_json::from_value(node).unwrap(),
        other_nodes: 2,
        pods: pods
            .iter()
            .map(|pod| serde_json::from_value(pod.clone()).unwrap())
            .collect(),
        budgets: Vec::new(),
        pinned: Pinned::default(),
        owners: Vec::new(),
        api: crate::state::Api {
            budgets: "policy/v1".to_owned(),
            eviction: "policy/v1".to_owned(),
        },
    }
}

fn pod(name: &str, owner: Option<&str>) -> Value {
    let owners: Vec<Value> = owner
        .iter()
        .map(|kind| json!({"kind": kind, "name": format!("{name}-owner"), "controller": true}))
        .collect();
    json!({
        "metadata": {"name": name, "namespace": "demo", "uid": format!("uid-{name}"), "labels": {"app": name}, "ownerReferences": owners},
        "spec": {"volumes": []},
        "status": {"phase": "Running"},
    })
}

fn with(mut pod: Value, pointer: &str, value: Value) -> Value {
    *pod.pointer_mut(pointer).unwrap() = value;
    pod
}

fn params(more: Value) -> Params {
    let mut all = json!({"node": "n1"});
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn verdict(options: Value, pod: Value) -> Verdict {
    let mut state = state(node(false, None), &[pod]);
    state
        .pinned
        .insert(("demo".to_owned(), "data".to_owned()), "pv-1".to_owned());
    judge(&params(options).rules, &state, &state.pods[0])
}

fn sentences(params: &Params, state: &State) -> Vec<String> {
    plan(params, state)
        .unwrap()
        .steps
        .iter()
        .map(ToString::to_string)
        .collect()
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
            deleted("2026-01-01T00:00:30Z"),
            Leave::Terminating,
        ),
        (
            json!({"pod_selector": "app=db"}),
            pod("web", None),
            Leave::NotSelected,
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
    assert_eq!(
        verdict(json!({"ignore_daemonsets": false}), pod("ds", Some("DaemonSet"))),
        Verdict::Refuse(vec![Refusal::DaemonSet])
    );
}

#[test]
fn all_that_is_refused_is_named_at_once() {
    let scratch = with(
        pod("naked", None),
        "/spec/volumes",
        json!([{"name": "s", "emptyDir": {"medium": "Memory"}}]),
    );
    let error = plan(
        &params(json!({})),
        &state(
            node(false, None),
            &[scratch, pod("a", None), pod("web", Some("ReplicaSet"))],
        ),
    )
    .unwrap_err();
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
fn the_steps_of_each_state() {
    let web = pod("web", Some("ReplicaSet"));
    let table: [(Value, Value, &[Value], &[&str]); 13] = [
        (
            json!({}),
            node(false, None),
            std::slice::from_ref(&web),
            &["cordon n1", "evict 1 pod: demo/web"],
        ),
        (json!({}), node(false, None), &[], &["cordon n1"]),
        (
            json!({}),
            node(true, None),
            std::slice::from_ref(&web),
            &["evict 1 pod: demo/web"],
        ),
        (json!({}), node(true, None), &[], &[]),
        (json!({}), node(true, Some("a")), &[], &[]),
        (json!({"run_id": "a"}), node(true, Some("a")), &[], &[]),
        (
            json!({"run_id": "b"}),
            node(true, Some("a")),
            &[],
            &["take over the cordon that an earlier run left on n1"],
        ),
        (
            json!({"state": "cordoned"}),
            node(false, None),
            std::slice::from_ref(&web),
            &["cordon n1"],
        ),
        (json!({"state": "cordoned"}), node(true, None), &[], &[]),
        (
            json!({"state": "uncordoned"}),
            node(true, Some("a")),
            &[],
            &["uncordon n1"],
        ),
        (json!({"state": "uncordoned"}), node(true, None), &[], &[]),
        (
            json!({"state": "uncordoned", "force_uncordon": true}),
            node(true, None),
            &[],
            &["uncordon n1"],
        ),
        (
            json!({"state": "uncordoned"}),
            node(false, Some("a")),
            &[],
            &["remove our old annotation from n1"],
        ),
    ];
    for (options, node, pods, expected) in table {
        assert_eq!(
            sentences(&params(options.clone()), &state(node.clone(), pods)),
            expected,
            "{options} {node}"
        );
    }
}

#[test]
fn a_pod_that_goes_already_is_only_waited_for() {
    let mut leaving = pod("web", Some("ReplicaSet"));
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z".into();
    assert_eq!(
        sentences(&params(json!({})), &state(node(true, None), &[leaving])),
        ["wait until 1 pod has terminated: demo/web"]
    );
}

#[test]
fn the_plan_says_which_pods_will_wait() {
    let claim = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]);
    let mut state = state(
        node(true, None),
        &[with(pod("db", Some("StatefulSet")), "/spec/volumes", claim)],
    );
    state
        .pinned
        .insert(("demo".to_owned(), "data".to_owned()), "pv-1".to_owned());
    assert_eq!(
        sentences(&params(json!({"local_volumes": "wait"})), &state),
        ["evict 1 pod: demo/db; Pending until the uncordon: demo/db"]
    );
}

#[test]
fn a_stale_annotation_is_warned_about_and_overwritten() {
    for options in [
        json!({}),
        json!({"state": "cordoned"}),
        json!({"state": "uncordoned"}),
    ] {
        let plan = plan(&params(options.clone()), &state(node(false, Some("a")), &[])).unwrap();
        assert!(
            plan.warnings[0].contains("our annotation of run a"),
            "{options}: {:?}",
            plan.warnings
        );
        assert_eq!(plan.steps.len(), 1, "{options}");
    }
}

#[test]
fn an_operators_cordon_is_left_and_said_so() {
    for (options, words) in [
        (json!({}), "stays so afterwards"),
        (json!({"state": "uncordoned"}), "force_uncordon: true"),
    ] {
        let plan = plan(&params(options), &state(node(true, None), &[])).unwrap();
        assert!(
            plan.steps.is_empty() && plan.warnings[0].contains(words),
            "{:?}",
            plan.warnings
        );
    }
}

#[test]
fn a_budget_in_the_way_is_told_beforehand_unless_it_is_bypassed() {
    let mut state = state(node(false, None), &[pod("vault", Some("StatefulSet"))]);
    let budget = json!({
        "metadata": {"name": "vault", "namespace": "demo"},
        "spec": {"selector": {"matchLabels": {"app": "vault"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
    });
    state.budgets = vec![serde_json::from_value(budget).unwrap()];
    let warnings = |options| plan(&params(options), &state).unwrap().warnings;
    let said =
        "demo/vault may not go now: budget vault allows 0 disruptions (1 healthy, 1 needed, 1 expected)";
    assert_eq!(warnings(json!({})), [said]);
    assert_eq!(warnings(json!({"pdb": "respect_then_bypass"})), [said]);
    assert!(warnings(json!({"pdb": "bypass"})).is_empty());
    assert_eq!(
        warnings(json!({"pdb": "bypass", "bypass_selector": "app=other"})),
        [said]
    );
    assert!(warnings(json!({"pdb": "bypass", "bypass_selector": "app=vault"})).is_empty());
}

#[test]
fn nowhere_to_go_is_warned_about() {
    let mut state = state(node(false, None), &[pod("web", Some("ReplicaSet"))]);
    state.other_nodes = 0;
    assert!(plan(&params(json!({})), &state).unwrap().warnings[0].contains("stays Pending"));
}

#[test]
fn budgets_select_as_their_version_says() {
    let pod: Pod = serde_json::from_value(pod("web", Some("ReplicaSet"))).unwrap();
    let state = state(node(false, None), &[]);
    let mut old = state.api.clone();
    old.budgets = "policy/v1beta1".to_owned();
    let table = [
        (json!({"matchLabels": {"app": "web"}}), true, true),
        (json!({"matchLabels": {"app": "db"}}), false, false),
        (
            json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}),
            true,
            true,
        ),
        (
            json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}),
            false,
            false,
        ),
        (json!({}), true, false),
        (Value::Null, false, false),
    ];
    for (selector, new_selects, old_selects) in table {
        let budget = json!({"metadata": {"name": "b", "namespace": "demo"}, "spec": {"selector": selector}});
        let budget: Budget = serde_json::from_value(budget).unwrap();
        assert_eq!(
            budget.selects(&pod.metadata, &state.api),
            new_selects,
            "{selector} in policy/v1"
        );
        assert_eq!(
            budget.selects(&pod.metadata, &old),
            old_selects,
            "{selector} in policy/v1beta1"
        );
    }
    let elsewhere = json!({"metadata": {"name": "b", "namespace": "other"}, "spec": {"selector": {}}});
    assert!(
        !serde_json::from_value::<Budget>(elsewhere)
            .unwrap()
            .selects(&pod.metadata, &state.api)
    );
}

#[test]
fn the_diff_shows_the_cordon() {
    let plan = plan(&params(json!({"run_id": "r1"})), &state(node(false, None), &[])).unwrap();
    assert_eq!(
        plan.diff[0].before,
        "unschedulable: false\nhomelab.k3s/cordon: absent\n"
    );
    assert_eq!(
        plan.diff[0].after,
        "unschedulable: true\nhomelab.k3s/cordon: run r1\n"
    );
}

#[test]
fn a_run_that_takes_over_remembers_what_the_killed_one_knew() {
    let owner = |ready| Owner {
        namespace: "demo".to_owned(),
        kind: "Deployment".to_owned(),
        name: "web".to_owned(),
        ready,
        pinned: 0,
    };
    let mut state = state(node(true, Some("a")), &[]);
    state.node.record.as_mut().unwrap().owners = vec![owner(2)];
    state.owners = vec![crate::owners::Seen {
        owner: owner(1),
        now: None,
    }];
    let Wish::Cordoned(record) = wish(&params(json!({"run_id": "b"})), &state) else {
        panic!()
    };
    assert_eq!((record.run.as_str(), record.owners), ("b", vec![owner(2)]));
}

#[test]
fn the_gate_waits_for_what_is_missing_or_was_just_given_back() {
    let owner = Owner {
        namespace: "demo".to_owned(),
        kind: "Deployment".to_owned(),
        name: "web".to_owned(),
        ready: 2,
        pinned: 1,
    };
    let seen = |ready| crate::owners::Seen {
        owner: owner.clone(),
        now: Some(crate::owners::Replicas {
            ready,
            wanted: Some(2),
        }),
    };
    let steps = |cordoned: Option<&str>, ready| {
        let mut state = state(node(cordoned.is_some(), cordoned), &[]);
        state.owners = vec![seen(ready)];
        sentences(&params(json!({"state": "uncordoned", "wait_for": true})), &state)
    };
    let wait = "wait until ready again: Deployment demo/web";
    assert_eq!(steps(Some("a"), 2), ["uncordon n1", wait]);
    assert_eq!(steps(None, 1), [wait]);
    assert!(steps(None, 2).is_empty());
}

#[test]
fn a_drain_waits_for_workloads_only_when_asked() {
    let owner = Owner {
        namespace: "demo".to_owned(),
        kind: "Deployment".to_owned(),
        name: "web".to_owned(),
        ready: 1,
        pinned: 0,
    };
    let mut state = state(node(true, None), &[pod("web", Some("ReplicaSet"))]);
    state.owners = vec![crate::owners::Seen { owner, now: None }];
    assert_eq!(sentences(&params(json!({})), &state).len(), 1);
    assert_eq!(
        sentences(&params(json!({"wait_for": true})), &state)[1],
        "wait until ready again: Deployment demo/web"
    );
}

#[test]
fn selectors_are_compared_whole() {
    assert_eq!(
        params(json!({"pod_selector": "a=b"})).rules.pod_selector,
        Some(Selector::parse("a=b").unwrap())
    );
}
