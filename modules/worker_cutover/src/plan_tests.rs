use super::*;
use crate::report::report;
use crate::samples::{
    add_local_volume, add_workload, cluster, cordoned, node, owned_by, params, pod, server, state, with,
    with_claim,
};
use serde_json::{Value, json};

fn refused(more: Value, state: &State) -> String {
    plan(&params(more), state).unwrap_err().to_string()
}

/// The rules that refuse, in order.
fn rules(more: Value, state: &State) -> Vec<&'static str> {
    let params = params(more);
    let refusals = refusals(&params, state, &plan_moves(&params, state));
    assert_eq!(refusals.is_empty(), plan(&params, state).is_ok());
    refusals.iter().map(|refusal| refusal.rule).collect()
}

fn report_of(more: Value, state: &State) -> Value {
    serde_json::to_value(report(&params(more), state)).unwrap()
}

fn small(name: &str, app: &str, on: &str) -> Value {
    pod(name, app, on, json!({"cpu": "100m", "memory": "64Mi"}))
}

#[test]
fn a_new_worker_with_room_takes_over() {
    let state = cluster(vec![
        small("a", "web", "w1"),
        small("b", "web", "w2"),
        owned_by(small("d", "ds", "w1"), "DaemonSet"),
    ]);
    assert_eq!(rules(json!({}), &state), [] as [&str; 0]);
    let report_of = report_of(json!({}), &state);
    assert_eq!(
        report_of["moves"],
        json!([{"namespace": "demo", "name": "a", "uid": "a", "to": "w3", "why": ""}])
    );
    assert_eq!(
        report_of["steer"],
        json!(["c1", "w2"]),
        "a controller without a taint takes pods too"
    );
    assert_eq!(report_of["restore"], json!(["c1", "w2"]));
    assert_eq!(
        (&report_of["reopen"], &report_of["done"]),
        (&json!([]), &json!(false))
    );
    let text: Vec<String> = serde_json::from_value(report_of["text"].clone()).unwrap();
    assert_eq!(
        text,
        [
            "w1 is drained, and w3 takes over",
            "c1, w2: cordoned meanwhile, so that pods go there only",
            "room on w3 for 1 pod: demo/a",
            "asked of w3: processors 100m of 2 left, memory 64 MiB of 4096 MiB left, pods 1 of 10 left",
        ]
    );
}

fn pair(old: Value, new: Value) -> State {
    state(vec![server("c1"), old, new, node("w2")], Vec::new())
}

#[test]
fn what_the_two_nodes_have_to_be() {
    let (old, new) = (|| node("w1"), || node("w3"));
    let closed_for = |purpose: &str| cordoned(new(), Some(json!({"run": "r0", "purpose": purpose})));
    let running = |version: &str| with(new(), "/status/nodeInfo/kubeletVersion", json!(version));
    let silent = with(new(), "/status/conditions/0/status", json!("Unknown"));
    let table: [(State, &[&str]); 13] = [
        (pair(old(), new()), &[]),
        (pair(node("w9"), new()), &["unknown_node"]),
        (pair(old(), node("w9")), &["unknown_node"]),
        (pair(node("w8"), node("w9")), &["unknown_node", "unknown_node"]),
        (pair(server("w1"), new()), &["server"]),
        (pair(old(), server("w3")), &["server"]),
        (pair(old(), silent), &["not_ready"]),
        (pair(old(), cordoned(new(), None)), &["cordoned"]),
        (pair(old(), closed_for("turn")), &["cordoned"]),
        (pair(old(), closed_for("retire")), &["cordoned"]),
        (pair(old(), closed_for("steer")), &[]),
        (pair(old(), running("v1.31.5+k3s1")), &["newer"]),
        (pair(old(), running("v1.30.9+k3s1")), &[]),
    ];
    for (number, (state, expected)) in table.iter().enumerate() {
        assert_eq!(rules(json!({}), state), *expected, "row {number}");
    }
}

