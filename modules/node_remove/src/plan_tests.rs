use super::*;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// 2026-01-01T00:00:00Z
const NOW: Duration = Duration::from_hours(490_896);

fn params(more: Value) -> Params {
    let mut all = json!({"vmid": 101, "node": "n2"});
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn node(ready: &str, etcd: Option<&str>) -> Value {
    let annotations = etcd.map(|name| json!({"etcd.k3s.cattle.io/node-name": name}));
    json!({
        "metadata": {"name": "n2", "uid": "u2", "annotations": annotations},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    })
}

fn state(node: Value, renewed: &str) -> State {
    State {
        node: serde_json::from_value(node).unwrap(),
        lease: serde_json::from_value(json!({"spec": {"renewTime": renewed}})).unwrap(),
        pods: Vec::new(),
        password: true,
        now: SystemTime::UNIX_EPOCH + NOW,
    }
}

fn gone() -> State {
    state(node("Unknown", None), "2025-12-31T23:00:00.000000Z")
}

fn steps(params: &Params, state: &State) -> Vec<String> {
    plan(params, state)
        .unwrap()
        .steps
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn refused(params: &Params, state: &State) -> String {
    plan(params, state).unwrap_err().to_string()
}

const DELETE: &str = "delete the node n2, and wait until it is gone";
const FORGET: &str = "forget the password of the node n2";

#[test]
fn a_node_that_is_gone_is_deleted_and_then_its_password() {
    assert_eq!(steps(&params(json!({})), &gone()), [DELETE, FORGET]);
    let without_password = State {
        password: false,
        ..gone()
    };
    assert_eq!(steps(&params(json!({})), &without_password), [DELETE]);
    let without_node = State { node: None, ..gone() };
    assert_eq!(steps(&params(json!({})), &without_node), [FORGET]);
    let nothing = State {
        password: false,
        ..without_node
    };
    assert_eq!(steps(&params(json!({})), &nothing), [""; 0]);
}

#[test]
fn a_living_kubelet_is_never_deleted() {
    let cases = [
        (
            "True",
            "2025-12-31T23:59:50.000000Z",
            "renewed its Lease 10 s ago",
        ),
        (
            "False",
            "2025-12-31T23:59:59.000000Z",
            "renewed its Lease 1 s ago",
        ),
        // The cluster has not noticed yet, or the clock of that machine is behind.
        ("True", "2025-12-31T23:00:00.000000Z", "Ready is True"),
        ("False", "2025-12-31T23:00:00.000000Z", "Ready is False"),
        // A clock that is ahead.
        (
            "Unknown",
            "2026-01-01T00:10:00.000000Z",
            "renewed its Lease 0 s ago",
        ),
    ];
    for (ready, renewed, words) in cases {
        let error = refused(
            &params(json!({"with_pods": true})),
            &state(node(ready, None), renewed),
        );
        assert!(error.contains("(alive)") && error.contains(words), "{error}");
    }
    let just_old_enough = state(node("Unknown", None), "2025-12-31T23:59:45.000000Z");
    assert_eq!(just_old_enough.alive(), None);
    let too_young = state(node("Unknown", None), "2025-12-31T23:59:46.000000Z");
    assert_eq!(
        too_young.alive().as_deref(),
        Some("it renewed its Lease 14 s ago")
    );
    let without_lease = State {
        lease: None,
        ..gone()
    };
    assert_eq!(steps(&params(json!({})), &without_lease), [DELETE, FORGET]);
    let new = State {
        node: serde_json::from_value(json!({"metadata": {"name": "n2", "uid": "u2"}})).unwrap(),
        ..gone()
    };
    assert_eq!(steps(&params(json!({})), &new), [DELETE, FORGET]);
}

#[test]
fn a_member_of_etcd_is_removed_first() {
    let server = state(
        node("Unknown", Some("n2-267291fd")),
        "2025-12-31T23:00:00.000000Z",
    );
    let error = refused(&params(json!({})), &server);
    assert!(error.contains("(members_unknown)"), "{error}");
    let member = |name: Value, node: Value| json!({"members": [{"id": "a1", "name": name, "node": node, "healthy": false}]});
    for own in [
        member(json!("n2-267291fd"), Value::Null),
        member(Value::Null, json!("n2")),
    ] {
        let error = refused(&params(own), &server);
        assert!(error.contains("(member)") && error.contains("(a1)"), "{error}");
    }
    for others in [
        json!({"members": []}),
        member(json!("n1-2f39e6eb"), json!("n1")),
        member(Value::Null, Value::Null),
    ] {
        assert_eq!(steps(&params(others), &server), [DELETE, FORGET]);
    }
}

#[test]
fn an_etcd_server_is_known_by_its_label_too() {
    let mut labelled = node("Unknown", None);
    labelled["metadata"]["labels"] = json!({"node-role.kubernetes.io/etcd": "true"});
    let error = refused(
        &params(json!({})),
        &state(labelled, "2025-12-31T23:00:00.000000Z"),
    );
    assert!(error.contains("(members_unknown)"), "{error}");
}

#[test]
fn pods_of_its_own_are_named_and_not_forgotten_unasked() {
    let pod = |name: &str, more: Value| {
        let mut pod =
            json!({"metadata": {"namespace": "demo", "name": name}, "status": {"phase": "Running"}});
        pod.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(pod).unwrap()
    };
    let mut pods = vec![
        pod("done", json!({"status": {"phase": "Succeeded"}})),
        pod(
            "static",
            json!({"metadata": {"name": "static", "annotations": {"kubernetes.io/config.mirror": "x"}}}),
        ),
        pod(
            "svclb",
            json!({"metadata": {"name": "svclb", "ownerReferences": [{"kind": "DaemonSet", "name": "svclb", "controller": true}]}}),
        ),
    ];
    let bare = State {
        pods: pods.clone(),
        ..gone()
    };
    assert_eq!(steps(&params(json!({})), &bare), [DELETE, FORGET]);
    pods.extend((0..12).map(|n| pod(&format!("web-{n}"), json!({}))));
    let full = State { pods, ..gone() };
    let error = refused(&params(json!({})), &full);
    assert!(
        error.contains("(pods)") && error.contains("demo/web-0, ") && error.contains("and 2 more"),
        "{error}"
    );
    assert_eq!(
        steps(&params(json!({"with_pods": true})), &full),
        [DELETE, FORGET]
    );
}

#[test]
fn rejects_invalid_options() {
    let read = |more: Value| serde_json::from_value::<Params>(more).unwrap_err().to_string();
    for name in ["", "N2", "n2/x", "n2?y", "../x"] {
        assert!(read(json!({"node": name})).starts_with("node: "), "{name}");
    }
    assert!(read(json!({"node": "n2", "kubectl": []})).starts_with("kubectl: "));
    // A list of members that are none must not pass for one that lacks the node's.
    for member in [
        json!("n1"),
        json!(["1", "n1", "n1"]),
        json!({"name": "n1"}),
        json!({}),
    ] {
        let error = read(json!({"node": "n2", "members": [member]}));
        assert!(error.starts_with("members: number 1: "), "{error}");
    }
}

#[test]
fn another_module_in_the_same_container_is_waited_for() {
    use ansible_module::Module;
    let target = crate::NodeRemove::target(&params(json!({"lock_timeout": 7})));
    assert_eq!((target.vmid, target.lock_timeout), (Some(101), Some(7)));
}

#[test]
fn nodes_of_other_versions() {
    let nodes_of = |list: &str| -> Vec<String> {
        let nodes: cluster::List<Node> = serde_json::from_str(&testbed::recorded(list)).unwrap();
        let described = |node: &Node| {
            let name = &node.name;
            let kind = if is_etcd_server(node) { "server" } else { "other" };
            format!(
                "{name}: {kind} {} {}",
                node.etcd_member().unwrap_or("-"),
                crate::state::ready(node).unwrap_or("-")
            )
        };
        nodes.items.iter().map(described).collect()
    };
    assert_eq!(
        nodes_of("k3s-v1.36.3-nodes.json"),
        [
            "k3s-controller-1: server k3s-controller-1-a010bcec True",
            "k3s-controller-2: server k3s-controller-2-2c679fcb True",
            "k3s-controller-3: server k3s-controller-3-51d75a9c True",
            "k3s-worker-1: other - True",
        ]
    );
    assert_eq!(
        nodes_of("by-hand-k3s-v1.36-nodes.json"),
        [
            "n1: server n1-00000001 True",
            "n2: server n2-00000002 True",
            "n3: server n3-00000003 True",
            "n4: other - Unknown",
        ]
    );
}

#[test]
fn pods_of_a_newer_server_that_would_be_forgotten() {
    let pods: cluster::List<cluster::Pod> =
        serde_json::from_str(&testbed::recorded("by-hand-k3s-v1.36-pods.json")).unwrap();
    let state = State {
        pods: pods.items,
        ..gone()
    };
    let names: Vec<String> = state.own_pods();
    let names: Vec<&str> = names
        .iter()
        .filter_map(|name| name.split(['/', '-']).nth(1))
        .collect();
    // Neither the static one nor that which has ended.
    assert_eq!(
        names,
        [
            "meshed", "pulling", "mounting", "waiting", "debugged", "gated", "leaving", "working"
        ]
    );
}
