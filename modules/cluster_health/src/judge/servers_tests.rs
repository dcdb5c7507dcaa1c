use super::*;
use crate::params::Params;
use crate::samples::{ago, bare, conditions, controller, params, with};
use crate::servers::samples::{apis, servers};
use serde_json::{Value, json};

/// A cluster with three servers, each with its Node.
fn seen() -> Seen {
    let mut seen = (1..=3).fold(bare(), |seen, number| {
        let etcd = json!({"metadata": {"labels": {"node-role.kubernetes.io/etcd": "true"}}});
        seen.node(with(controller(&format!("n{number}")), etcd))
    });
    seen.servers = Some(apis(3));
    seen
}

fn verdicts(seen: &Seen, etcd: &Value, more: Value) -> Vec<String> {
    let servers: Vec<Value> = servers(3)
        .into_iter()
        .map(|server| with(server, json!({"etcd": etcd})))
        .collect();
    seen.verdicts(with(json!({"servers": servers}), more))
}

#[test]
fn healthy_servers_add_no_verdict() {
    assert_eq!(verdicts(&seen(), &json!({}), json!({})), [""; 0]);
}

#[test]
fn problems_of_servers_and_cluster_are_in_one_list() {
    let cordoned = with(controller("n4"), json!({"spec": {"unschedulable": true}}));
    let seen = seen().node(cordoned);
    let alarm = json!({"alarms": [{"id": "2", "member": "n2-00000002", "alarm": "NOSPACE"}]});
    assert_eq!(
        verdicts(&seen, &alarm, json!({})),
        ["error Etcd n2-00000002: Alarm", "warning Node n4: Cordoned"]
    );
    assert_eq!(
        verdicts(&seen, &alarm, json!({"scope": "servers"})),
        ["error Etcd n2-00000002: Alarm"]
    );
}

#[test]
fn etcd_is_judged_by_its_own_answer_and_not_by_conditions() {
    let condition = json!([
        {"type": "Ready", "status": "True"},
        {"type": "EtcdIsVoter", "status": "False", "reason": "MemberIsLearner", "lastTransitionTime": ago(900)},
    ]);
    let etcd = json!({"metadata": {"labels": {"node-role.kubernetes.io/etcd": "true"}}});
    let mut seen = seen();
    seen.nodes.clear();
    let seen = seen.node(conditions(with(controller("n1"), etcd), condition));
    assert_eq!(seen.verdicts(json!({})), ["error Etcd n1: NotVoter"]);
    assert_eq!(
        verdicts(&seen, &json!({"stale": {"nodes_behind": ["n1"]}}), json!({})),
        ["warning Etcd n1: ConditionBehind"]
    );
}

#[test]
fn a_problem_that_both_find_is_reported_once() {
    let mut seen = seen();
    let other = json!({"status": {"nodeInfo": {"kubeletVersion": "v1.31.5+k3s1"}}});
    seen.nodes.pop();
    let mut seen = seen.node(with(controller("n3"), other));
    if let Some(apis) = &mut seen.servers {
        apis.servers.get_mut("c3").unwrap().version = Some("v1.31.5+k3s1".to_owned());
        apis.servers.remove("c2");
    }
    let options = json!({"expect_nodes": ["n2"], "unanswered": ["c1", "c9"]});
    seen.nodes.retain(|node| node.name != "n2");
    assert_eq!(
        verdicts(&seen, &json!({}), options),
        [
            "error Api c9: Unanswered",
            "error Node n2: Missing",
            "error Cluster versions: MixedVersions",
        ]
    );
}

#[test]
fn what_servers_report_differently_is_one_verdict_with_both_messages() {
    let mut servers = servers(3);
    for (server, why) in servers.iter_mut().zip(["refused", "too slow", "refused"]) {
        server["etcd"]["members"][1]["trouble"] = json!(why);
    }
    let verdicts = seen().judged(json!({"servers": servers})).verdicts;
    assert_eq!(verdicts.len(), 1, "{verdicts:?}");
    assert_eq!(verdicts[0].count, 1);
    assert_eq!(
        verdicts[0].message,
        "n2-00000002 is not healthy: refused (as c1, c3 sees it); n2-00000002 is not healthy: too slow (as c2 sees it)"
    );
}

#[test]
fn a_problem_of_the_servers_can_be_ignored_and_be_in_the_baseline() {
    let alarm = json!({"alarms": [{"id": "2", "member": "n2-00000002", "alarm": "NOSPACE"}]});
    let ignore = json!({"ignore": [{"kind": "Etcd", "reason": "Alarm"}]});
    assert_eq!(verdicts(&seen(), &alarm, ignore), [""; 0]);
    let servers: Vec<Value> = servers(3)
        .into_iter()
        .map(|server| with(server, json!({"etcd": alarm})))
        .collect();
    let before = seen().judged(json!({"servers": servers}));
    assert!(!before.is_healthy());
    let options = json!({"servers": servers, "baseline": {"verdicts": before.verdicts}});
    assert!(seen().judged(options).is_healthy());
}

#[test]
fn nothing_is_judged_without_the_servers_answers() {
    let none: Params = params(json!({}));
    assert_eq!(judge(&none, &seen()), []);
    assert!(!has_asked_etcd(&none) && !includes(&none, "c1"));
}
