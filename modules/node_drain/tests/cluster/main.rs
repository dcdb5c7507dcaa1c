//! Drains of a small imitated cluster, in virtual time: what a run promises from its first look to its last.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod fake;
mod settled;
mod world;

use fake::{Cluster, OURS};
use serde_json::{Value, json};

fn drain(cluster: &Cluster, more: Value) -> Value {
    run(
        cluster,
        json!({"run_id": "r1", "delete_emptydir_data": true}),
        more,
    )
}

fn uncordon(cluster: &Cluster, more: Value) -> Value {
    run(cluster, json!({"state": "uncordoned", "wait_for": true}), more)
}

fn run(cluster: &Cluster, base: Value, more: Value) -> Value {
    let mut arguments = json!({"vmid": 101, "node": "n1"});
    for part in [base, more] {
        arguments
            .as_object_mut()
            .unwrap()
            .extend(part.as_object().unwrap().clone());
    }
    cluster.run(&arguments)
}

fn names(answer: &Value, key: &str) -> Vec<String> {
    let name = |pod: &Value| {
        format!(
            "{}/{}",
            pod["namespace"].as_str().unwrap(),
            pod["name"].as_str().unwrap()
        )
    };
    answer[key].as_array().unwrap().iter().map(name).collect()
}

fn msg(answer: &Value) -> &str {
    answer["msg"].as_str().unwrap()
}

/// Failed, and the node is as before: schedulable, with no mark of ours.
fn assert_restored(cluster: &Cluster, answer: &Value) {
    assert_eq!(answer["failed"], true, "{answer:#}");
    assert!(
        !cluster.unschedulable("n1") && cluster.record("n1").is_none(),
        "{answer:#}"
    );
    assert!(msg(answer).contains("n1 is schedulable again"), "{answer:#}");
    assert_eq!(answer["cordoned_by"], json!({"before": "none", "after": "none"}));
}

#[test]
fn a_drain_moves_the_pods_and_a_second_one_changes_nothing() {
    let cluster = Cluster::new()
        .deployment("web", 2, &["n1", "n2"])
        .daemonset("svclb");
    let answer = drain(&cluster, json!({"wait_for": true}));
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(answer["changed"], true);
    assert_eq!(names(&answer, "evicted"), ["demo/web-1"]);
    assert_eq!(
        answer["owners"],
        json!([{"namespace": "demo", "kind": "Deployment", "name": "web", "ready": 2, "pinned": 0}])
    );
    assert_eq!(answer["cordoned_by"], json!({"before": "none", "after": "ours"}));
    assert_eq!(cluster.record("n1").unwrap()["run"], "r1");
    assert_eq!(cluster.on("n1"), ["svclb-1"]);
    assert_eq!(cluster.ready("web"), 2, "wait_for waited");

    let again = drain(&cluster, json!({"wait_for": true}));
    assert_eq!(
        (&again["changed"], &again["failed"]),
        (&json!(false), &json!(false)),
        "{again:#}"
    );

    let back = uncordon(&cluster, json!({"owners": answer["owners"]}));
    assert_eq!(back["changed"], true, "{back:#}");
    assert!(!cluster.unschedulable("n1") && cluster.record("n1").is_none());
    assert_eq!(uncordon(&cluster, json!({}))["changed"], false);
}

#[test]
fn returns_the_verdicts_in_check_mode_without_changes() {
    let cluster = Cluster::new().deployment("web", 1, &["n1"]);
    let answer = drain(
        &cluster,
        json!({"_ansible_check_mode": true, "_ansible_diff": true}),
    );
    assert_eq!(answer["changed"], true);
    assert_eq!(answer["actions"], json!(["cordon n1", "evict 1 pod: demo/web-1"]));
    assert_eq!(answer["pods"][0]["verdict"], "evict");
    assert!(
        answer["diff"][0]["after"]
            .as_str()
            .unwrap()
            .contains("unschedulable: true")
    );
    assert_eq!((cluster.changes(), cluster.on("n1").len()), (0, 1));
}