#[test]
fn an_old_node_that_joined_after_the_new_one_looks_swapped() {
    let joined = |time: &str| {
        pair(
            with(node("w1"), "/metadata/creationTimestamp", json!(time)),
            node("w3"),
        )
    };
    let minute_after = joined("2025-12-01T00:01:00Z");
    assert_eq!(rules(json!({}), &minute_after), [] as [&str; 0]);
    let table = [
        ("2025-12-01T00:01:01Z", "1 min"),
        ("2025-12-01T01:59:00Z", "119 min"),
        ("2025-12-02T12:00:00Z", "36 h"),
        ("2025-12-31T00:00:00Z", "30 days"),
    ];
    for (time, later) in table {
        let said = refused(json!({}), &joined(time));
        let words = format!(
            "w1, which is to be the old one, joined {later} after w3: they seem to be swapped (younger)"
        );
        assert!(said.contains(&words), "{said}");
        assert!(
            said.starts_with("the cutover from w1 to w3 is refused, nothing was touched. "),
            "{said}"
        );
    }
    let accepted = json!({"accept": ["younger"]});
    assert_eq!(rules(accepted, &joined("2025-12-31T00:00:00Z")), [] as [&str; 0]);
}

#[test]
fn a_node_that_was_not_heard_of_is_not_trusted() {
    let mut state = cluster(Vec::new());
    let long_ago = "2026-01-01T11:59:39.000000Z".to_owned();
    state.leases.get_mut("w3").unwrap().renewed = Some(long_ago.try_into().unwrap());
    assert!(
        refused(json!({}), &state)
            .contains("w3 is called Ready, but has not been heard of for 21 s (silent)")
    );
    state.leases.remove("w3");
    assert!(refused(json!({}), &state).contains("has not been heard of ever"));
}

