use crate::samples::{ago, cluster, condition, not_ready, pod, typed, with, workload};
use crate::state::WorkloadKind;
use serde_json::{Value, json};

#[test]
fn deployments_have_the_replicas_that_they_want() {
    let away = |seconds: u64| {
        let condition = json!({"type": "Available", "status": "False", "lastTransitionTime": ago(seconds)});
        json!({"availableReplicas": 1, "conditions": [condition]})
    };
    let stuck = json!({"availableReplicas": 2, "conditions": [condition("Progressing", "False")]});
    let table: [(&str, Value, Value, &[&str]); 6] = [
        ("complete", json!(2), json!({"availableReplicas": 2}), &[]),
        ("asks for none", json!(0), json!({}), &[]),
        (
            "asks for one",
            json!(null),
            json!({}),
            &["error Deployment demo/web: Unavailable"],
        ),
        (
            "for long",
            json!(2),
            away(400),
            &["error Deployment demo/web: Unavailable"],
        ),
        (
            "for a moment",
            json!(2),
            away(20),
            &["info Deployment demo/web: Unavailable settling"],
        ),
        (
            "roll-out",
            json!(2),
            stuck,
            &["warning Deployment demo/web: RolloutStuck"],
        ),
    ];
    for (case, replicas, status, expected) in table {
        let web = workload("web", json!({"replicas": replicas}), status);
        assert_eq!(
            cluster()
                .workload(WorkloadKind::Deployment, web)
                .verdicts(json!({})),
            expected,
            "{case}"
        );
    }
}

#[test]
fn the_other_workloads_have_them_too() {
    let (set, daemons) = (WorkloadKind::StatefulSet, WorkloadKind::DaemonSet);
    let lacks = |kind: WorkloadKind| vec![format!("error {kind} demo/db: Unavailable")];
    let table = [
        (set, json!({"readyReplicas": 2, "availableReplicas": 2}), vec![]),
        (
            set,
            json!({"readyReplicas": 2, "availableReplicas": 1}),
            lacks(set),
        ),
        (
            daemons,
            json!({"desiredNumberScheduled": 3, "numberAvailable": 3}),
            vec![],
        ),
        (
            daemons,
            json!({"desiredNumberScheduled": 3, "numberAvailable": 2}),
            lacks(daemons),
        ),
    ];
    for (kind, status, expected) in table {
        let db = workload("db", json!({"replicas": 2}), status.clone());
        assert_eq!(
            cluster().workload(kind, db).verdicts(json!({})),
            expected,
            "{kind} {status}"
        );
    }
}

#[test]
fn a_workload_that_was_just_made_is_given_its_time() {
    let young = json!({"metadata": {"creationTimestamp": ago(20)}});
    let db = with(
        workload("db", json!({"replicas": 2}), json!({"readyReplicas": 0})),
        young,
    );
    let seen = cluster().workload(WorkloadKind::StatefulSet, db);
    assert_eq!(
        seen.verdicts(json!({})),
        ["info StatefulSet demo/db: Unavailable x2 settling"]
    );
}

/// One trouble is reported once; and a crashing pod must not become two troubles and one again as it starts and ends.
#[test]
fn reports_a_missing_replica_once() {
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
            "error Deployment demo/web: Unavailable x2",
            "error Pod demo/Deployment/web: NotReady"
        ]
    );
    // Also where the pod's trouble is not to be reported.
    assert!(seen(1).verdicts(json!({"ignore": [{"kind": "Pod"}]})).is_empty());
    // On its way out, its successor is not there yet.
    let leaving = with(pod("web-1"), json!({"metadata": {"deletionTimestamp": ago(5)}}));
    let leaving = cluster().workload(WorkloadKind::Deployment, web(1)).pod(leaving);
    assert!(leaving.verdicts(json!({})).is_empty());
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
    for kind in ["deployments", "daemonsets"] {
        seen.unread = [(kind.to_owned(), "refused".to_owned())].into();
        assert_eq!(
            seen.verdicts(json!({})),
            [format!("error Api {kind}: CannotBeRead")]
        );
    }
}

/// By a `HelmChartConfig`, Traefik is often made one.
#[test]
fn what_k3s_brings_may_be_a_daemon_set() {
    let mut seen = cluster();
    seen.charts.push(typed(
        json!({"metadata": {"name": "traefik", "namespace": "kube-system"}}),
    ));
    let status = json!({"desiredNumberScheduled": 2, "numberAvailable": 2});
    let traefik = with(
        workload("traefik", json!({}), status),
        json!({"metadata": {"namespace": "kube-system"}}),
    );
    let seen = seen.workload(WorkloadKind::DaemonSet, traefik);
    assert!(seen.verdicts(json!({})).is_empty());
}