#[test]
fn a_refusal_comes_before_the_cordon() {
    let cluster = Cluster::new().deployment("web", 1, &["n1"]).naked("alone", "n1");
    let answer = drain(&cluster, json!({}));
    assert!(
        msg(&answer).contains("demo/alone: no controller would start it again"),
        "{answer:#}"
    );
    assert_eq!((cluster.changes(), &answer["changed"]), (0, &json!(false)));
    assert_eq!(answer["pods"][0]["verdict"], "refuse");
    assert_eq!(drain(&cluster, json!({"force": true}))["failed"], false);
    assert!(cluster.on("n1").is_empty());
}

#[test]
fn a_pod_that_comes_before_the_cordon_and_may_not_go_undoes_it() {
    let cluster = Cluster::new().deployment("web", 1, &["n1"]);
    cluster.at_first_patch(|cluster| cluster.add_naked("late", "n1"));
    let answer = drain(&cluster, json!({}));
    assert_restored(&cluster, &answer);
    assert!(
        msg(&answer).contains("looking again after the cordon") && msg(&answer).contains("demo/late"),
        "{answer:#}"
    );
    assert_eq!(cluster.on("n1").len(), 2, "nobody was evicted");
}

#[test]
fn a_budget_that_blocks_is_named_with_its_headroom_and_the_node_given_back() {
    let cluster = Cluster::new()
        .deployment("vault", 1, &["n1"])
        .budget("vault", 1)
        .deployment("web", 1, &["n1"]);
    let answer = drain(&cluster, json!({"evict_timeout": 30}));
    assert_restored(&cluster, &answer);
    for words in [
        "demo/vault-1: budget vault allows 0 disruptions (1 healthy, 1 needed, 1 expected)",
        "k3s_drain_pdb",
        "scale",
    ] {
        assert!(msg(&answer).contains(words), "{words}: {answer:#}");
    }
    assert_eq!(names(&answer, "blocked"), ["demo/vault-1"]);
    let budget = json!({"name": "vault", "disruptions_allowed": 0, "current_healthy": 1, "desired_healthy": 1, "expected_pods": 1});
    assert_eq!(answer["blocked"][0]["budgets"], json!([budget]));
    assert_eq!(names(&answer, "evicted"), ["demo/web-1"]);
    assert_eq!(answer["changed"], true, "a pod was moved");
    assert!(answer["seconds"].as_f64().unwrap() < 45.0, "{answer:#}");
}

#[test]
fn a_pod_with_several_budgets_is_never_evicted_but_by_a_bypass() {
    let build = || {
        let cluster = Cluster::new().deployment("web", 2, &["n1", "n2"]);
        cluster.budget("web", 1).budgets_twice()
    };
    let cluster = build();
    let answer = drain(&cluster, json!({"evict_timeout": 20}));
    assert_restored(&cluster, &answer);
    for words in [
        "budget web allows 1 disruptions",
        "budget web-too allows 1 disruptions",
        "(a pod with several budgets can never be evicted)",
    ] {
        assert!(msg(&answer).contains(words), "{words}: {answer:#}");
    }
    assert_eq!(names(&answer, "blocked"), ["demo/web-1"]);
    let said = answer["blocked"][0]["said"].as_str().unwrap();
    assert!(said.contains("more than one PodDisruptionBudget"), "{answer:#}");
    let answer = drain(
        &build(),
        json!({"pdb": "respect_then_bypass", "evict_timeout": 20}),
    );
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(names(&answer, "bypassed"), ["demo/web-1"]);
}

#[test]
fn a_budget_that_opens_is_waited_for() {
    let cluster = Cluster::new()
        .deployment("web", 2, &["n1", "n1"])
        .budget("web", 1);
    let answer = drain(&cluster, json!({}));
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(names(&answer, "evicted"), ["demo/web-1", "demo/web-2"]);
    assert_eq!(
        (
            answer["bypassed"].as_array().unwrap().len(),
            cluster.least_ready("web")
        ),
        (0, 1)
    );
}

