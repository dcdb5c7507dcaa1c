//! Everything but pods, whose tables are beside them.

use super::*;
use crate::samples::{VERSION, ago, bare, cluster, controller, node, not_ready, now, pod, typed, with};
use crate::state::{Check, Etcd, Service, WorkloadKind};
use serde_json::{Value, json};

fn conditions(node: Value, conditions: Value) -> Value {
    with(node, json!({"status": {"conditions": conditions}}))
}

fn condition(kind: &str, status: &str) -> Value {
    json!({"type": kind, "status": status, "reason": "Because", "message": "it is so", "lastTransitionTime": ago(600)})
}

#[test]
fn nodes_are_ready_alive_and_without_pressure() {
    let ready = || condition("Ready", "True");
    let table: Vec<(&str, Value, &[&str])> = vec![
        ("well", node("n1"), &[]),
        (
            "not ready",
            conditions(node("n1"), json!([condition("Ready", "False")])),
            &["error Node n1: NotReady"],
        ),
        (
            "not heard of",
            conditions(node("n1"), json!([condition("Ready", "Unknown")])),
            &["error Node n1: NotReady"],
        ),
        (
            "never heard of",
            conditions(node("n1"), json!([])),
            &["error Node n1: NotReady"],
        ),
        (
            "disk",
            conditions(node("n1"), json!([ready(), condition("DiskPressure", "True")])),
            &["error Node n1: DiskPressure"],
        ),
        (
            "memory",
            conditions(node("n1"), json!([ready(), condition("MemoryPressure", "True")])),
            &["error Node n1: MemoryPressure"],
        ),
        (
            "processes",
            conditions(node("n1"), json!([ready(), condition("PIDPressure", "True")])),
            &["error Node n1: PIDPressure"],
        ),
        (
            "network",
            conditions(
                node("n1"),
                json!([ready(), condition("NetworkUnavailable", "True")]),
            ),
            &["error Node n1: NetworkUnavailable"],
        ),
        (
            "no pressure",
            conditions(
                node("n1"),
                json!([
                    ready(),
                    condition("DiskPressure", "False"),
                    condition("PIDPressure", "Unknown")
                ]),
            ),
            &[],
        ),
        (
            "cordoned",
            with(node("n1"), json!({"spec": {"unschedulable": true}})),
            &["warning Node n1: Cordoned"],
        ),
    ];
    for (case, node, expected) in table {
        assert_eq!(bare().node(node).verdicts(json!({})), expected, "{case}");
    }
}

#[test]
fn ten_nodes_that_are_not_ready_are_ten() {
    let lost = |number: usize| {
        conditions(
            node(&format!("n{number}")),
            json!([condition("Ready", "Unknown")]),
        )
    };
    let seen = (0..10).fold(bare(), |seen, number| seen.node(lost(number)));
    let health = seen.judged(json!({}));
    assert_eq!(health.failing().count(), 10);
    assert!(!health.is_healthy());
}

#[test]
fn a_node_that_is_called_ready_must_have_renewed_its_lease() {
    let lease = |spec: Value| json!({"metadata": {"name": "n1"}, "spec": spec});
    let renewed = |seconds| lease(json!({"renewTime": ago(seconds), "leaseDurationSeconds": 40}));
    assert_eq!(
        bare().node(node("n1")).lease(renewed(41)).verdicts(json!({})),
        ["error Node n1: StaleHeartbeat"]
    );
    assert!(
        bare()
            .node(node("n1"))
            .lease(renewed(40))
            .verdicts(json!({}))
            .is_empty()
    );
    assert!(
        bare()
            .node(node("n1"))
            .lease(lease(json!({})))
            .verdicts(json!({}))
            .is_empty()
    );
    let lost = conditions(node("n1"), json!([condition("Ready", "Unknown")]));
    assert_eq!(
        bare().node(lost).lease(renewed(400)).verdicts(json!({})),
        ["error Node n1: NotReady"]
    );

    let mut without = bare().node(node("n1"));
    without.leases.clear();
    assert_eq!(without.verdicts(json!({})), ["warning Node n1: StaleHeartbeat"]);
    without.unread.insert("leases".to_owned(), "refused".to_owned());
    assert_eq!(without.verdicts(json!({})), ["error Api leases: CannotBeRead"]);
}

