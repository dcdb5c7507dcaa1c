use super::*;
use crate::samples::{node, params, pod, state, with};
use serde_json::{Value, json};

fn sentences(params: &Params, state: &State) -> Vec<String> {
    plan(params, state)
        .unwrap()
        .steps
        .iter()
        .map(ToString::to_string)
        .collect()
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
fn warns_of_a_blocking_budget_unless_it_is_bypassed() {
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
fn warns_of_a_pod_with_several_budgets_though_each_has_room() {
    let mut state = state(node(false, None), &[pod("vault", Some("StatefulSet"))]);
    let budget = |name: &str| {
        let budget = json!({
            "metadata": {"name": name, "namespace": "demo"},
            "spec": {"selector": {"matchLabels": {"app": "vault"}}},
            "status": {"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2},
        });
        serde_json::from_value(budget).unwrap()
    };
    state.budgets = vec![budget("a"), budget("b")];
    let warnings = |options| plan(&params(options), &state).unwrap().warnings;
    assert_eq!(
        warnings(json!({})),
        [
            "demo/vault can never be evicted, as several budgets select it: budget a allows 1 disruptions (2 healthy, 1 needed, 2 expected), budget b allows 1 disruptions (2 healthy, 1 needed, 2 expected)"
        ]
    );
    assert!(warnings(json!({"pdb": "bypass"})).is_empty());
}

#[test]
fn a_node_that_is_not_ready_is_warned_about() {
    let mut state = state(node(false, None), &[pod("web", Some("ReplicaSet"))]);
    let ready = &mut state.node.conditions[0];
    (ready.status, ready.reason) = ("Unknown".to_owned(), "NodeStatusUnknown".to_owned());
    let warnings = plan(&params(json!({})), &state).unwrap().warnings;
    assert!(
        warnings[0].contains("n1 is not Ready (Ready is Unknown"),
        "{warnings:?}"
    );
}

#[test]
fn nowhere_to_go_is_warned_about() {
    let mut state = state(node(false, None), &[pod("web", Some("ReplicaSet"))]);
    state.other_nodes = 0;
    assert!(plan(&params(json!({})), &state).unwrap().warnings[0].contains("stays Pending"));
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
        task: false,
    };
    let mut state = state(node(true, Some("a")), &[]);
    state.node.record.as_mut().unwrap().owners = vec![owner(2)];
    state.owners = vec![cluster::owners::Seen {
        owner: owner(1),
        now: None,
    }];
    let DesiredCordon::Cordoned(record) = desired(&params(json!({"run_id": "b"})), &state) else {
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
        task: false,
    };
    let seen = |ready| cluster::owners::Seen {
        owner: owner.clone(),
        now: Some(cluster::owners::Replicas {
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
        task: false,
    };
    let mut state = state(node(true, None), &[pod("web", Some("ReplicaSet"))]);
    state.owners = vec![cluster::owners::Seen { owner, now: None }];
    assert_eq!(sentences(&params(json!({})), &state).len(), 1);
    assert_eq!(
        sentences(&params(json!({"wait_for": true})), &state)[1],
        "wait until ready again: Deployment demo/web"
    );
}

#[test]
fn a_node_that_is_done_with_stays_cordoned() {
    let mut retired = node(true, None);
    let record = json!({"run": "r1", "purpose": "retire"}).to_string();
    retired["metadata"]["annotations"]["homelab.k3s/cordon"] = record.into();
    let table = [
        (
            "drained",
            "turn",
            "n1 was cordoned for good by the run r1, and stays so afterwards",
        ),
        (
            "uncordoned",
            "turn",
            "n1 stays cordoned: somebody else cordoned it, or a cutover for good",
        ),
        ("cordoned", "retire", ""),
    ];
    for (wanted, purpose, said) in table {
        let params = params(json!({"state": wanted, "purpose": purpose, "run_id": "r2"}));
        let plan = plan(&params, &state(retired.clone(), &[])).unwrap();
        assert!(plan.steps.is_empty(), "{wanted}: {:?}", plan.steps);
        assert!(
            plan.warnings.concat().starts_with(said),
            "{wanted}: {:?}",
            plan.warnings
        );
        assert_eq!(plan.warnings.is_empty(), said.is_empty(), "{wanted}");
    }
}