#[test]
fn bypass_records_the_budgets_that_were_overridden() {
    let cluster = Cluster::new()
        .deployment("vault", 1, &["n1"])
        .budget("vault", 1)
        .deployment("web", 1, &["n1"]);
    let answer = drain(&cluster, json!({"pdb": "bypass"}));
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(names(&answer, "evicted"), ["demo/vault-1", "demo/web-1"]);
    assert_eq!(names(&answer, "bypassed"), ["demo/vault-1"]);
    assert_eq!(answer["bypassed"][0]["budgets"][0]["disruptions_allowed"], 0);
}

#[test]
fn respect_then_bypass_asks_first_and_spares_what_is_not_selected() {
    let build = || Cluster::new().deployment("vault", 1, &["n1"]).budget("vault", 1);
    let options = json!({"pdb": "respect_then_bypass", "bypass_selector": "app=vault", "evict_timeout": 20});
    let cluster = build();
    let answer = drain(&cluster, options.clone());
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(names(&answer, "bypassed"), ["demo/vault-1"]);
    assert!(answer["seconds"].as_f64().unwrap() >= 20.0);

    let cluster = build().deployment("db", 1, &["n1"]).budget("db", 1);
    let answer = drain(&cluster, options);
    assert_restored(&cluster, &answer);
    assert_eq!(names(&answer, "blocked"), ["demo/db-1"]);
    assert!(msg(&answer).contains("bypass_selector"), "{answer:#}");
}

#[test]
fn an_api_server_that_is_away_for_a_while_does_not_stop_a_drain() {
    // While it looks, cordons, evicts, and waits.
    for from in [0.0, 1.0, 3.0, 5.0] {
        let cluster = Cluster::new()
            .deployment("web", 3, &["n1", "n1", "n2"])
            .away(from, from + 40.0);
        let answer = drain(&cluster, json!({"wait_for": true}));
        assert_eq!(answer["failed"], false, "from {from}: {answer:#}");
        assert_eq!(answer["evicted"].as_array().unwrap().len(), 2);
        assert_eq!(cluster.record("n1").unwrap()["run"], "r1");
    }
}

#[test]
fn an_api_server_that_hangs_is_away_too() {
    let cluster = Cluster::new()
        .deployment("web", 2, &["n1", "n2"])
        .hangs(2.0, 30.0);
    assert_eq!(drain(&cluster, json!({}))["failed"], false);
}

#[test]
fn an_api_server_that_stays_away_ends_with_what_is_left_and_how_to_undo_it() {
    let cluster = Cluster::new()
        .deployment("web", 1, &["n1"])
        .away(2.5, f64::INFINITY);
    let answer = drain(&cluster, json!({"timeout": 60}));
    assert_eq!(answer["failed"], true);
    assert!(msg(&answer).contains("connection to the server"), "{answer:#}");
    assert!(
        msg(&answer).contains("n1 is still cordoned by us")
            && msg(&answer).contains("`k3s kubectl uncordon n1` in container 101 on pve1 undoes it"),
        "{answer:#}"
    );
    assert_eq!(answer["cordoned_by"]["after"], "ours");
    assert!(cluster.elapsed() < 400.0, "it took {}", cluster.elapsed());
}

#[test]
fn whenever_the_api_server_goes_away_for_good_a_cordon_of_ours_is_not_left_unsaid() {
    for tenths in 0..80 {
        for lost in [false, true] {
            let cluster = Cluster::new()
                .deployment("web", 2, &["n1", "n1"])
                .away(f64::from(tenths) / 10.0, f64::INFINITY);
            let cluster = if lost { cluster.loses_an_answer() } else { cluster };
            let answer = drain(&cluster, json!({"timeout": 60}));
            let said = || msg(&answer).contains("`k3s kubectl uncordon n1`");
            assert!(
                answer["failed"] == false || !cluster.unschedulable("n1") || said(),
                "from {tenths}: {answer:#}"
            );
        }
    }
}