#[test]
fn a_vanished_node_is_seen_where_it_is_expected() {
    let expected = json!({"expect_nodes": ["n1", "n2"]});
    let mut seen = bare().node(node("n1"));
    assert_eq!(seen.verdicts(expected.clone()), ["error Node n2: Missing"]);
    assert!(seen.verdicts(json!({"expect_nodes": ["n1"]})).is_empty());
    seen.unread.insert("nodes".to_owned(), "refused".to_owned());
    assert_eq!(seen.verdicts(expected), ["error Api nodes: CannotBeRead"]);
}

#[test]
fn a_cluster_without_nodes_is_not_well() {
    assert_eq!(bare().verdicts(json!({})), ["error Cluster nodes: Missing"]);
}

fn runs(node: Value, version: &str) -> Value {
    with(node, json!({"status": {"nodeInfo": {"kubeletVersion": version}}}))
}

#[test]
fn versions_are_one_and_not_too_far_apart() {
    const MIXED: &str = "warning Cluster versions: MixedVersions";
    let table: Vec<(&str, &str, &str, &[&str])> = vec![
        ("one", VERSION, VERSION, &[]),
        ("workers first, inside a minor", VERSION, "v1.31.5+k3s1", &[MIXED]),
        ("servers first", "v1.32.1+k3s1", VERSION, &[MIXED]),
        ("three minors", "v1.31.4+k3s1", "v1.28.9+k3s1", &[MIXED]),
        (
            "four minors",
            "v1.31.4+k3s1",
            "v1.27.9+k3s1",
            &["error Node n2: TooOld", MIXED],
        ),
        (
            "three minors, before 1.28",
            "v1.26.4+k3s1",
            "v1.23.9+k3s1",
            &["error Node n2: TooOld", MIXED],
        ),
        (
            "a kubelet before its server",
            VERSION,
            "v1.32.1+k3s1",
            &["error Node n2: KubeletTooNew", MIXED],
        ),
        ("unreadable", VERSION, "built-by-hand", &[MIXED]),
    ];
    for (case, server, agent, expected) in table {
        let mut seen = bare()
            .node(runs(controller("n1"), server))
            .node(runs(node("n2"), agent));
        seen.api.version = Some(server.to_owned());
        assert_eq!(seen.verdicts(json!({})), expected, "{case}");
    }
    let seen = bare()
        .node(controller("n1"))
        .node(runs(node("n2"), "v1.31.5+k3s1"));
    assert_eq!(
        seen.verdicts(json!({"same_version": true})),
        ["error Cluster versions: MixedVersions"]
    );
    assert_eq!(
        seen.judged(json!({})).verdicts[0].message,
        "the nodes do not run one version: v1.31.4+k3s1: n1; v1.31.5+k3s1: n2"
    );
    assert_eq!(
        seen.verdicts(json!({"expect_version": VERSION})),
        ["error Node n2: WrongVersion", MIXED]
    );
}

/// Asked through a server that is not upgraded yet, the kubelet of one that is must not seem too new.
#[test]
fn controllers_in_the_midst_of_an_upgrade_are_no_trouble() {
    let mixed = "warning Cluster versions: MixedVersions";
    let seen = bare()
        .node(runs(controller("n1"), "v1.32.1+k3s1"))
        .node(controller("n2"));
    assert_eq!(seen.verdicts(json!({})), [mixed]);
    let seen = seen.node(runs(node("n3"), "v1.32.1+k3s1"));
    assert_eq!(seen.verdicts(json!({})), ["error Node n3: KubeletTooNew", mixed]);
    let apart = bare()
        .node(runs(controller("n1"), "v1.33.1+k3s1"))
        .node(controller("n2"));
    assert_eq!(apart.verdicts(json!({})), ["error Node n2: TooOld", mixed]);
}

fn workload(name: &str, spec: Value, status: Value) -> Value {
    let metadata =
        json!({"name": name, "namespace": "demo", "labels": {"app": name}, "creationTimestamp": ago(9000)});
    json!({"metadata": metadata, "spec": spec, "status": status})
}

