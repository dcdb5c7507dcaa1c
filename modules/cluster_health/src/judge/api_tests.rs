use crate::samples::{ago, bare, cluster, condition, conditions, controller, node, with};
use crate::state::{Check, Etcd, Service};
use serde_json::{Value, json};

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
fn reports_a_server_that_is_down_with_its_service() {
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
fn reports_controllers_that_did_not_answer() {
    let seen = bare().node(controller("n1"));
    assert_eq!(
        seen.verdicts(json!({"unanswered": ["k3s-controller-2"]})),
        ["error Api k3s-controller-2: Unanswered"]
    );
}

#[test]
fn members_of_etcd_vote() {
    let with_etcd = |name: &str, conditions_of_etcd: Value| {
        let labels =
            json!({"node-role.kubernetes.io/etcd": "true", "node-role.kubernetes.io/control-plane": "true"});
        with(
            conditions(node(name), conditions_of_etcd),
            json!({"metadata": {"labels": labels}}),
        )
    };
    let ready = || condition("Ready", "True");
    let voter = |status: &str| json!([ready(), condition("EtcdIsVoter", status)]);
    let seen = bare()
        .node(with_etcd("n1", voter("True")))
        .node(with_etcd("n2", voter("False")));
    assert_eq!(seen.verdicts(json!({})), ["error Etcd n2: NotVoter"]);
    let unhealthy = json!([ready(), {"type": "EtcdIsVoter", "status": "False", "reason": "Unhealthy", "message": "Node is unhealthy"}]);
    let seen = bare().node(with_etcd("n1", unhealthy));
    assert_eq!(seen.verdicts(json!({})), ["error Etcd n1: Unhealthy"]);
    // One that has just joined, or was restored, is given its time.
    let joining = json!([ready(), {"type": "EtcdIsVoter", "status": "False", "reason": "NotAMember", "lastTransitionTime": ago(60)}]);
    let seen = bare().node(with_etcd("n1", joining));
    assert_eq!(seen.verdicts(json!({})), ["info Etcd n1: NotVoter settling"]);
    assert_eq!(
        seen.verdicts(json!({"not_ready_limit": 30})),
        ["error Etcd n1: NotVoter"]
    );
    // Where a Node does not say it yet, the member that was asked speaks for itself.
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
