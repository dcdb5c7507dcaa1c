//! The parsers on what was recorded, or written by hand after a modern server.

use super::*;
use cluster::{Claim, List, Node, PersistentVolume, Pod, pinned};

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../tests/recorded/", $name))
    };
}

fn list<T: serde::de::DeserializeOwned>(text: &str) -> Vec<T> {
    serde_json::from_str::<List<T>>(text).unwrap().items
}

fn list_of<T: serde::de::DeserializeOwned>(name: &str) -> Vec<T> {
    list(&testbed::recorded(name))
}

fn nodes() -> (Node, Vec<Node>) {
    let nodes: Vec<Node> = list(recorded!("standin-v1.31.4-nodes-n2-cordoned.json"));
    let (mut n2, others): (Vec<Node>, Vec<Node>) = nodes.into_iter().partition(|node| node.name == "n2");
    (n2.remove(0), others)
}

#[test]
fn a_cordoned_node_with_our_record() {
    let (node, others) = nodes();
    assert!(node.unschedulable && node.is_ready());
    assert_eq!(node.record.as_ref().unwrap().run, "r1");
    let owners: Vec<String> = node.former_owners().iter().map(ToString::to_string).collect();
    assert_eq!(
        owners,
        [
            "StatefulSet demo/db",
            "Deployment demo/scratch",
            "Deployment demo/web"
        ]
    );
    assert!(
        others
            .iter()
            .all(|node| !node.unschedulable && node.record.is_none())
    );
}

#[test]
fn a_node_whose_kubelet_is_gone() {
    let nodes: Vec<Node> = list_of("by-hand-k3s-v1.36-nodes.json");
    let gone = nodes.iter().find(|node| node.name == "n4").unwrap();
    assert_eq!(
        gone.trouble().as_deref(),
        Some("Ready is Unknown (NodeStatusUnknown)")
    );
}

#[test]
fn a_budget_of_a_real_server() {
    let budgets: Vec<Budget> = list_of("k3s-v1.36.3-budgets.json");
    let budget = &budgets[0];
    let headroom = Headroom {
        disruptions_allowed: 0,
        current_healthy: 2,
        desired_healthy: 2,
        expected_pods: 2,
    };
    assert_eq!(
        (budget.namespace.as_str(), budget.name.as_str(), budget.headroom),
        ("default", "vault", headroom)
    );
    let pods: Vec<Pod> = list_of("k3s-v1.36.3-pods.json");
    let kept = pods
        .iter()
        .filter(|pod| budget.selects(&pod.metadata) && budget.keeps(pod));
    let kept: Vec<&str> = kept.map(|pod| pod.metadata.name.as_str()).collect();
    assert_eq!(kept, ["vault-0"]);
}

#[test]
fn pods_their_owners_and_the_budgets_that_select_them() {
    let budgets: Vec<Budget> = list(recorded!("standin-v1.31.4-budgets.json"));
    let pods: Vec<Pod> = list(recorded!("standin-v1.31.4-pods-on-n2.json"));
    let mut seen: Vec<String> = pods
        .iter()
        .map(|pod| {
            let owner = pod.metadata.controller().map_or("", |owner| &owner.kind);
            let selected = budgets.iter().filter(|budget| budget.selects(&pod.metadata));
            let selected: Vec<&str> = selected.map(|budget| budget.name.as_str()).collect();
            let name = pod.metadata.name.split('-').next().unwrap();
            let empty_dir = if pod.has_empty_dir() { " emptyDir" } else { "" };
            format!("{name} {owner} {}{empty_dir}", selected.join(","))
        })
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "db StatefulSet ",
            "ds DaemonSet ",
            "scratch ReplicaSet  emptyDir",
            "svclb DaemonSet ",
            "web ReplicaSet web",
            "web ReplicaSet web"
        ]
    );
    assert!(
        pods.iter()
            .all(|pod| pod.is_ready() && !pod.is_finished() && !pod.is_mirror())
    );
}