#[test]
fn workloads_have_the_replicas_that_they_want() {
    let away = |seconds: u64| json!([{"type": "Available", "status": "False", "message": "Deployment does not have minimum availability.", "lastTransitionTime": ago(seconds)}]);
    let two = || json!({"replicas": 2});
    let deployment = WorkloadKind::Deployment;
    let table: Vec<(&str, WorkloadKind, Value, &[&str])> = vec![
        (
            "whole",
            deployment,
            workload("web", two(), json!({"availableReplicas": 2})),
            &[],
        ),
        (
            "asks for none",
            deployment,
            workload("web", json!({"replicas": 0}), json!({})),
            &[],
        ),
        (
            "asks for one by not asking",
            deployment,
            workload("web", json!({}), json!({})),
            &["error Deployment demo/web: Unavailable"],
        ),
        (
            "for long",
            deployment,
            workload(
                "web",
                two(),
                json!({"availableReplicas": 1, "conditions": away(400)}),
            ),
            &["error Deployment demo/web: Unavailable"],
        ),
        (
            "for a moment",
            deployment,
            workload(
                "web",
                two(),
                json!({"availableReplicas": 1, "conditions": away(20)}),
            ),
            &["info Deployment demo/web: Unavailable settling"],
        ),
        (
            "roll-out stuck",
            deployment,
            workload(
                "web",
                two(),
                json!({"availableReplicas": 2, "conditions": [condition("Progressing", "False")]}),
            ),
            &["warning Deployment demo/web: RolloutStuck"],
        ),
        (
            "db whole",
            WorkloadKind::StatefulSet,
            workload("db", two(), json!({"readyReplicas": 2})),
            &[],
        ),
        (
            "db lacks one",
            WorkloadKind::StatefulSet,
            workload("db", two(), json!({"readyReplicas": 1})),
            &["error StatefulSet demo/db: Unavailable"],
        ),
        (
            "db ready, not available",
            WorkloadKind::StatefulSet,
            workload("db", two(), json!({"readyReplicas": 2, "availableReplicas": 1})),
            &["error StatefulSet demo/db: Unavailable"],
        ),
        (
            "lb whole",
            WorkloadKind::DaemonSet,
            workload(
                "lb",
                json!({}),
                json!({"desiredNumberScheduled": 3, "numberAvailable": 3}),
            ),
            &[],
        ),
        (
            "lb lacks one",
            WorkloadKind::DaemonSet,
            workload(
                "lb",
                json!({}),
                json!({"desiredNumberScheduled": 3, "numberAvailable": 2}),
            ),
            &["error DaemonSet demo/lb: Unavailable"],
        ),
    ];
    for (case, kind, workload, expected) in table {
        assert_eq!(
            cluster().workload(kind, workload).verdicts(json!({})),
            expected,
            "{case}"
        );
    }
}

/// One trouble is told once; and a crashing pod must not become two troubles and one again as it starts and ends.
#[test]
fn a_replica_that_its_pod_accounts_for_is_not_told_twice() {
    let web = |available: usize| {
        workload(
            "web",
            json!({"replicas": 2}),
            json!({"availableReplicas": available}),
        )
    };
    let seen = |available| {
        cluster()
            .workload(WorkloadKind::Deployment, web(available))
            .pod(not_ready(pod("web-1"), 400))
    };
    assert_eq!(
        seen(1).verdicts(json!({})),
        ["error Pod demo/Deployment/web: NotReady"]
    );
    assert_eq!(
        seen(0).verdicts(json!({})),
        [
            "error Deployment demo/web: Unavailable",
            "error Pod demo/Deployment/web: NotReady"
        ]
    );
    // Also where the pod's trouble is not to be told.
    assert!(seen(1).verdicts(json!({"ignore": [{"kind": "Pod"}]})).is_empty());
    // On its way out, its successor is not there yet.
    let leaving = with(pod("web-1"), json!({"metadata": {"deletionTimestamp": ago(5)}}));
    let leaving = cluster().workload(WorkloadKind::Deployment, web(1)).pod(leaving);
    assert!(leaving.verdicts(json!({})).is_empty());
}

fn job(name: &str, cron_job: Option<&str>, started: u64, condition: Option<&str>) -> Value {
    let owners: Vec<Value> = cron_job
        .iter()
        .map(|name| json!({"kind": "CronJob", "name": name, "controller": true}))
        .collect();
    let conditions: Vec<Value> = condition.iter().map(|kind| json!({"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"})).collect();
    let metadata = json!({"name": name, "namespace": "demo", "ownerReferences": owners});
    json!({"metadata": metadata, "status": {"startTime": ago(started), "failed": 5, "conditions": conditions}})
}