#[test]
fn an_api_server_that_never_answers_fails_before_anything_changed() {
    let cluster = Cluster::new().away(0.0, f64::INFINITY);
    let answer = drain(&cluster, json!({}));
    assert!(
        msg(&answer).contains("checking the cluster") && cluster.elapsed() < 70.0,
        "{answer:#}"
    );
    assert_eq!((&answer["changed"], cluster.changes()), (&json!(false), 0));
}

#[test]
fn a_storm_of_429_ends_blocked_with_what_was_said() {
    let cluster = Cluster::new().deployment("web", 1, &["n1"]).storm();
    let answer = drain(&cluster, json!({"evict_timeout": 20}));
    assert_restored(&cluster, &answer);
    assert!(
        msg(&answer).contains("demo/web-1: Error from server (TooManyRequests): too many requests")
            && msg(&answer).contains("the API server says"),
        "{answer:#}"
    );
}

#[test]
fn a_kubelet_that_writes_to_the_node_meanwhile_does_not_hurt() {
    let cluster = Cluster::new().deployment("web", 1, &["n1"]).conflicts(2);
    let answer = drain(&cluster, json!({}));
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(cluster.record("n1").unwrap()["run"], "r1");
}

#[test]
fn a_patch_whose_answer_is_lost_is_still_ours() {
    let cluster = Cluster::new()
        .deployment("vault", 1, &["n1"])
        .budget("vault", 1)
        .loses_an_answer();
    let answer = drain(&cluster, json!({"evict_timeout": 10}));
    assert_restored(&cluster, &answer);
}

#[test]
fn an_operator_who_cordons_in_the_same_moment_keeps_the_cordon() {
    let cluster = Cluster::new()
        .deployment("vault", 1, &["n1"])
        .budget("vault", 1)
        .conflicts(1);
    cluster.at_first_patch(|cluster| cluster.operator_cordons("n1"));
    let answer = drain(&cluster, json!({"evict_timeout": 10}));
    assert_eq!(answer["failed"], true);
    assert!(
        cluster.unschedulable("n1") && cluster.record("n1").is_none(),
        "{answer:#}"
    );
    assert_eq!(
        answer["cordoned_by"],
        json!({"before": "none", "after": "operator"})
    );
}

#[test]
fn an_operators_cordon_survives_drain_failure_and_uncordon() {
    let cluster = Cluster::new().deployment("web", 1, &["n1"]);
    cluster.operator_cordons("n1");
    let answer = drain(&cluster, json!({}));
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(
        answer["cordoned_by"],
        json!({"before": "operator", "after": "operator"})
    );
    assert_eq!(answer["actions"], json!(["evict 1 pod: demo/web-1"]));
    let back = uncordon(&cluster, json!({}));
    assert_eq!(
        (&back["changed"], &back["failed"]),
        (&json!(false), &json!(false))
    );
    assert!(cluster.unschedulable("n1") && back["warnings"][0].as_str().unwrap().contains("somebody else"));
    assert_eq!(
        uncordon(&cluster, json!({"force_uncordon": true}))["changed"],
        true
    );
    assert!(!cluster.unschedulable("n1"));

    let cluster = Cluster::new().deployment("vault", 1, &["n1"]).budget("vault", 1);
    cluster.operator_cordons("n1");
    assert_eq!(drain(&cluster, json!({"evict_timeout": 10}))["failed"], true);
    assert!(cluster.unschedulable("n1"));
}