#[test]
fn a_local_volume_ties_its_claim_to_the_node_and_a_selector_its_pod() {
    let (node, others) = nodes();
    let claims: Vec<Claim> = list(recorded!("standin-v1.31.4-claims.json"));
    let volumes: Vec<PersistentVolume> = list(recorded!("standin-v1.31.4-volumes.json"));
    let tied = pinned(&claims, &volumes, &node, &others);
    assert_eq!(
        tied.keys().collect::<Vec<_>>(),
        [&("demo".to_owned(), "data-db-0".to_owned())]
    );
    assert!(
        pinned(&claims, &volumes, &others[0], &[node]).is_empty(),
        "it is not a volume of another node"
    );

    let pods: Vec<Pod> = list(recorded!("standin-v1.31.4-pods-on-n2.json"));
    let alone = pods
        .iter()
        .filter(|pod| pod.fits_none_of(&others))
        .map(|pod| pod.metadata.labels["app"].as_str());
    let mut alone: Vec<&str> = alone.collect();
    alone.sort_unstable();
    assert_eq!(alone, ["db", "scratch"]);
}

#[test]
fn a_volume_of_a_zone_is_tied_only_while_the_zone_has_one_node() {
    let node = |name: &str, zone: &str| -> Node {
        serde_json::from_value(serde_json::json!({"metadata": {"name": name, "labels": {"zone": zone}}}))
            .unwrap()
    };
    let volume = serde_json::json!({"metadata": {"name": "pv"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]},
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n9"]}]},
    ]}}}});
    let volume = || vec![serde_json::from_value::<PersistentVolume>(volume.clone()).unwrap()];
    let claim =
        serde_json::json!({"metadata": {"name": "c", "namespace": "x"}, "spec": {"volumeName": "pv"}});
    let claims = vec![serde_json::from_value::<Claim>(claim).unwrap()];
    let tied = |others: &[Node]| pinned(&claims, &volume(), &node("n1", "a"), others).len();
    assert_eq!(tied(&[node("n2", "b")]), 1);
    assert_eq!(tied(&[node("n2", "a")]), 0);
    assert_eq!(tied(&[node("n9", "b")]), 0);
}

#[test]
fn a_budget_keeps_what_it_would_miss() {
    let budgets: Vec<Budget> = list_of("by-hand-k3s-v1.36-budgets.json");
    let budget = |name: &str| budgets.iter().find(|budget| budget.name == name).unwrap();
    let pod = |phase: &str, ready: &str| -> Pod {
        let conditions = serde_json::json!([{"type": "Ready", "status": ready}]);
        let status = serde_json::json!({"phase": phase, "conditions": conditions});
        serde_json::from_value(serde_json::json!({"metadata": {"name": "p"}, "status": status})).unwrap()
    };
    let (ready, unready, pending) = (
        pod("Running", "True"),
        pod("Running", "False"),
        pod("Pending", "False"),
    );
    // (budget; whether it keeps one that is ready, one that is not, one that has not started)
    let table = [
        ("always", [true, false, false]),
        ("if-healthy", [true, true, false]),
        ("enough", [true, false, false]),
        ("first", [false, false, false]),
        ("broken", [true, true, false]),
    ];
    for (name, keeps) in table {
        let budget = budget(name);
        let kept = [&ready, &unready, &pending].map(|pod| budget.keeps(pod));
        assert_eq!(kept, keeps, "{name}: {budget:?}");
    }
}

#[test]
fn pods_of_a_newer_server_and_what_becomes_of_them() {
    use crate::verdict::judge_all;
    let mut state = crate::samples::state(crate::samples::node(false, None), &[]);
    state.pods = list_of("by-hand-k3s-v1.36-pods.json");
    let params = crate::samples::params(serde_json::json!({"force": true}));
    let verdicts: Vec<String> = judge_all(&params.rules, &state)
        .iter()
        .map(|(pod, verdict)| {
            format!(
                "{}: {verdict}",
                pod.metadata.name.split('-').next().unwrap_or_default()
            )
        })
        .collect();
    let moves = "its controller starts another one elsewhere";
    assert_eq!(
        verdicts,
        [
            format!("debugged: {moves}"),
            "done: it has finished".to_owned(),
            "gated: it has no controller, so nothing starts it again".to_owned(),
            "leaving: it is terminating already".to_owned(),
            format!("meshed: {moves}"),
            format!("mounting: {moves}"),
            format!("pulling: {moves}"),
            "static: a static pod: the kubelet runs it from a file".to_owned(),
            format!("waiting: {moves}"),
            format!("working: {moves}"),
        ]
    );
}