#[test]
fn a_job_that_failed_is_told_until_it_is_made_good() {
    let failed = || job("backup-1", Some("backup"), 9000, Some("Failed"));
    assert_eq!(
        cluster()
            .job(job("migrate", None, 90, Some("Failed")))
            .verdicts(json!({})),
        ["warning Job demo/migrate: Failed"]
    );
    assert!(
        cluster()
            .job(job("migrate", None, 9000, Some("Complete")))
            .verdicts(json!({}))
            .is_empty()
    );
    assert!(
        cluster()
            .job(job("migrate", None, 9000, None))
            .verdicts(json!({}))
            .is_empty()
    );
    assert_eq!(
        cluster().job(failed()).verdicts(json!({})),
        ["warning Job demo/CronJob/backup: Failed"]
    );
    let good = cluster()
        .job(failed())
        .job(job("backup-2", Some("backup"), 5000, Some("Complete")));
    assert!(good.verdicts(json!({})).is_empty());
    let before = cluster()
        .job(failed())
        .job(job("backup-0", Some("backup"), 9900, Some("Complete")));
    assert_eq!(before.verdicts(json!({})).len(), 1);
    let others = cluster()
        .job(failed())
        .job(job("other-2", Some("other"), 5000, Some("Complete")));
    assert_eq!(others.verdicts(json!({})).len(), 1);
}

fn chart(name: &str, conditions: Value) -> crate::state::Chart {
    typed(json!({
        "metadata": {"name": name, "namespace": "demo"},
        "status": {"jobName": format!("helm-install-{name}"), "conditions": conditions},
    }))
}

#[test]
fn a_chart_is_installed_when_its_job_is_done() {
    let table: Vec<(&str, Option<Value>, Value, &[&str])> = vec![
        (
            "done",
            Some(job("helm-install-app", None, 9000, Some("Complete"))),
            json!([]),
            &[],
        ),
        ("gone", None, json!([]), &[]),
        (
            "at it",
            Some(job("helm-install-app", None, 20, None)),
            json!(null),
            &["info Addon demo/app: NotInstalled settling"],
        ),
        (
            "at it for ever",
            Some(job("helm-install-app", None, 9000, None)),
            json!([]),
            &["error Addon demo/app: NotInstalled"],
        ),
        (
            "failed",
            Some(job("helm-install-app", None, 20, Some("Failed"))),
            json!([]),
            &["error Addon demo/app: NotInstalled"],
        ),
        (
            "told by the chart",
            None,
            json!([condition("Failed", "True")]),
            &["error Addon demo/app: NotInstalled"],
        ),
        ("told as over", None, json!([condition("Failed", "False")]), &[]),
    ];
    for (case, job, conditions, expected) in table {
        let mut seen = job.into_iter().fold(cluster(), crate::state::Seen::job);
        seen.charts.push(chart("app", conditions));
        assert_eq!(seen.verdicts(json!({})), expected, "{case}");
    }
}

#[test]
fn what_k3s_should_have_brought_is_there() {
    let mut seen = cluster();
    for name in [
        "coredns",
        "metrics-server-deployment",
        "local-storage",
        "rolebindings",
    ] {
        seen.addons.push(typed(
            json!({"metadata": {"name": name, "namespace": "kube-system"}}),
        ));
    }
    seen.charts.push(typed(
        json!({"metadata": {"name": "traefik", "namespace": "kube-system"}}),
    ));
    let missing = [
        "error Addon kube-system/coredns: Missing",
        "error Addon kube-system/local-path-provisioner: Missing",
        "error Addon kube-system/metrics-server: Missing",
        "error Addon kube-system/traefik: Missing",
    ];
    assert_eq!(seen.verdicts(json!({})), missing);
    for name in ["coredns", "local-path-provisioner", "metrics-server", "traefik"] {
        let status = json!({"availableReplicas": 1});
        let there = with(
            workload(name, json!({}), status),
            json!({"metadata": {"namespace": "kube-system"}}),
        );
        seen = seen.workload(WorkloadKind::Deployment, there);
    }
    assert!(seen.verdicts(json!({})).is_empty());
    seen.workloads.clear();
    seen.unread.insert("deployments".to_owned(), "refused".to_owned());
    assert_eq!(seen.verdicts(json!({})), ["error Api deployments: CannotBeRead"]);
}