#[test]
fn a_killed_runs_cordon_is_taken_over_and_its_workloads_are_waited_for() {
    let cluster = Cluster::new().deployment("web", 2, &["n1", "n2"]).pin("web-1");
    assert_eq!(drain(&cluster, json!({"local_volumes": "wait"}))["failed"], false);
    // Killed here. The next run finds a node without pods.
    let answer = drain(&cluster, json!({"run_id": "r2"}));
    assert_eq!(
        answer["actions"],
        json!(["take over the cordon that an earlier run left on n1"])
    );
    assert_eq!(cluster.record("n1").unwrap()["run"], "r2");
    assert_eq!(cluster.ready("web"), 1);
    let back = uncordon(&cluster, json!({}));
    assert_eq!(
        back["actions"],
        json!(["uncordon n1", "wait until ready again: Deployment demo/web"]),
        "{back:#}"
    );
    assert_eq!(cluster.ready("web"), 2);
}

#[test]
fn a_killed_runs_cordon_stays_where_the_next_drain_fails() {
    let cluster = Cluster::new().deployment("vault", 1, &["n1"]).budget("vault", 1);
    drain(&cluster, json!({"evict_timeout": 0, "on_failure": "keep"}));
    assert_eq!(cluster.record("n1").unwrap()["run"], "r1");
    let answer = drain(&cluster, json!({"evict_timeout": 0, "run_id": "r2"}));
    assert!(
        msg(&answer).contains("was found cordoned by an earlier run of ours, and stays so"),
        "{answer:#}"
    );
    assert!(cluster.unschedulable("n1"));
}

#[test]
fn on_failure_keep_leaves_the_cordon_and_says_how_to_undo_it() {
    let cluster = Cluster::new().deployment("vault", 1, &["n1"]).budget("vault", 1);
    let answer = drain(&cluster, json!({"evict_timeout": 10, "on_failure": "keep"}));
    assert!(
        msg(&answer).contains("on_failure: keep") && msg(&answer).contains("kubectl uncordon n1"),
        "{answer:#}"
    );
    assert_eq!(
        (cluster.unschedulable("n1"), &answer["cordoned_by"]["after"]),
        (true, &json!("ours"))
    );
}

