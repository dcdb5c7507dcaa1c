use super::*;
use crate::samples::{
    ago, bare, cluster, condition, conditions, container, node, not_ready, now, pod, typed, with, workload,
};
use crate::state::WorkloadKind;
use serde_json::{Value, json};

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
fn formats_durations_for_people() {
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

/// What is new in a later look that has the earlier one for its baseline.
fn news(before: &Seen, mut later: Seen, minutes: u64) -> Vec<String> {
    let before = before.judged(json!({}));
    later.now += Duration::from_mins(minutes);
    let options = json!({
        "fail_on": "warning",
        "baseline": {"verdicts": before.verdicts, "suspects": before.suspects},
        "restart_window": 100_000,
    });
    let health = later.judged(options);
    let identities = health.failing().map(|verdict| verdict.identity.to_string());
    identities.collect()
}

/// Nodes whose heartbeats are none of this test's business.
fn lively(mut seen: Seen) -> Seen {
    seen.leases.clear();
    seen.unread.insert("leases".to_owned(), "refused".to_owned());
    seen
}

fn job(started: u64, failed: u32, over: Option<&str>) -> Value {
    let conditions: Vec<Value> = over.iter().map(|kind| condition(kind, "True")).collect();
    json!({
        "metadata": {"name": "helm-install-app", "namespace": "demo"},
        "status": {"startTime": ago(started), "failed": failed, "conditions": conditions},
    })
}

fn of_chart(mut seen: Seen) -> Seen {
    seen.charts
        .push(typed(json!({"metadata": {"name": "app", "namespace": "demo"}})));
    seen
}

fn deployment(available: usize, conditions: Value) -> Value {
    workload(
        "web",
        json!({"replicas": 3}),
        json!({"availableReplicas": available, "conditions": conditions}),
    )
}

/// Each of the later looks is trouble by itself, and none of it is news after the earlier one.
fn assert_no_news(table: Vec<(&str, Seen, Seen)>) {
    let without_api = |news: Vec<String>| -> Vec<String> {
        news.into_iter()
            .filter(|problem| !problem.starts_with("Api"))
            .collect()
    };
    for (case, before, later) in table {
        assert_eq!(without_api(news(&alone(), later.clone(), 10)).len(), 1, "{case}");
        assert_eq!(without_api(news(&before, later, 10)), [""; 0], "{case}");
    }
}

fn alone() -> Seen {
    lively(bare().node(node("n1")))
}

#[test]
fn a_pod_that_had_begun_to_fail_is_an_old_problem() {
    let of_job =
        json!({"metadata": {"ownerReferences": [{"kind": "Job", "name": "migrate", "controller": true}]}});
    let leaving = json!({"metadata": {"deletionTimestamp": ago(20)}});
    let creating = |reason: &str| {
        let waits = container(json!({"waiting": {"reason": reason}}));
        let pending = json!({"metadata": {"creationTimestamp": ago(20)}, "status": {"phase": "Pending", "containerStatuses": [waits]}});
        with(not_ready(pod("web-1"), 20), pending)
    };
    let crashed = |state: Value, restarts: u32| {
        let last = json!({"terminated": {"exitCode": 1, "reason": "Error", "startedAt": ago(9), "finishedAt": ago(6)}});
        let app = json!({"name": "app", "restartCount": restarts, "state": state, "lastState": last});
        with(
            not_ready(pod("web-1"), 5),
            json!({"status": {"containerStatuses": [app]}}),
        )
    };
    let of = |pod: Value| alone().pod(pod);
    let runs = json!({"running": {"startedAt": ago(5)}});
    let backs_off = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    let young = || not_ready(pod("web-1"), 20);
    assert_no_news(vec![
        ("not ready", of(young()), of(young())),
        (
            "not started, and then without an image",
            of(creating("ContainerCreating")),
            of(creating("ErrImagePull")),
        ),
        (
            "of a Job",
            of(with(young(), of_job.clone())),
            of(with(young(), of_job)),
        ),
        (
            "on its way out",
            of(with(pod("web-1"), leaving.clone())),
            of(with(pod("web-1"), leaving)),
        ),
        ("crashed", of(crashed(runs, 1)), of(crashed(backs_off, 9))),
    ]);
}

#[test]
fn a_workload_or_a_job_that_had_begun_to_fail_is_an_old_problem() {
    let away = json!([{"type": "Available", "status": "False", "lastTransitionTime": ago(20)}]);
    let rolls =
        |status: &str, reason: &str| json!([{"type": "Progressing", "status": status, "reason": reason}]);
    let web = |available: usize, conditions: &Value| {
        alone().workload(
            WorkloadKind::Deployment,
            deployment(available, conditions.clone()),
        )
    };
    let chart = |started: u64, failed: u32| of_chart(alone().job(job(started, failed, None)));
    assert_no_news(vec![
        ("a Deployment", web(1, &away), web(1, &away)),
        (
            "a Deployment whose pods showed it",
            web(2, &away).pod(not_ready(pod("web-1"), 20)),
            web(2, &away),
        ),
        (
            "a roll-out",
            web(3, &rolls("True", "ReplicaSetUpdated")),
            web(3, &rolls("False", "ProgressDeadlineExceeded")),
        ),
        ("a chart", chart(20, 0), chart(20, 0)),
        (
            "a chart whose Job had failed, and begins again",
            chart(200, 2),
            chart(20, 0),
        ),
        (
            "a Job",
            alone().job(job(20, 1, None)),
            alone().job(job(20, 6, Some("Failed"))),
        ),
    ]);
}

#[test]
fn a_node_that_was_silent_already_is_an_old_problem() {
    let with_lease = |node: Value, seconds: u64| {
        bare()
            .node(node)
            .lease(json!({"metadata": {"name": "n1"}, "spec": {"renewTime": ago(seconds), "leaseDurationSeconds": 40}}))
    };
    let unknown = conditions(node("n1"), json!([condition("Ready", "Unknown")]));
    let silent = with_lease(node("n1"), 30);
    assert!(silent.verdicts(json!({})).is_empty());
    for later in [node("n1"), unknown] {
        assert!(news(&silent, with_lease(later.clone(), 30), 10).is_empty());
        // It was alive when the run began.
        assert_eq!(
            news(&with_lease(node("n1"), 5), with_lease(later.clone(), 5), 10).len(),
            1
        );
        // It was heard of since.
        assert_eq!(news(&silent, with_lease(later, 10), 10).len(), 1);
    }
}

#[test]
fn worse_than_before_is_news() {
    let without_api = |news: Vec<String>| -> Vec<String> {
        news.into_iter()
            .filter(|problem| !problem.starts_with("Api"))
            .collect()
    };
    let young = |name: &str| not_ready(pod(name), 20);
    let before = alone().pod(young("web-1"));
    let more = alone().pod(young("web-1")).pod(young("web-2"));
    assert_eq!(
        without_api(news(&before, more, 10)),
        ["Pod demo/Deployment/web: NotReady"]
    );
    // A pod that was made anew has begun anew.
    assert_eq!(
        without_api(news(&before, alone().pod(young("web-9")), 10)),
        ["Pod demo/Deployment/web: NotReady"]
    );
    let web = |available| alone().workload(WorkloadKind::Deployment, deployment(available, json!([])));
    assert!(without_api(news(&web(2), web(2), 10)).is_empty());
    assert_eq!(
        without_api(news(&web(2), web(1), 10)),
        ["Deployment demo/web: Unavailable"]
    );
    let chart = |started| of_chart(alone().job(job(started, 0, None)));
    assert_eq!(
        without_api(news(&chart(200), chart(20), 10)),
        ["Addon demo/app: NotInstalled"],
        "nothing had failed, and this Job is another one"
    );
}

#[test]
fn a_look_at_some_nodes_leaves_out_what_is_wrong_elsewhere() {
    let on = |name: &str, node: &str| with(not_ready(pod(name), 400), json!({"spec": {"nodeName": node}}));
    let cordoned = |name: &str| with(node(name), json!({"spec": {"unschedulable": true}}));
    let seen = bare()
        .node(cordoned("n1"))
        .node(cordoned("n2"))
        .pod(on("web-1", "n1"))
        .pod(on("web-2", "n2"))
        .pod(on("web-3", ""));
    let judged = |options: Value| {
        let health = seen.judged(options);
        let mut names: Vec<String> = health
            .verdicts
            .iter()
            .flat_map(|verdict| verdict.names.clone())
            .collect();
        names.sort();
        names
    };
    assert_eq!(judged(json!({"only_nodes": ["n2"]})), ["n2", "web-2"]);
    assert_eq!(
        judged(json!({"only_nodes": ["n2", "n3"], "expect_nodes": ["n1", "n3", "n4"]})),
        ["n2", "n3", "web-2"]
    );
    assert!(judged(json!({})).len() > 4);
}