#[test]
fn a_server_that_is_not_ready_says_which_check_fails() {
    let mut seen = cluster();
    seen.api.ready = false;
    seen.api.said = "something".to_owned();
    assert_eq!(seen.verdicts(json!({})), ["error Api readyz: CheckFailed"]);
    let check = |name: &str, passed| Check {
        name: name.to_owned(),
        passed,
    };
    seen.api.checks = vec![
        check("ping", true),
        check("etcd", false),
        check("poststarthook/rbac/bootstrap-roles", false),
    ];
    assert_eq!(
        seen.verdicts(json!({})),
        [
            "error Api etcd: CheckFailed",
            "error Api poststarthook/rbac/bootstrap-roles: CheckFailed"
        ]
    );
}

#[test]
fn a_server_that_is_down_is_told_with_its_service() {
    let mut seen = cluster();
    seen.api.version = None;
    seen.api.said = "The connection to the server 127.0.0.1:6443 was refused".to_owned();
    let message = |seen: &crate::state::Seen| seen.judged(json!({})).verdicts[0].message.clone();
    assert_eq!(
        seen.verdicts(json!({"expect_nodes": ["n1"]})),
        ["error Api kube-apiserver: Unreachable"]
    );
    assert_eq!(
        message(&seen),
        "the API server does not answer: The connection to the server 127.0.0.1:6443 was refused"
    );
    seen.api.service = Some(Service {
        name: "k3s".to_owned(),
        load: "loaded".to_owned(),
        active: "failed".to_owned(),
        sub: "failed".to_owned(),
        result: "exit-code".to_owned(),
        restarts: "5".to_owned(),
        status: "1".to_owned(),
        since: "Thu 2026-01-01 00:00:00 UTC".to_owned(),
    });
    assert!(
        message(&seen).starts_with("k3s is failed (failed) since Thu 2026-01-01 00:00:00 UTC, result exit-code, status 1, restarted 5 times; the API"),
        "{}",
        message(&seen)
    );
    seen.api.service = None;
    seen.api.said = "container 101 on pve1: it is stopped".to_owned();
    seen.api.failure = Some(host::Kind::ContainerStopped);
    assert_eq!(
        message(&seen),
        "nothing can be asked: container 101 on pve1: it is stopped"
    );
}

#[test]
fn controllers_that_did_not_answer_are_told() {
    let seen = bare().node(controller("n1"));
    assert_eq!(
        seen.verdicts(json!({"unanswered": ["k3s-controller-2"]})),
        ["error Api k3s-controller-2: Unanswered"]
    );
}

#[test]
fn members_of_etcd_vote() {
    let with_etcd = |name: &str, told: Value| {
        let labels =
            json!({"node-role.kubernetes.io/etcd": "true", "node-role.kubernetes.io/control-plane": "true"});
        with(
            conditions(node(name), told),
            json!({"metadata": {"labels": labels}}),
        )
    };
    let ready = || condition("Ready", "True");
    let voter = |status: &str| json!([ready(), condition("EtcdIsVoter", status)]);
    let seen = bare()
        .node(with_etcd("n1", voter("True")))
        .node(with_etcd("n2", voter("False")));
    assert_eq!(seen.verdicts(json!({})), ["error Etcd n2: NotVoter"]);
    // An old version does not say; the member that was asked speaks for itself.
    let mut old = bare().node(with_etcd("n1", json!([ready()])));
    assert!(old.verdicts(json!({})).is_empty());
    let etcd = |healthy, learner| Etcd {
        healthy,
        learner,
        said: String::new(),
    };
    for (said, expected) in [
        (etcd(true, false), None),
        (etcd(true, true), Some("error Etcd this member: NotVoter")),
        (etcd(false, true), Some("error Etcd this member: Unhealthy")),
    ] {
        old.etcd = Some(said);
        assert_eq!(old.verdicts(json!({})), expected.into_iter().collect::<Vec<_>>());
    }
}

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