#[test]
fn a_stale_annotation_goes_with_a_warning() {
    let cluster = Cluster::new();
    cluster.annotate("n1", OURS, r#"{"run": "old"}"#);
    let answer = uncordon(&cluster, json!({}));
    assert_eq!(answer["actions"], json!(["remove our old annotation from n1"]));
    assert!(answer["warnings"][0].as_str().unwrap().contains("run old") && cluster.record("n1").is_none());
}

#[test]
fn pinned_pods_wait_for_the_uncordon_and_only_they_are_excused() {
    let cluster = Cluster::new().deployment("db", 2, &["n1", "n1"]).pin("db-1");
    let refused = drain(&cluster, json!({}));
    assert!(
        msg(&refused).contains("its volume pv-db-1 is on this node only"),
        "{refused:#}"
    );
    let answer = drain(&cluster, json!({"local_volumes": "wait", "wait_for": true}));
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_eq!(names(&answer, "waiting"), ["demo/db-1"]);
    assert_eq!(answer["owners"][0]["pinned"], 1);
    assert_eq!(cluster.ready("db"), 1);
    let back = uncordon(&cluster, json!({"owners": answer["owners"]}));
    assert_eq!(back["failed"], false, "{back:#}");
    assert_eq!(cluster.ready("db"), 2);
}

#[test]
fn a_node_that_stays_an_operators_cannot_have_its_pinned_pods_back() {
    let cluster = Cluster::new().deployment("db", 2, &["n1", "n1"]).pin("db-1");
    cluster.operator_cordons("n1");
    let answer = drain(&cluster, json!({"local_volumes": "wait", "wait_for": true}));
    assert_eq!(answer["failed"], false, "{answer:#}");
    let back = uncordon(&cluster, json!({"owners": answer["owners"]}));
    assert_eq!(
        (&back["failed"], cluster.ready("db")),
        (&json!(false), 1),
        "{back:#}"
    );
}

#[test]
fn the_gate_alone_waits_names_what_is_missing_and_does_not_cordon_again() {
    let cluster = Cluster::new().deployment("web", 2, &["n1", "n2"]);
    let owners = json!([{"namespace": "demo", "kind": "Deployment", "name": "web", "ready": "3"}]);
    cluster.scale("web", 3);
    let options = json!({"owners": owners, "wait_for_timeout": 30, "_ansible_check_mode": true});
    let planned = uncordon(&cluster, options);
    assert_eq!(
        (&planned["changed"], &planned["actions"]),
        (
            &json!(false),
            &json!(["wait until ready again: Deployment demo/web"])
        ),
        "to wait is not a change: {planned:#}"
    );
    let answer = uncordon(&cluster, json!({"owners": owners, "wait_for_timeout": 30}));
    assert!(
        msg(&answer).contains("Deployment demo/web has 2 of 3 replicas ready"),
        "{answer:#}"
    );
    assert_eq!((&answer["changed"], cluster.changes()), (&json!(false), 0));
    cluster.scale("web", 2);
    let answer = uncordon(&cluster, json!({"owners": owners}));
    assert_eq!(
        (&answer["failed"], &answer["actions"]),
        (&json!(false), &json!([])),
        "scaled down meanwhile: {answer:#}"
    );
}

#[test]
fn a_pod_that_does_not_end_is_named_with_finalizers_and_the_nodes_state() {
    let cluster = Cluster::new().deployment("web", 1, &["n1"]).stuck("web-1");
    let answer = drain(&cluster, json!({"timeout": 60}));
    assert_restored(&cluster, &answer);
    assert!(
        msg(&answer).contains("demo/web-1 is terminating, held by its finalizers example.org/hold"),
        "{answer:#}"
    );
    assert_eq!(names(&answer, "terminating"), ["demo/web-1"]);

    let cluster = Cluster::new()
        .deployment("web", 1, &["n1"])
        .stuck("web-1")
        .not_ready("n1");
    let answer = drain(&cluster, json!({"timeout": 60}));
    assert!(
        msg(&answer).contains("Ready is Unknown (NodeStatusUnknown)"),
        "{answer:#}"
    );
    let answer = drain(
        &cluster,
        json!({"timeout": 60, "skip_wait_for_delete_timeout": 20}),
    );
    assert_eq!(answer["failed"], false, "{answer:#}");
}

#[test]
fn cordoned_is_only_that() {
    let cluster = Cluster::new().deployment("web", 1, &["n1"]);
    let cordon = |cluster: &Cluster| run(cluster, json!({"state": "cordoned", "run_id": "r1"}), json!({}));
    assert_eq!(cordon(&cluster)["actions"], json!(["cordon n1"]));
    assert_eq!(cordon(&cluster)["changed"], false);
    assert_eq!(cluster.on("n1").len(), 1);
}

#[test]
fn an_eviction_names_the_very_pod_and_the_grace_it_gets() {
    let cluster = Cluster::new().deployment("web", 1, &["n1"]).budget("web", 0);
    let answer = drain(&cluster, json!({"grace_period": 7}));
    assert_eq!(answer["failed"], false, "{answer:#}");
    let body = cluster.last_body();
    assert_eq!(
        (&body["apiVersion"], &body["deleteOptions"]["gracePeriodSeconds"]),
        (&json!("policy/v1"), &json!(7))
    );
    assert_eq!(body["deleteOptions"]["preconditions"]["uid"], "uid-web-1");
}

#[test]
fn an_unknown_node_is_refused_with_the_known_ones() {
    let answer = drain(&Cluster::new(), json!({"node": "n9"}));
    assert!(
        msg(&answer).contains("looking for the node n9") && msg(&answer).contains("n1, n2"),
        "{answer:#}"
    );
}

#[test]
fn lists_come_in_pages() {
    let cluster = Cluster::new()
        .deployment("web", 3, &["n1", "n1", "n1"])
        .pages_of(1);
    let answer = drain(&cluster, json!({}));
    assert_eq!(answer["evicted"].as_array().unwrap().len(), 3, "{answer:#}");
}