#[test]
fn a_node_that_is_gone_is_accepted_if_it_is_to_be_deleted_and_its_agent_is_stopped() {
    let state = state(vec![server("c1"), node("w3")], Vec::new());
    for missed in [
        json!({}),
        json!({"stop_agent": true, "agent_actions": []}),
        json!({"delete_node": true}),
        json!({"delete_node": true, "stop_agent": true, "agent_actions": ["stop k3s-agent"]}),
    ] {
        assert_eq!(rules(missed, &state), ["unknown_node"]);
    }
    let done = json!({"delete_node": true, "agent_actions": []});
    assert_eq!(rules(done.clone(), &state), [] as [&str; 0]);
    let report_of = report_of(done, &state);
    assert_eq!(
        (&report_of["gone"], &report_of["done"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        report_of["text"],
        json!(["nothing: the cluster has no node w1 any more"])
    );
}

#[test]
fn refuses_to_delete_the_node_of_an_agent_that_keeps_running() {
    let state = cluster(Vec::new());
    let actions = json!(["disable k3s-agent", "stop k3s-agent"]);
    let wanted = |stop: bool, actions: &Value| json!({"delete_node": true, "stop_agent": stop, "agent_actions": actions});
    let said = refused(wanted(false, &actions), &state);
    assert!(
        said.contains("the agent of w1 is not stopped (disable k3s-agent, stop k3s-agent): it would register again (agent_runs): have it stopped too")
            && said.contains("k3s_canary_stop_old_agent=true"),
        "{said}"
    );
    for passes in [
        wanted(true, &actions),
        wanted(false, &json!([])),
        json!({"agent_actions": actions}),
    ] {
        assert_eq!(rules(passes, &state), [] as [&str; 0]);
    }
}

#[test]
fn too_little_room_is_refused_by_the_pod_s_name_and_the_resource() {
    let large = |name: &str, asked: Value| pod(name, name, "w1", asked);
    let table = [
        (json!({"cpu": "3"}), "w3 has no room for it: 3 of cpu, 1500m left"),
        (json!({"memory": "5Gi"}), "5120 MiB of memory, 4096 MiB left"),
        (json!({"example.com/gpu": 1}), "1 of example.com/gpu, 0 left"),
    ];
    for (asked, words) in table {
        let state = cluster(vec![
            large("a", asked.clone()),
            pod("b", "other", "w3", json!({"cpu": "500m"})),
        ]);
        let said = refused(json!({}), &state);
        assert!(
            said.contains("demo/a") && said.contains(words) && said.contains("(too_small)"),
            "{said}"
        );
        assert!(said.contains("k3s_canary_steer=false"), "{said}");
        assert_eq!(rules(json!({"accept": ["too_small"]}), &state), [] as [&str; 0]);
        assert_eq!(
            rules(json!({"accept": ["local_volume", "no_place"]}), &state),
            ["too_small"]
        );
    }
}

#[test]
fn each_pod_fits_alone_and_both_do_not() {
    let half = |name: &str| pod(name, name, "w1", json!({"cpu": "1200m"}));
    let state = cluster(vec![half("a"), half("b")]);
    assert_eq!(rules(json!({}), &state), ["too_small"]);
    // The others help where pods are not steered.
    let report_of = report_of(json!({"steer": false}), &state);
    assert_eq!(report_of["refusals"], json!([]));
    assert_eq!(
        (&report_of["moves"][0]["to"], &report_of["moves"][1]["to"]),
        (&json!("w3"), &json!("c1"))
    );
    assert_eq!(report_of["steer"], json!([]));
}

#[test]
fn pods_are_counted_too() {
    let small_node = with(node("w3"), "/status/allocatable/pods", json!("2"));
    let state = state(
        vec![server("c1"), node("w1"), small_node],
        vec![
            small("a", "a", "w1"),
            small("b", "b", "w1"),
            owned_by(small("d", "ds", "w3"), "DaemonSet"),
        ],
    );
    let said = refused(json!({}), &state);
    assert!(said.contains("1 of pods, 0 left"), "{said}");
}

#[test]
fn what_a_pod_asks_of_its_node_is_asked_of_the_new_one() {
    let tainted = with(
        node("w3"),
        "/spec/taints",
        json!([{"key": "os", "value": "new", "effect": "NoSchedule"}]),
    );
    let preferred = with(
        node("w3"),
        "/spec/taints",
        json!([{"key": "os", "effect": "PreferNoSchedule"}]),
    );
    let tolerating = with(
        small("a", "web", "w1"),
        "/spec/tolerations",
        json!([{"key": "os", "operator": "Exists"}]),
    );
    let choosy = with(
        small("a", "web", "w1"),
        "/spec/nodeSelector",
        json!({"kubernetes.io/hostname": "w1"}),
    );
    let term = json!([{"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}]);
    let affine = with(
        small("a", "web", "w1"),
        "/spec/affinity",
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": term}}}),
    );
    let table = [
        (
            tainted.clone(),
            small("a", "web", "w1"),
            "it does not tolerate os=new:NoSchedule of w3",
        ),
        (tainted, tolerating, ""),
        (preferred, small("a", "web", "w1"), ""),
        (node("w3"), choosy, "w3 is none of the nodes that it asks for"),
        (node("w3"), affine, "w3 is none of the nodes that it asks for"),
    ];
    for (new, pod, words) in table {
        let state = state(vec![server("c1"), node("w1"), new], vec![pod]);
        if words.is_empty() {
            assert_eq!(rules(json!({}), &state), [] as [&str; 0]);
        } else {
            let said = refused(json!({}), &state);
            assert!(said.contains(words) && said.contains("(no_place)"), "{said}");
            assert_eq!(rules(json!({"accept": ["no_place"]}), &state), [] as [&str; 0]);
        }
    }
}

#[test]
fn pods_that_must_not_be_beside_each_other() {
    let parted = |name: &str, on: &str, key: &str| {
        let term = json!([{"labelSelector": {"matchLabels": {"app": "vault"}}, "topologyKey": key}]);
        with(
            small(name, "vault", on),
            "/spec/affinity",
            json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}),
        )
    };
    let host = "kubernetes.io/hostname";
    let state = cluster(vec![parted("vault-0", "w1", host), parted("vault-1", "w3", host)]);
    let said = refused(json!({}), &state);
    assert!(
        said.contains("it must not be beside demo/vault-1, which is on w3"),
        "{said}"
    );
    assert_eq!(rules(json!({"steer": false}), &state), [] as [&str; 0]);
    // The one that it leaves does not count, and a pod of another namespace is none of theirs.
    let state = cluster(vec![parted("vault-0", "w1", host), parted("vault-1", "w2", host)]);
    assert_eq!(rules(json!({}), &state), [] as [&str; 0]);
    let state = cluster(vec![
        parted("vault-0", "w1", "zone"),
        parted("vault-1", "w2", "zone"),
    ]);
    assert_eq!(rules(json!({"steer": false}), &state), ["no_place"]);
    let other = with(
        parted("vault-1", "w3", host),
        "/metadata/namespace",
        json!("else"),
    );
    let state = cluster(vec![parted("vault-0", "w1", host), other]);
    assert_eq!(rules(json!({}), &state), [] as [&str; 0]);
}

#[test]
fn a_local_volume_is_refused_by_name_and_accepted_by_name() {
    let mut state = cluster(vec![
        with_claim(small("db-0", "db", "w1"), "data"),
        small("a", "web", "w1"),
    ]);
    add_local_volume(&mut state, "data", "w1");
    let said = refused(json!({}), &state);
    assert!(
        said.contains("demo/db-0 (its volume pv-data cannot be on w3)") && said.contains("(local_volume)"),
        "{said}"
    );
    assert!(!said.contains("demo/a"), "{said}");
    assert_eq!(
        rules(json!({"accept": ["too_small", "no_place"]}), &state),
        ["local_volume"]
    );
    let accepted = json!({"accept": ["local_volume"]});
    let warnings = plan(&params(accepted.clone()), &state).unwrap();
    assert!(
        warnings.contains(&"these pods stay Pending, as is accepted: demo/db-0".to_owned()),
        "{warnings:?}"
    );
    let report_of = report_of(accepted, &state);
    assert_eq!(report_of["moves"][1]["to"], json!(null));
    assert!(
        report_of["text"]
            .to_string()
            .contains("stays Pending: demo/db-0, since its volume pv-data cannot be on w3"),
        "{report_of}"
    );
    // One that the new node may have as well does not count.
    state.volumes.clear();
    add_local_volume(&mut state, "data", "w3");
    assert_eq!(rules(json!({}), &state), [] as [&str; 0]);
}

#[test]
fn shows_the_plan_to_an_operator() {
    let warnings = |nodes: Vec<Value>, pods: Vec<Value>| {
        plan(&params(json!({})), &state(nodes, pods)).unwrap().join("\n")
    };
    let both = |old: Value, new: Value| vec![server("c1"), old, new, node("w2")];
    assert_eq!(warnings(both(node("w1"), node("w3")), Vec::new()), "");
    let alone = warnings(vec![server("c1"), node("w1"), node("w3")], Vec::new());
    assert!(alone.contains("w3 is then the only worker"), "{alone}");
    let dead = with(node("w1"), "/status/conditions/0/status", json!("Unknown"));
    assert!(warnings(both(dead, node("w3")), Vec::new()).contains("w1 is not Ready"));
    assert!(warnings(both(cordoned(node("w1"), None), node("w3")), Vec::new()).contains("leaves no record"));
    let arm = with(node("w3"), "/status/nodeInfo/architecture", json!("arm64"));
    assert!(warnings(both(node("w1"), arm), Vec::new()).contains("w1 is amd64, w3 is arm64"));
    let folder = with(
        small("a", "web", "w1"),
        "/spec/volumes",
        json!([{"hostPath": {"path": "/srv"}}]),
    );
    assert!(
        warnings(both(node("w1"), node("w3")), vec![folder]).contains("find those of w3 there: demo/a /srv")
    );
}

#[test]
fn opens_nodes_that_an_interrupted_cutover_has_closed() {
    let steered = |name: &str| cordoned(node(name), Some(json!({"run": "r0", "purpose": "steer"})));
    let state = state(
        vec![
            server("c1"),
            node("w1"),
            steered("w2"),
            steered("w3"),
            cordoned(node("w4"), None),
        ],
        vec![small("a", "web", "w1")],
    );
    let report_of = |more| report_of(more, &state);
    let steering = report_of(json!({}));
    assert_eq!(
        (&steering["steer"], &steering["reopen"]),
        (&json!(["c1"]), &json!(["w3"]))
    );
    assert_eq!(
        steering["restore"],
        json!(["c1", "w2", "w3"]),
        "an operator's cordon is none of ours"
    );
    let open = report_of(json!({"steer": false}));
    assert_eq!(
        (&open["steer"], &open["reopen"]),
        (&json!([]), &json!(["w2", "w3"]))
    );
    assert_eq!(open["moves"][0]["to"], "w3");
}

#[test]
fn one_that_can_take_none_of_the_pods_is_not_closed() {
    let tainted = with(
        server("c1"),
        "/spec/taints",
        json!([{"key": "only", "effect": "NoSchedule"}]),
    );
    let state = state(
        vec![tainted, node("w1"), node("w2"), node("w3")],
        vec![small("a", "web", "w1")],
    );
    assert_eq!(report_of(json!({}), &state)["steer"], json!(["w2"]));
}

#[test]
fn a_cutover_is_done_when_the_old_node_is_empty_and_closed_for_good() {
    let retired = || cordoned(node("w1"), Some(json!({"run": "r0", "purpose": "retire"})));
    let turn = cordoned(node("w1"), Some(json!({"run": "r0"})));
    let steered = cordoned(node("w2"), Some(json!({"run": "r0", "purpose": "steer"})));
    let single = with(small("a", "web", "w1"), "/metadata/ownerReferences", json!([]));
    let finished = with(small("a", "job", "w1"), "/status/phase", json!("Succeeded"));
    let daemon = owned_by(small("a", "ds", "w1"), "DaemonSet");
    let table = [
        (retired(), node("w2"), vec![], true),
        (retired(), node("w2"), vec![daemon, finished], true),
        (cordoned(node("w1"), None), node("w2"), vec![], true),
        (turn, node("w2"), vec![], false),
        (node("w1"), node("w2"), vec![], false),
        (retired(), steered, vec![], false),
        (retired(), node("w2"), vec![small("a", "web", "w1")], false),
        (retired(), node("w2"), vec![single], false),
    ];
    for (number, (old, other, pods, done)) in table.into_iter().enumerate() {
        let state = state(vec![server("c1"), old, other, node("w3")], pods);
        assert_eq!(report_of(json!({}), &state)["done"], json!(done), "row {number}");
    }
}

#[test]
fn the_new_node_has_taken_over_when_all_is_as_before_and_it_runs_some_of_it() {
    let verified = json!({"state": "verified"});
    let after = |pods: Vec<Value>, before: u32, now: u32| {
        let mut state = cluster(pods);
        add_workload(&mut state, "web", before, now);
        state
    };
    let good = after(vec![small("a", "web", "w3"), small("b", "web", "w2")], 2, 2);
    assert!(plan(&params(verified.clone()), &good).is_ok());
    assert_eq!(report_of(verified.clone(), &good)["missing"], json!([]));
    let fewer = after(vec![small("a", "web", "w3")], 2, 1);
    let said = refused(verified.clone(), &fewer);
    assert!(
        said.starts_with(
            "w3 has not taken over from w1 within 300 s: Deployment demo/web has 1 of 2 replicas ready"
        ),
        "{said}"
    );
    let elsewhere = after(vec![small("a", "web", "w2")], 1, 1);
    let said = refused(verified.clone(), &elsewhere);
    assert!(
        said.contains("w3 runs none of the pods that had to move, although it could (demo/a is on w2)"),
        "{said}"
    );
    // It does not fail for pods that it could not take, nor where no pod had to move.
    let choosy = with(
        small("a", "web", "w2"),
        "/spec/nodeSelector",
        json!({"kubernetes.io/hostname": "w2"}),
    );
    assert!(plan(&params(verified.clone()), &after(vec![choosy], 1, 1)).is_ok());
    assert!(plan(&params(verified), &cluster(Vec::new())).is_ok());
}

#[test]
fn what_may_stay_pending_is_not_missed() {
    let pending = with(
        small("b", "web", ""),
        "/status",
        json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}),
    );
    let mut state = cluster(vec![small("a", "web", "w3"), pending]);
    add_workload(&mut state, "web", 2, 1);
    let report_of = |more: Value| report_of(more, &state)["missing"].as_array().unwrap().len();
    assert_eq!(report_of(json!({"state": "verified"})), 1);
    assert_eq!(report_of(json!({"state": "verified", "accept": ["younger"]})), 1);
    assert_eq!(
        report_of(json!({"state": "verified", "accept": ["local_volume"]})),
        0
    );
}
