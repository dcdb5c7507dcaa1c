use super::*;
use cluster::{Node, Pinned};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::SystemTime;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "demo", "uid": format!("uid-{name}"), "labels": {"app": name},
            "ownerReferences": [{"kind": "StatefulSet", "name": name, "controller": true}],
        },
        "status": {"phase": "Running"},
    })
}

fn terminating(name: &str, since: &str) -> Value {
    let mut pod = pod(name);
    pod["metadata"]["deletionTimestamp"] = since.into();
    pod
}

fn budget(name: &str, allowed: i64) -> Budget {
    let budget = json!({
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {"selector": {"matchLabels": {"app": name}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
    });
    serde_json::from_value(budget).unwrap()
}

fn state(pods: &[Value], budgets: Vec<Budget>) -> State {
    State {
        now: SystemTime::UNIX_EPOCH + seconds(1_767_225_600),
        node: Node::default(),
        other_nodes: 1,
        pods: pods
            .iter()
            .map(|pod| serde_json::from_value(pod.clone()).unwrap())
            .collect(),
        budgets,
        pinned: Pinned::default(),
        fit_here_only: BTreeSet::new(),
        gone: false,
        owners: Vec::new(),
    }
}

fn params(more: Value) -> Params {
    let mut all = json!({"node": "n1", "evict_timeout": 20});
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn methods(drain: &mut Drain, at: u64) -> Vec<(String, How)> {
    drain
        .due(seconds(at))
        .into_iter()
        .map(|request| (request.pod.name, request.how))
        .collect()
}

#[test]
fn each_pod_is_asked_every_five_seconds_until_it_goes() {
    let state_before = state(&[pod("a"), pod("b")], vec![]);
    let mut drain = Drain::new(&params(json!({})), &state_before);
    assert_eq!(methods(&mut drain, 0).len(), 2);
    drain.note(&state(
        &[terminating("a", "2026-01-01T00:00:30Z"), pod("b")],
        vec![],
    ));
    assert!(methods(&mut drain, 2).is_empty());
    assert_eq!(methods(&mut drain, 5), [("b".to_owned(), How::Evict)]);
    assert!(!drain.done());
    drain.note(&state(&[], vec![]));
    assert!(drain.done() && methods(&mut drain, 10).is_empty());
    assert_eq!(drain.went().count(), 2);
    assert_eq!(drain.retries(), 1);
}

#[test]
fn the_next_pod_of_the_same_name_is_another_one() {
    let mut drain = Drain::new(&params(json!({})), &state(&[pod("a")], vec![]));
    methods(&mut drain, 0);
    let mut next = pod("a");
    next["metadata"]["uid"] = "uid-next".into();
    drain.note(&state(&[next], vec![]));
    assert!(drain.done());
}

#[test]
fn stops_retrying_after_its_time_and_a_last_try() {
    let state = state(&[pod("vault")], vec![budget("vault", 0)]);
    let mut drain = Drain::new(&params(json!({})), &state);
    for at in [0, 5, 10, 15] {
        methods(&mut drain, at);
        drain.note(&state);
        assert_eq!(drain.blocked().count(), 0, "{at}");
    }
    // The API server was away in between: it is asked once more before anybody is blamed.
    drain.note(&state);
    assert_eq!(drain.blocked().count(), 0);
    assert_eq!(methods(&mut drain, 90).len(), 1);
    assert_eq!(drain.blocked().count(), 1);
    assert_eq!(
        drain.left(),
        "demo/vault: budget vault allows 0 disruptions (1 healthy, 1 needed, 1 expected)"
    );
    assert_eq!((drain.went().count(), drain.bypassed().count()), (0, 0));
}

#[test]
fn no_time_to_evict_means_one_try() {
    let state = state(&[pod("vault")], vec![budget("vault", 0)]);
    let mut drain = Drain::new(&params(json!({"evict_timeout": 0})), &state);
    assert_eq!(drain.blocked().count(), 0);
    methods(&mut drain, 0);
    assert_eq!(drain.blocked().count(), 1);
}

#[test]
fn bypass_deletes_at_once_and_records_the_budget() {
    let mut drain = Drain::new(
        &params(json!({"pdb": "bypass"})),
        &state(&[pod("vault"), pod("web")], vec![budget("vault", 0)]),
    );
    assert_eq!(
        methods(&mut drain, 0),
        [("vault".to_owned(), How::Delete), ("web".to_owned(), How::Delete)]
    );
    drain.note(&state(&[], vec![]));
    let bypassed: Vec<_> = drain
        .bypassed()
        .map(|target| {
            (
                target.pod.name.as_str(),
                target.budgets[0].headroom.disruptions_allowed,
            )
        })
        .collect();
    assert_eq!(bypassed, [("vault", 0)]);
}

#[test]
fn bypass_is_for_selected_pods_only() {
    let options = json!({"pdb": "bypass", "bypass_selector": "app=vault"});
    let mut drain = Drain::new(&params(options), &state(&[pod("vault"), pod("web")], vec![]));
    assert_eq!(
        methods(&mut drain, 0),
        [("vault".to_owned(), How::Delete), ("web".to_owned(), How::Evict)]
    );
}

#[test]
fn respect_then_bypass_asks_first() {
    let options = json!({"pdb": "respect_then_bypass", "bypass_selector": "app=vault"});
    let state = state(
        &[pod("db"), pod("vault")],
        vec![budget("vault", 0), budget("db", 0)],
    );
    let mut drain = Drain::new(&params(options), &state);
    for at in [0, 5, 10, 15] {
        assert!(
            methods(&mut drain, at).iter().all(|(_, how)| *how == How::Evict),
            "{at}"
        );
    }
    assert_eq!(
        methods(&mut drain, 20),
        [("db".to_owned(), How::Evict), ("vault".to_owned(), How::Delete)]
    );
    drain.note(&state);
    let blocked: Vec<_> = drain.blocked().map(|target| target.pod.name.as_str()).collect();
    assert_eq!(blocked, ["db"], "only what no selector helps");
}

#[test]
fn stops_retrying_a_refused_deletion() {
    let state = state(&[pod("vault")], vec![budget("vault", 0)]);
    let mut drain = Drain::new(&params(json!({"pdb": "respect_then_bypass"})), &state);
    for at in [0, 20, 30] {
        methods(&mut drain, at);
        drain.note(&state);
        assert_eq!(drain.blocked().count(), 0, "{at}");
    }
    methods(&mut drain, 40);
    assert_eq!(drain.blocked().count(), 1);
    drain.targets[0].said = "a webhook forbids it".to_owned();
    assert_eq!(
        drain.left(),
        "demo/vault: a webhook forbids it",
        "no budget was asked"
    );
}

#[test]
fn reports_the_api_servers_error_for_a_pod_without_a_budget() {
    let mut drain = Drain::new(&params(json!({})), &state(&[pod("web")], vec![]));
    methods(&mut drain, 0);
    drain.targets[0].said = "admission webhook denied it".to_owned();
    assert_eq!(drain.left(), "demo/web: admission webhook denied it");
}

#[test]
fn a_stuck_pod_is_named_with_its_finalizers() {
    let mut stuck = terminating("web", "2025-12-31T23:59:00Z");
    stuck["metadata"]["finalizers"] = json!(["example.org/x"]);
    let state = state(&[stuck], vec![]);
    let mut drain = Drain::new(&params(json!({})), &state);
    drain.note(&state);
    assert!(!drain.done() && methods(&mut drain, 0).is_empty());
    assert_eq!(
        drain.left(),
        "demo/web is terminating, held by its finalizers example.org/x"
    );
}

#[test]
fn what_terminates_for_too_long_is_given_up() {
    let mut drain = Drain::new(
        &params(json!({"skip_wait_for_delete_timeout": 30})),
        &state(&[pod("web")], vec![]),
    );
    methods(&mut drain, 0);
    drain.note(&state(&[terminating("web", "2025-12-31T23:59:00Z")], vec![]));
    assert!(drain.done());
    assert_eq!(drain.went().count(), 1);
}
