use super::*;
use serde_json::{Value, json};

/// A node with 2 processors and 4 GiB.
fn node(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"},
        },
    })
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (above, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(above).unwrap()[key] = value;
    object
}

/// A ready pod of the workload `app`, which asks for so many processors.
fn pod(app: &str, on: &str, cpu: &str) -> Value {
    let name = format!("{app}-{on}");
    json!({
        "metadata": {
            "name": name, "namespace": "demo", "uid": name, "labels": {"app": app},
            "ownerReferences": [{"kind": "ReplicaSet", "name": app, "controller": true}],
        },
        "spec": {"nodeName": on, "containers": [{"resources": {"requests": {"cpu": cpu}}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// A pod that asks for its node by name, as one with a local volume does.
fn tied(app: &str, on: &str) -> Value {
    with(
        pod(app, on, "0"),
        "/spec/nodeSelector",
        json!({"kubernetes.io/hostname": on}),
    )
}

fn alone(app: &str, on: &str) -> Value {
    let term =
        json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"});
    let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]});
    with(
        pod(app, on, "0"),
        "/spec/affinity",
        json!({"podAntiAffinity": required}),
    )
}

fn budget(app: &str, allowed: i64) -> Value {
    json!({
        "metadata": {"name": app, "namespace": "demo"},
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 3, "desiredHealthy": 3 - allowed, "expectedPods": 3},
    })
}

fn survey(nodes: Vec<Value>, pods: Vec<Value>, budgets: Vec<Value>) -> Survey {
    Survey {
        nodes: serde_json::from_value(nodes.into()).unwrap(),
        pods: serde_json::from_value(pods.into()).unwrap(),
        budgets: serde_json::from_value(budgets.into()).unwrap(),
        ..Survey::default()
    }
}

/// What keeps w1 and w2 of four workers from being out at once.
fn obstacle(pods: Vec<Value>, budgets: Vec<Value>) -> Option<String> {
    let nodes = ["w1", "w2", "w3", "w4"].map(node).to_vec();
    let survey = survey(nodes, pods, budgets);
    Together::new(&survey).obstacle(&["w1", "w2"])
}

#[test]
fn nodes_whose_pods_find_room_are_out_together() {
    let pods = vec![
        pod("web", "w1", "1500m"),
        pod("web", "w2", "1500m"),
        pod("web", "w3", "500m"),
    ];
    assert_eq!(obstacle(pods, vec![]), None);
    assert_eq!(obstacle(vec![], vec![]), None);
}

#[test]
fn one_node_alone_is_never_held_back() {
    let pods = vec![pod("web", "w1", "64"), tied("db", "w1"), alone("vault", "w1")];
    let survey = survey(vec![node("w1")], pods, vec![budget("db", 0)]);
    let together = Together::new(&survey);
    assert_eq!(together.obstacle(&["w1"]), None);
    assert_eq!(together.obstacle(&[]), None);
}

#[test]
fn refuses_a_pod_without_room_with_the_numbers() {
    let pods = vec![
        pod("web", "w1", "1500m"),
        pod("api", "w2", "1"),
        pod("old", "w3", "1200m"),
        pod("older", "w4", "400m"),
    ];
    assert_eq!(
        obstacle(pods, vec![]).unwrap(),
        "no other node has room for demo/api-w2 of w2: w3 lacks 1 of cpu, 800m left; w4 lacks 1 of cpu, 100m left"
    );
}

#[test]
fn only_nodes_that_take_pods_are_room() {
    let pods = || vec![pod("web", "w1", "1500m"), pod("api", "w2", "1500m")];
    let three = |third: Value| {
        let survey = survey(vec![node("w1"), node("w2"), third, node("w4")], pods(), vec![]);
        Together::new(&survey).obstacle(&["w1", "w2"])
    };
    assert_eq!(three(node("w3")), None);
    let cordoned = json!({"unschedulable": true});
    let tainted = json!({"taints": [{"key": "k", "effect": "NoSchedule"}]});
    for spec in [cordoned, tainted] {
        let found = three(with(node("w3"), "/spec", spec.clone())).unwrap();
        assert!(
            found.starts_with("no other node has room for demo/"),
            "{spec}: {found}"
        );
    }
    let dead = with(
        node("w3"),
        "/status/conditions",
        json!([{"type": "Ready", "status": "Unknown"}]),
    );
    assert!(three(dead).is_some());
}

#[test]
fn what_runs_there_already_takes_room_and_what_has_finished_does_not() {
    let filled = |phase: &str| {
        let full = |on: &str| with(pod("full", on, "2"), "/status/phase", json!(phase));
        obstacle(
            vec![
                full("w3"),
                full("w4"),
                pod("web", "w1", "100m"),
                pod("web", "w2", "100m"),
                pod("web", "w3", "0"),
            ],
            vec![],
        )
    };
    assert!(
        filled("Running")
            .unwrap()
            .contains("w3 lacks 100m of cpu, 0 left")
    );
    assert_eq!(filled("Succeeded"), None);
}

#[test]
fn a_pod_that_could_move_must_have_another_node_left() {
    let either = |on: &str| {
        let term = json!({"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["w1", "w2"]}]});
        let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}});
        with(pod("db", on, "0"), "/spec/affinity", affinity)
    };
    let found = obstacle(vec![either("w1")], vec![]).unwrap();
    assert_eq!(found, "demo/db-w1 of w1 can run on none of the other nodes");
}

#[test]
fn never_all_ready_replicas_of_a_workload_without_a_budget() {
    let both = || vec![pod("web", "w1", "0"), pod("web", "w2", "0")];
    let found = obstacle(both(), vec![]).unwrap();
    assert_eq!(
        found,
        "demo/web-w1 and its replicas run on w1 and w2 only, and no budget keeps one of them"
    );
    // A budget keeps one of them, and so does a third replica, if it is ready.
    assert_eq!(obstacle(both(), vec![budget("web", 1)]), None);
    assert!(obstacle(both(), vec![budget("other", 1)]).is_some());
    let third = |ready: &str| {
        let third = with(
            pod("web", "w3", "0"),
            "/status/conditions",
            json!([{"type": "Ready", "status": ready}]),
        );
        obstacle([both(), vec![third]].concat(), vec![])
    };
    assert_eq!(third("True"), None);
    assert!(third("False").is_some());
    let leaving = with(
        pod("web", "w3", "0"),
        "/metadata/deletionTimestamp",
        json!("2026-01-01T00:00:00Z"),
    );
    assert!(obstacle([both(), vec![leaving]].concat(), vec![]).is_some());
    // Two replicas on one node go together whatever the batch.
    let twin = with(pod("web", "w1", "0"), "/metadata/uid", json!("twin"));
    assert_eq!(obstacle(vec![pod("web", "w1", "0"), twin], vec![]), None);
    // The same name in another namespace is another workload.
    let other = with(pod("web", "w2", "0"), "/metadata/namespace", json!("other"));
    assert_eq!(obstacle(vec![pod("web", "w1", "0"), other], vec![]), None);
}

#[test]
fn a_daemon_set_is_its_nodes_own() {
    let daemon = |on: &str| {
        with(
            pod("agent", on, "2"),
            "/metadata/ownerReferences/0/kind",
            json!("DaemonSet"),
        )
    };
    assert_eq!(obstacle(["w1", "w2"].map(daemon).to_vec(), vec![]), None);
}

#[test]
fn replicas_that_can_run_on_these_nodes_only_go_one_by_one() {
    let three = || ["w1", "w2", "w3"].map(|on| tied("db", on)).to_vec();
    assert_eq!(
        obstacle(three(), vec![]).unwrap(),
        "demo/db-w1 and replicas beside it can run on w1 and w2 only"
    );
    // The eviction of the second would wait for the first, whose node is out.
    assert_eq!(
        obstacle(three(), vec![budget("db", 1)]).unwrap(),
        "budget demo/db allows 1 disruptions, and 2 of its pods can run on w1 and w2 only"
    );
    assert_eq!(obstacle(three(), vec![budget("db", 2)]), None);
    // One of them alone waits for its node, as with one node at a time.
    assert_eq!(
        obstacle(vec![tied("db", "w1"), tied("cache", "w2")], vec![]),
        None
    );
}

#[test]
fn a_volume_ties_its_pod_to_the_nodes_that_reach_it() {
    let on = |node: &str| {
        with(
            pod("db", node, "0"),
            "/spec/volumes",
            json!([{"persistentVolumeClaim": {"claimName": node}}]),
        )
    };
    let mut survey = survey(
        ["w1", "w2", "w3"].map(node).to_vec(),
        ["w1", "w2", "w3"].map(on).to_vec(),
        vec![],
    );
    assert_eq!(Together::new(&survey).obstacle(&["w1", "w2"]), None);
    let claim =
        |name: &str| json!({"metadata": {"name": name, "namespace": "demo"}, "spec": {"volumeName": name}});
    let volume = |name: &str| {
        let term = json!({"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]});
        json!({"metadata": {"name": name}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}})
    };
    survey.claims = serde_json::from_value(["w1", "w2", "w3"].map(claim).to_vec().into()).unwrap();
    survey.volumes = serde_json::from_value(["w1", "w2", "w3"].map(volume).to_vec().into()).unwrap();
    let found = Together::new(&survey).obstacle(&["w1", "w2"]).unwrap();
    assert!(found.ends_with("can run on w1 and w2 only"), "{found}");
}

#[test]
fn replicas_that_must_be_apart_need_a_node_each() {
    let three = vec![alone("vault", "w1"), alone("vault", "w2"), alone("vault", "w3")];
    let found = obstacle(three.clone(), vec![budget("vault", 1)]).unwrap();
    assert!(
        found.starts_with("no other node has room for demo/vault-w2 of w2: w3 has demo/vault-w3, which it must not be beside; w4 has demo/vault-w1"),
        "{found}"
    );
    // With one more node there is one for each.
    let nodes = ["w1", "w2", "w3", "w4", "w5"].map(node).to_vec();
    let survey = survey(nodes, three, vec![budget("vault", 1)]);
    assert_eq!(Together::new(&survey).obstacle(&["w1", "w2"]), None);
}
