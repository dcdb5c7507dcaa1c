use super::*;
use crate::text;
use serde_json::{Value, json};

const OLD: &str = "v1.31.4+k3s1";
const PATCH: &str = "v1.31.5+k3s1";
const MINOR: &str = "v1.32.1+k3s1";

/// What the preflight hands over for a node at `from` that is to go to `to`.
fn node(host: &str, role: &str, from: &str, to: &str) -> Value {
    let vmid = host.bytes().map(u32::from).sum::<u32>();
    let hop = if from == to { "none" } else { "patch" };
    json!({
        "host": host, "role": role, "node_name": host, "pve_host": "pve1", "vmid": vmid,
        "version": {"changed": false, "failed": false, "installed": from, "running": from, "hop": hop,
            "upgrade_required": from != to, "refusals": [], "invocation": {"module_args": {}}},
        "install": {"changed": false, "failed": false, "actions": if from == to { vec![] } else { vec!["restart"] }},
        "drain": {"changed": from != to, "failed": false, "cordoned_by": {"before": "none", "after": "none"}, "pods": []},
    })
}

fn server(host: &str, from: &str, to: &str) -> Value {
    node(host, "server", from, to)
}

fn agent(host: &str, from: &str, to: &str) -> Value {
    node(host, "agent", from, to)
}

fn with(mut node: Value, changes: &Value) -> Value {
    for (key, change) in changes.as_object().unwrap() {
        match (node[key].as_object_mut(), change) {
            (Some(entries), Value::Object(changes)) => entries.extend(changes.clone()),
            _ => node[key] = change.clone(),
        }
    }
    node
}

fn params(target: &str, nodes: &[Value], options: &Value) -> Params {
    let mut all = json!({"target": target, "nodes": nodes});
    all.as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn planned(target: &str, nodes: &[Value], options: &Value) -> Planned {
    plan(&params(target, nodes, options), None)
}

fn hosts(planned: &Planned) -> Vec<&str> {
    planned.turns.iter().map(|turn| turn.host.as_str()).collect()
}

fn rules(planned: &Planned) -> Vec<(&str, &str)> {
    planned
        .refusals
        .iter()
        .map(|refusal| (refusal.host.as_str(), refusal.rule.as_str()))
        .collect()
}

fn cluster(from: &str, to: &str) -> Vec<Value> {
    vec![
        server("c1", from, to),
        server("c2", from, to),
        server("c3", from, to),
        agent("w1", from, to),
        agent("w2", from, to),
    ]
}

#[test]
fn the_order_follows_the_oldest_controller_s_minor() {
    let up = |from: &str, to: &str| planned(to, &cluster(from, to), &json!({}));
    assert_eq!(hosts(&up(OLD, PATCH)), ["w1", "w2", "c1", "c2", "c3"]);
    assert_eq!(hosts(&up(OLD, MINOR)), ["c1", "c2", "c3", "w1", "w2"]);
    assert!(
        up(OLD, MINOR).reason.contains("from v1.31 (c1) to v1.32"),
        "{}",
        up(OLD, MINOR).reason
    );
    // Half of the controllers are there already: the other half decides.
    let half = [
        server("c1", MINOR, MINOR),
        server("c2", OLD, MINOR),
        agent("w1", OLD, MINOR),
    ];
    assert_eq!(hosts(&planned(MINOR, &half, &json!({}))), ["c2", "w1"]);
    // All of them are: only workers are left, and the order is a matter of taste again.
    let rest = [server("c1", MINOR, MINOR), agent("w1", OLD, MINOR)];
    assert_eq!(planned(MINOR, &rest, &json!({})).order, "workers_first");
}

#[test]
fn the_minor_counts_in_numbers() {
    let nodes = [
        server("c1", "v1.9.9+k3s1", "v1.10.0+k3s1"),
        agent("w1", "v1.9.9+k3s1", "v1.10.0+k3s1"),
    ];
    assert_eq!(planned("v1.10.0+k3s1", &nodes, &json!({})).order, "servers_first");
}

#[test]
fn an_order_that_was_asked_for_holds_where_it_is_safe() {
    let asked = planned(PATCH, &cluster(OLD, PATCH), &json!({"order": "servers_first"}));
    assert_eq!(hosts(&asked)[0], "c1");
    assert!(asked.refusals.is_empty() && asked.reason.starts_with("as k3s_upgrade_order says"));
}

#[test]
fn an_order_that_would_make_a_kubelet_newer_than_its_api_is_refused() {
    let refused = planned(MINOR, &cluster(OLD, MINOR), &json!({"order": "workers_first"}));
    assert_eq!(rules(&refused), [("the run", "order")]);
    assert!(refused.refusals[0].next.as_ref().unwrap().contains("auto"));
    // And going down a minor, which somebody has allowed, it is the controllers that must not go first.
    let down = cluster(MINOR, OLD);
    assert_eq!(hosts(&planned(OLD, &down, &json!({})))[0], "w1");
    assert_eq!(
        rules(&planned(OLD, &down, &json!({"order": "servers_first"}))),
        [("the run", "order")]
    );
}

#[test]
fn controllers_are_drained_where_another_one_stands_by() {
    let drained = |nodes: &[Value], value: Value| {
        let planned = planned(PATCH, nodes, &json!({"drain_controllers": value}));
        planned
            .turns
            .iter()
            .filter(|turn| turn.drain)
            .map(|turn| turn.host.clone())
            .collect::<Vec<_>>()
    };
    let one = [server("c1", OLD, PATCH), agent("w1", OLD, PATCH)];
    let two = [server("c1", OLD, PATCH), server("c2", OLD, PATCH)];
    assert_eq!(drained(&one, json!("auto")), ["w1"]);
    assert_eq!(drained(&one, json!("true")), ["w1", "c1"]);
    assert_eq!(drained(&two, json!("auto")), ["c1", "c2"]);
    assert!(drained(&two, json!("False")).is_empty());
}

#[test]
fn the_datastore_is_backed_up_before_the_first_server_that_restarts() {
    let backed = |options: Value, nodes: &[Value]| {
        let planned = planned(PATCH, nodes, &options);
        planned
            .turns
            .iter()
            .filter(|turn| turn.backup)
            .map(|turn| turn.host.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(backed(json!({}), &cluster(OLD, PATCH)), ["c1"]);
    assert!(backed(json!({"backup": false}), &cluster(OLD, PATCH)).is_empty());
    let ours = json!({"drain": {"cordoned_by": {"before": "ours"}}});
    let second = [with(server("c1", PATCH, PATCH), &ours), server("c2", OLD, PATCH)];
    assert_eq!(
        backed(json!({}), &second),
        ["c2"],
        "the first one is only uncordoned"
    );
}

#[test]
fn snapshots_are_of_workers_and_only_when_asked_for() {
    let asked = planned(PATCH, &cluster(OLD, PATCH), &json!({"snapshot": true}));
    assert_eq!(asked.turns.iter().filter(|turn| turn.snapshot).count(), 2);
    assert!(
        asked
            .turns
            .iter()
            .all(|turn| !turn.snapshot || turn.role == Role::Agent)
    );
    assert!(
        planned(PATCH, &cluster(OLD, PATCH), &json!({}))
            .turns
            .iter()
            .all(|turn| !turn.snapshot)
    );
}

#[test]
fn a_node_is_spoken_of_through_another_controller_first() {
    let silent = json!({"version": {"running": null, "running_reason": "refused"}});
    let nodes = [
        with(server("c1", OLD, PATCH), &silent),
        server("c2", OLD, PATCH),
        server("c3", OLD, PATCH),
        agent("w1", OLD, PATCH),
    ];
    let planned = planned(PATCH, &nodes, &json!({}));
    let via = |host: &str| {
        planned
            .turns
            .iter()
            .find(|turn| turn.host == host)
            .unwrap()
            .via
            .clone()
    };
    assert_eq!(via("w1"), ["c2", "c3", "c1"]);
    assert_eq!(via("c2"), ["c3", "c1", "c2"]);
    assert_eq!(via("c1"), ["c2", "c3", "c1"]);
}

#[test]
fn what_is_as_it_should_be_is_skipped_and_why_is_said() {
    let planned = planned(PATCH, &cluster(PATCH, PATCH), &json!({}));
    assert!(planned.turns.is_empty() && planned.refusals.is_empty());
    assert_eq!(
        planned.skipped[0].reason,
        format!("{PATCH} is installed and runs")
    );
}

#[test]
fn resumes_an_interrupted_run() {
    let interrupted = [
        (
            json!({"version": {"running": OLD, "upgrade_required": true}}),
            "still runs: an earlier run was interrupted",
        ),
        (
            json!({"install": {"actions": ["restart"]}}),
            "interrupted before its proof",
        ),
        (
            json!({"drain": {"cordoned_by": {"before": "ours"}}}),
            "a cordon of an earlier run is left",
        ),
    ];
    for (left, reason) in interrupted {
        let nodes = [server("c1", PATCH, PATCH), with(agent("w1", PATCH, PATCH), &left)];
        let planned = planned(PATCH, &nodes, &json!({}));
        assert_eq!(hosts(&planned), ["w1"]);
        assert!(
            planned.turns[0].reason.contains(reason),
            "{}",
            planned.turns[0].reason
        );
    }
}

#[test]
fn a_cordon_that_is_left_is_only_undone() {
    let ours = json!({"drain": {"cordoned_by": {"before": "ours"}}});
    let turn = &planned(
        PATCH,
        &[server("c1", PATCH, PATCH), with(agent("w1", PATCH, PATCH), &ours)],
        &json!({}),
    )
    .turns[0];
    assert!(!turn.install && !turn.drain);
}

#[test]
fn an_operators_cordon_adds_no_turn() {
    let theirs = json!({"drain": {"cordoned_by": {"before": "operator"}}});
    assert!(
        planned(
            PATCH,
            &[
                server("c1", PATCH, PATCH),
                with(agent("w1", PATCH, PATCH), &theirs)
            ],
            &json!({})
        )
        .turns
        .is_empty()
    );
}

#[test]
fn a_node_newer_than_its_channel_is_left_alone_whatever_the_other_modules_say() {
    let newer = json!({
        "version": {"installed": MINOR, "running": MINOR, "hop": "downgrade", "upgrade_required": false},
        "install": {"msg": "a downgrade"}, "drain": {"msg": "a pod is refused"},
    });
    let planned = planned(
        PATCH,
        &[server("c1", OLD, PATCH), with(agent("w1", OLD, PATCH), &newer)],
        &json!({}),
    );
    assert_eq!(hosts(&planned), ["c1"]);
    assert!(planned.refusals.is_empty());
    assert!(planned.skipped[0].reason.contains("newer than the channel"));
}

#[test]
fn reports_the_refusals_of_all_nodes_at_once() {
    let skip = json!([{"rule": "skip_minor", "evidence": "leaves out v1.32", "override": "allow_skip_minor: true", "next": "-e k3s_channel=v1.32"}]);
    let stopped = json!({"changed": false, "failed": false, "msg": "container 111 is stopped"});
    let nodes = [
        with(
            server("c1", OLD, PATCH),
            &json!({"version": {"refusals": skip}, "install": {"msg": "it skips a minor"}}),
        ),
        with(
            agent("w1", OLD, PATCH),
            &json!({"version": stopped.clone(), "install": stopped, "drain": {"msg": "pod x/y has no controller"}}),
        ),
        with(
            agent("w2", OLD, PATCH),
            &json!({"install": {"msg": "no space left"}, "drain": {"msg": "pod x/y has no controller"}}),
        ),
        json!({"host": "w3", "role": "agent", "node_name": "w3", "pve_host": "pve1", "vmid": "113", "version": null}),
    ];
    let planned = planned(PATCH, &nodes, &json!({}));
    assert_eq!(
        rules(&planned),
        [
            ("c1", "skip_minor"),
            ("w1", "look"),
            ("w2", "install"),
            ("w2", "drain"),
            ("w3", "look")
        ]
    );
    assert_eq!(
        planned.refusals[0].lifted_by.as_deref(),
        Some("-e k3s_allow_skip_minor=true")
    );
}

/// Four nodes that lack the same are reported once; the answer has each of them.
#[test]
fn reports_a_rule_that_refuses_several_nodes_once() {
    let chain = |found: &str| {
        json!({"version": {"warnings": ["v1.36.3+k3s1 is judged as v1.36.2+k3s1, the newest known build of v1.36"], "refusals": [{
            "rule": "skip_minor", "evidence": format!("from {found} to {MINOR} leaves out v1.32"), "override": "allow_skip_minor: true",
            "next": "-e k3s_target_version=v1.32.9+k3s1", "source": "of a newer module",
        }]}})
    };
    let nodes = [
        with(server("c1", OLD, PATCH), &chain(OLD)),
        with(agent("w1", OLD, PATCH), &chain(OLD)),
        with(agent("w2", OLD, PATCH), &chain("v1.31.3+k3s1")),
    ];
    let params = params(PATCH, &nodes, &json!({}));
    let planned = plan(&params, None);
    assert_eq!(rules(&planned).len(), 3);
    let refused = text::refused(&params, &planned.refusals).unwrap();
    assert_eq!(
        refused,
        "the upgrade to k3s v1.31.5+k3s1 is refused: c1, w1, w2: skip_minor: from … to v1.32.1+k3s1 leaves out v1.32 (c1, w1: v1.31.4+k3s1; w2: v1.31.3+k3s1). Next: -e k3s_target_version=v1.32.9+k3s1. To do it all the same: -e k3s_allow_skip_minor=true"
    );
    let lines = text::plan(&params, &planned);
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("refused: ")).count(),
        1,
        "{lines:#?}"
    );
    assert_eq!(
        planned.notices.last().unwrap(),
        "c1, w1, w2: v1.36.3+k3s1 is judged as v1.36.2+k3s1, the newest known build of v1.36"
    );
}

#[test]
fn what_lifts_a_refusal_is_named_as_a_variable_of_the_playbook() {
    let known = json!([{"rule": "cgroup_v1", "evidence": "e", "override": "allow_known_bad: [cgroup_v1]", "next": "n"}]);
    let naked = "default/naked: no controller would start it again (force: true deletes it for good)";
    let nodes = [
        with(server("c1", OLD, PATCH), &json!({"version": {"refusals": known}})),
        with(agent("w1", OLD, PATCH), &json!({"drain": {"msg": naked}})),
        with(
            agent("w2", OLD, PATCH),
            &json!({"drain": {"msg": "nothing to be done about"}}),
        ),
    ];
    let refusals = planned(PATCH, &nodes, &json!({})).refusals;
    let lifts: Vec<Option<&str>> = refusals
        .iter()
        .map(|refusal| refusal.lifted_by.as_deref())
        .collect();
    assert_eq!(
        lifts,
        [
            Some("-e k3s_allow_known_bad=cgroup_v1"),
            Some("-e k3s_drain_force=true"),
            None
        ]
    );
}

#[test]
fn what_a_drain_would_refuse_matters_only_where_one_is_done() {
    let refused = json!({"drain": {"msg": "pod x/y has no controller"}});
    let one = [with(server("c1", OLD, PATCH), &refused), agent("w1", OLD, PATCH)];
    assert!(planned(PATCH, &one, &json!({})).refusals.is_empty());
    assert_eq!(
        rules(&planned(PATCH, &one, &json!({"drain_controllers": "true"}))),
        [("c1", "drain")]
    );
}

#[test]
fn a_wrong_mapping_is_refused_by_name() {
    let nodes = [
        with(server("c1", OLD, PATCH), &json!({"vmid": "101"})),
        with(agent("w1", OLD, PATCH), &json!({"vmid": 101})),
        with(
            agent("w2", OLD, PATCH),
            &json!({"node_name": "c1", "pve_host": "pve9"}),
        ),
        with(agent("w3", OLD, PATCH), &json!({"role": ""})),
    ];
    let planned = planned(PATCH, &nodes, &json!({"pve_hosts": ["pve1", "pve2"]}));
    let reasons: Vec<&str> = planned
        .refusals
        .iter()
        .map(|refusal| refusal.evidence.as_str())
        .collect();
    assert_eq!(
        reasons,
        [
            "its pve_host pve9 is not in the group pve (pve1, pve2)",
            "it is neither in k3s_controllers nor in k3s_workers",
            "they have the same pct_id 101 on pve1",
            "they have the same node_name c1",
        ]
    );
    assert_eq!(planned.refusals[2].host, "c1, w1");
}

#[test]
fn without_any_api_nothing_is_begun() {
    let silent = json!({"version": {"running": null, "running_reason": "connection refused", "upgrade_required": true}});
    let down = planned(
        PATCH,
        &[
            with(server("c1", OLD, PATCH), &silent),
            with(agent("w1", OLD, PATCH), &silent),
        ],
        &json!({}),
    );
    assert_eq!(rules(&down), [("c1", "api")]);
    // One of several that is down: quorum has no room for another. One that an interrupted run left must be let
    // through, or nothing would fix it.
    let one = |change: &Value| {
        let nodes = [
            with(with(server("c1", OLD, PATCH), &silent), change),
            server("c2", OLD, PATCH),
            agent("w1", OLD, PATCH),
        ];
        planned(PATCH, &nodes, &json!({}))
    };
    assert_eq!(rules(&one(&json!({}))), [("c1", "server_down")]);
    let record = json!({"install": {"record": {"version": PATCH, "run_id": "r1"}}});
    assert!(one(&record).refusals.is_empty());
    assert_eq!(
        rules(&planned(PATCH, &[agent("w1", OLD, PATCH)], &json!({}))),
        [("the run", "api")]
    );
}

#[test]
fn refuses_to_call_done_what_no_api_can_prove() {
    let silent = json!({"version": {"running": null, "running_reason": "connection refused"}});
    let idle = |servers: &[Value], options: &Value| planned(PATCH, servers, options);
    let only = idle(&[with(server("c1", PATCH, PATCH), &silent)], &json!({}));
    assert_eq!(rules(&only), [("c1", "api")]);
    assert_eq!(
        only.skipped[0].reason,
        format!("{PATCH} is installed; whether it runs is unknown")
    );
    let several = [
        with(server("c1", PATCH, PATCH), &silent),
        server("c2", PATCH, PATCH),
    ];
    assert_eq!(rules(&idle(&several, &json!({}))), [("c1", "server_down")]);
    let skip = json!({"skip": {"c1": "its disk is being replaced"}});
    assert!(idle(&several, &skip).refusals.is_empty());
    let ready = json!({"item": "c1", "rc": 0, "stdout": "ok"});
    let unready = json!({"item": "c1", "rc": 1, "stderr": "[-]etcd failed"});
    let asked = |asked: &[&Value]| idle(&[server("c1", PATCH, PATCH)], &json!({"asked": asked}));
    assert_eq!(rules(&asked(&[&unready])), [("c1", "api")]);
    assert!(asked(&[&unready, &ready]).refusals.is_empty());
}

#[test]
fn says_that_pods_could_not_be_read_instead_of_none() {
    let nodes = [
        server("c1", OLD, PATCH),
        with(agent("w1", OLD, PATCH), &json!({"drain": {"skipped": true}})),
    ];
    let params = params(PATCH, &nodes, &json!({}));
    let lines = text::plan(&params, &plan(&params, None));
    assert!(
        lines.contains(&"   drained: its pods could not be read".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn says_why_no_api_is_ready() {
    let unready = json!({"drain": {"changed": false, "skipped": true}});
    let nodes = [
        with(server("c1", OLD, PATCH), &unready),
        with(agent("w1", OLD, PATCH), &unready),
    ];
    let refused = |options: &Value| {
        let planned = planned(PATCH, &nodes, options);
        assert_eq!(rules(&planned), [("c1", "api")]);
        planned.refusals[0].evidence.clone()
    };
    assert_eq!(
        refused(&json!({})),
        "no controller's API answers: it is not ready"
    );
    let expired = json!({"item": "c1", "rc": 1, "stderr": "a try\nerror: You must be logged in to the server (Unauthorized)\n"});
    assert_eq!(
        refused(
            &json!({"asked": [{"item": "c0", "skipped": true}, {"item": "c2", "rc": 0, "stdout": "ok"}, expired]})
        ),
        "no controller's API answers: c1 says error: You must be logged in to the server (Unauthorized)"
    );
    // Where its own version could not be read for that, both are reported; a container that is stopped has no API to speak of.
    let unread = json!({"version": {"msg": "checking the chart ended with status 1"}, "drain": {"changed": false, "skipped": true}});
    for (asked, expected) in [
        (
            json!({"item": "c1", "rc": 1}),
            [("c1", "look"), ("c1", "api")].as_slice(),
        ),
        (
            json!({"item": "c1", "rc": null, "msg": "container 101 is stopped"}),
            &[("c1", "look")],
        ),
    ] {
        let nodes = [with(server("c1", OLD, PATCH), &unread)];
        let refused = planned(PATCH, &nodes, &json!({"asked": [asked]}));
        assert_eq!(rules(&refused), expected, "{asked}");
    }
}

#[test]
fn refuses_a_node_that_is_not_ready_unless_a_run_of_ours_left_it() {
    let verdict = |node: &str, severity: &str, reason: &str| json!({"severity": severity, "kind": "Node", "namespace": "", "object": node, "reason": reason});
    let record = json!({"install": {"record": {"version": PATCH, "run_id": "r1"}}});
    let refused = |worker: Value, verdict: Value, options: Value| {
        let nodes = [server("c1", OLD, PATCH), worker, agent("w2", OLD, PATCH)];
        let mut options = options;
        options["health"] = json!({"changed": false, "verdicts": [verdict]});
        planned(PATCH, &nodes, &options).refusals
    };
    let outdated = || agent("w1", OLD, PATCH);
    let node = outdated()["node_name"].as_str().unwrap().to_owned();
    let refusals = refused(outdated(), verdict(&node, "error", "NotReady"), json!({}));
    assert_eq!(
        (&*refusals[0].host, &*refusals[0].rule, refusals.len()),
        ("w1", "not_ready", 1)
    );
    assert_eq!(refusals[0].evidence, format!("its Node {node} is NotReady"));
    assert!(refusals[0].next.as_ref().unwrap().contains("k3s_skip"));
    assert_eq!(
        refusals[0].lifted_by.as_deref(),
        Some("-e k3s_allow_not_ready=true")
    );
    let skipped = json!({"skip": {"w1": "its disk is being replaced"}});
    for (worker, verdict, options) in [
        (outdated(), verdict(&node, "info", "NotReady"), json!({})),
        (outdated(), verdict(&node, "error", "DiskPressure"), json!({})),
        (outdated(), verdict("elsewhere", "error", "NotReady"), json!({})),
        (
            agent("w1", PATCH, PATCH),
            verdict(&node, "error", "NotReady"),
            json!({}),
        ),
        (
            with(outdated(), &record),
            verdict(&node, "error", "NotReady"),
            json!({}),
        ),
        (outdated(), verdict(&node, "error", "NotReady"), skipped),
        (
            outdated(),
            verdict(&node, "error", "NotReady"),
            json!({"allow_not_ready": true}),
        ),
    ] {
        let seen = format!("{worker} {verdict}");
        assert!(refused(worker, verdict, options).is_empty(), "{seen}");
    }
}

#[test]
fn refuses_a_server_without_a_kubelet_for_that_reason() {
    let agentless = json!({
        "version": {"running": null, "running_reason": "it has no Node", "agentless": true, "upgrade_required": true},
        "drain": {"failed": true, "msg": "there is no node c1"},
    });
    let nodes = [
        with(server("c1", OLD, PATCH), &agentless),
        server("c2", OLD, PATCH),
        agent("w1", OLD, PATCH),
    ];
    let refused = planned(PATCH, &nodes, &json!({}));
    assert_eq!(rules(&refused), [("c1", "agentless")]);
    let next = refused.refusals[0].next.as_deref().unwrap();
    assert!(next.contains(r#"-e '{"k3s_skip": {"c1": "#), "{next}");
    let skipped = planned(PATCH, &nodes, &json!({"skip": {"c1": "has no kubelet"}}));
    assert_eq!(rules(&skipped), []);
    assert_eq!(
        rules(&planned(PATCH, &nodes[..1], &json!({}))),
        [("c1", "agentless")]
    );
}

#[test]
fn an_outage_of_the_api_is_announced() {
    let notices = |nodes: &[Value]| planned(PATCH, nodes, &json!({})).notices;
    assert!(notices(&[server("c1", OLD, PATCH)])[0].contains("the only controller"));
    assert!(notices(&[server("c1", OLD, PATCH), server("c2", PATCH, PATCH)])[0].contains("two members"));
    assert!(notices(&cluster(OLD, PATCH)).is_empty());
    assert!(notices(&[server("c1", PATCH, PATCH), agent("w1", OLD, PATCH)]).is_empty());
}

#[test]
fn upgrades_an_unhealthy_cluster_with_a_warning() {
    let verdict = |number: usize, severity: &str| json!({"severity": severity, "kind": "Node", "namespace": "", "object": format!("n{number}"), "reason": "NotReady", "count": 1});
    let notices = |verdicts: &[Value], nodes: &[Value]| {
        let planned = planned(
            PATCH,
            nodes,
            &json!({"health": {"changed": false, "verdicts": verdicts}}),
        );
        assert!(planned.refusals.is_empty());
        planned.notices
    };
    let pod = json!({"severity": "error", "kind": "Pod", "namespace": "demo", "object": "Deployment/web", "reason": "CrashLoopBackOff"});
    let outdated = cluster(OLD, PATCH);
    let expected = "the cluster already has problems, and only new ones stop the run: Node n1: NotReady; Pod demo/Deployment/web: CrashLoopBackOff";
    assert_eq!(
        notices(&[verdict(1, "error"), pod, verdict(2, "warning")], &outdated),
        [expected]
    );
    let many: Vec<Value> = (0..7).map(|number| verdict(number, "error")).collect();
    assert!(notices(&many, &outdated)[0].ends_with("Node n4: NotReady; and 2 more"));
    assert!(notices(&many, &cluster(PATCH, PATCH)).is_empty());
    assert!(
        planned(
            PATCH,
            &outdated,
            &json!({"health": {"changed": false, "skipped": true}})
        )
        .notices
        .is_empty()
    );
}

fn moving() -> Value {
    let pod = |name: &str, budgets: Value| json!({"namespace": "demo", "name": name, "uid": "1", "owner": "StatefulSet/vault", "verdict": "evict", "reason": "", "budgets": budgets});
    let tight = json!([{"name": "vault", "disruptions_allowed": 0, "current_healthy": 1, "desired_healthy": 1, "expected_pods": 1}]);
    let roomy = json!([{"name": "web", "disruptions_allowed": 1, "current_healthy": 3, "desired_healthy": 2, "expected_pods": 3}]);
    json!({"drain": {
        "pods": [pod("web-1", roomy), pod("vault-0", tight), {"namespace": "demo", "name": "ds-1", "verdict": "leave", "reason": ""}],
        "waiting": [{"namespace": "demo", "name": "vault-0", "uid": "1"}],
    }})
}

#[test]
fn formats_the_plan_for_people() {
    let nodes = [
        server("c1", OLD, PATCH),
        with(agent("w1", OLD, PATCH), &moving()),
        agent("w2", PATCH, PATCH),
    ];
    let params = params(PATCH, &nodes, &json!({"pdb": "bypass"}));
    let vmid = |host: &str| host.bytes().map(u32::from).sum::<u32>();
    assert_eq!(
        text::plan(&params, &plan(&params, None)),
        [
            "k3s v1.31.5+k3s1: 2 of 3 nodes to work on".to_owned(),
            "order: workers first, since the minor stays v1.31, where either order is safe".to_owned(),
            format!(
                "1. w1 (container {} on pve1): v1.31.4+k3s1 -> v1.31.5+k3s1",
                vmid("w1")
            ),
            "   drained: 2 pods to move: demo/web-1, demo/vault-0".to_owned(),
            "   Pending until the uncordon, since no other node has their volumes or suits them: demo/vault-0".to_owned(),
            "   budget vault allows no disruption (1 healthy, 1 wanted) of demo/vault-0: it is bypassed"
                .to_owned(),
            format!(
                "2. c1 (container {} on pve1): v1.31.4+k3s1 -> v1.31.5+k3s1",
                vmid("c1")
            ),
            "   first: a backup of the datastore".to_owned(),
            "   not drained: its pods keep running while k3s restarts".to_owned(),
            "w2: skipped: v1.31.5+k3s1 is installed and runs".to_owned(),
            "note: the API is unavailable while c1, the only controller, restarts; pods keep running"
                .to_owned(),
        ]
    );
}

#[test]
fn says_which_pods_a_drain_deletes_for_good() {
    let bare = json!({"namespace": "demo", "name": "bare", "uid": "1", "owner": null, "verdict": "evict", "reason": "", "budgets": []});
    let nodes = [
        server("c1", OLD, PATCH),
        with(agent("w1", OLD, PATCH), &json!({"drain": {"pods": [bare]}})),
    ];
    let params = params(PATCH, &nodes, &json!({"pdb": "bypass"}));
    let lines = text::plan(&params, &plan(&params, None));
    let line = "   deleted for good, since no controller starts them again: demo/bare";
    assert!(lines.iter().any(|said| said == line), "{lines:?}");
}

#[test]
fn warns_of_a_pod_with_several_budgets_though_each_has_room() {
    let budget = |name: &str| json!({"name": name, "disruptions_allowed": 1, "current_healthy": 2, "desired_healthy": 1, "expected_pods": 2});
    let pod = json!({"namespace": "demo", "name": "twice-0", "uid": "1", "owner": "StatefulSet/twice", "verdict": "evict", "reason": "", "budgets": [budget("a"), budget("b")]});
    let nodes = [
        server("c1", OLD, PATCH),
        with(agent("w1", OLD, PATCH), &json!({"drain": {"pods": [pod]}})),
    ];
    for (pdb, what) in [
        ("respect", "they block the drain"),
        ("bypass", "the budgets are bypassed"),
        (
            "respect_then_bypass",
            "the budgets are respected for a while, then bypassed",
        ),
    ] {
        let params = params(PATCH, &nodes, &json!({"pdb": pdb}));
        let lines = text::plan(&params, &plan(&params, None));
        let said =
            format!("   several budgets select demo/twice-0, and no API server evicts such a pod: {what}");
        assert!(lines.contains(&said), "{lines:?}");
    }
}

#[test]
fn summarizes_the_steps_of_each_node() {
    let done = json!({
        "after": {"changed": false, "running": PATCH, "installed": PATCH},
        "drain": {
            "changed": true, "began_at": 1_767_225_600, "ended_at": 1_767_225_610,
            "evicted": [{"namespace": "demo", "name": "web-1"}], "bypassed": [{"namespace": "demo", "name": "vault-0"}],
        },
        "uncordon": {"changed": true, "began_at": 1_767_225_625, "ended_at": 1_767_225_630},
    });
    let mut slow = done.clone();
    slow["uncordon"]["ended_at"] = json!(1_767_225_600 + 312);
    slow["drain"]["retries"] = json!(7);
    let nodes = [
        with(agent("w1", OLD, PATCH), &done),
        agent("w2", PATCH, PATCH),
        with(agent("w3", OLD, PATCH), &slow),
    ];
    assert_eq!(
        text::summary(&params(PATCH, &nodes, &json!({"mode": "summary"}))),
        [
            "k3s v1.31.5+k3s1:",
            "w1: v1.31.4+k3s1 -> v1.31.5+k3s1, drained for 30 s, 1 pod evicted, budgets bypassed for demo/vault-0",
            "w2: v1.31.5+k3s1 -> v1.31.5+k3s1",
            "w3: v1.31.4+k3s1 -> v1.31.5+k3s1, drained for 5 min 12 s, 1 pod evicted, 7 evictions retried, budgets bypassed for demo/vault-0",
        ]
    );
}

#[test]
fn a_later_plan_uses_the_versions_that_were_read_later() {
    let current = cluster(PATCH, PATCH);
    assert!(hosts(&planned(PATCH, &current, &json!({}))).is_empty());
    let changed = json!({"versions": {"w1": agent("w1", OLD, PATCH)["version"]}});
    assert_eq!(hosts(&planned(PATCH, &current, &changed)), ["w1"]);
    let unread = json!({"versions": {"w1": {"failed": true, "msg": "container 111 is stopped"}}});
    let refusals = planned(PATCH, &cluster(OLD, PATCH), &unread).refusals;
    assert!(
        refusals
            .iter()
            .any(|refusal| refusal.host == "w1" && refusal.evidence.contains("container 111 is stopped")),
        "{refusals:?}"
    );
}

#[test]
fn refuses_later_versions_of_an_unknown_node() {
    let options = json!({"target": PATCH, "nodes": [agent("w1", OLD, PATCH)], "versions": {"w9": {}}});
    let error = serde_json::from_value::<Params>(options).unwrap_err();
    assert_eq!(error.to_string(), "versions: w9 is not in nodes");
}

#[test]
fn downloads_again_where_the_first_plan_is_more_than_five_minutes_old() {
    let again =
        |more: Value| is_to_download_again(&params(PATCH, &cluster(OLD, PATCH), &more), 1_767_225_600);
    assert!(!again(json!({})));
    assert!(!again(json!({"planned_at": 1_767_225_600})));
    assert!(!again(json!({"planned_at": 1_767_225_300})));
    assert!(again(json!({"planned_at": 1_767_225_299})));
    // The clock was set back.
    assert!(again(json!({"planned_at": 1_767_225_601})));
}

#[test]
fn plans_turns_only_for_the_nodes_of_the_limit() {
    let limited = planned(PATCH, &cluster(OLD, PATCH), &json!({"limited_to": ["w2"]}));
    assert_eq!(hosts(&limited), ["w2"]);
    assert!(limited.refusals.is_empty(), "{:?}", limited.refusals);
    // Asked through any controller, also one that is left out.
    assert_eq!(limited.turns[0].via, ["c1", "c2", "c3"]);
    let reasons: Vec<&str> = limited
        .skipped
        .iter()
        .map(|skipped| skipped.reason.as_str())
        .collect();
    assert!(
        reasons
            .iter()
            .all(|reason| *reason == "--limit leaves it out (v1.31.4+k3s1 runs)"),
        "{reasons:?}"
    );
    // A single controller of three is drained: there are others to do it through.
    let limited = planned(PATCH, &cluster(OLD, PATCH), &json!({"limited_to": ["c2"]}));
    assert!(limited.turns[0].drain && limited.turns[0].backup);
}

#[test]
fn a_limit_may_not_leave_a_version_behind_that_the_others_cannot_bear() {
    let refused = |target: &str, nodes: &[Value], hosts: &[&str]| {
        let planned = planned(target, nodes, &json!({"limited_to": hosts}));
        planned
            .refusals
            .iter()
            .map(|refusal| format!("{} {}: {}", refusal.host, refusal.rule, refusal.evidence))
            .collect::<Vec<_>>()
    };
    let two = |controller: &str, worker: &str| [server("c1", controller, MINOR), agent("w1", worker, MINOR)];
    // A worker across a minor before the controllers, and the controllers before the worker.
    assert_eq!(
        refused(MINOR, &two(OLD, OLD), &["w1"]),
        [
            "c1 limit: --limit leaves this controller at v1.31.4+k3s1, and a kubelet may not be newer in minor than any API server: w1 would get v1.32.1+k3s1"
        ]
    );
    assert!(refused(MINOR, &two(OLD, OLD), &["c1"]).is_empty());
    assert!(refused(MINOR, &two(MINOR, OLD), &["w1"]).is_empty());
    assert!(refused(MINOR, &two(OLD, OLD), &["c1", "w1"]).is_empty());
    // A worker that was left out too often.
    assert!(refused(MINOR, &two(OLD, "v1.29.9+k3s1"), &["c1"]).is_empty());
    assert!(
        refused(MINOR, &two(OLD, "v1.28.9+k3s1"), &["c1"])[0]
            .starts_with("w1 limit: --limit leaves this worker at v1.28.9+k3s1, more than 3 minors")
    );
    // Controllers two minors apart; one is what an upgrade passes through.
    let three = |other: &str| [server("c1", OLD, MINOR), server("c2", other, MINOR)];
    assert!(refused(MINOR, &three(OLD), &["c1"]).is_empty());
    assert!(
        refused(MINOR, &three("v1.30.9+k3s1"), &["c1"])[0]
            .starts_with("c2 limit: --limit leaves this controller at v1.30.9+k3s1, and API servers")
    );
    // Down a minor below a worker.
    let down = [server("c1", MINOR, OLD), agent("w1", MINOR, OLD)];
    assert!(
        refused(OLD, &down, &["c1"])[0]
            .starts_with("w1 limit: --limit leaves this node at v1.32.1+k3s1, and a kubelet")
    );
    // A controller that nobody could look at; a worker may be.
    let silent = |role: &str| {
        with(
            node("x", role, OLD, PATCH),
            &json!({"version": {"installed": null, "running": null, "msg": "container 103 is stopped"}}),
        )
    };
    let with_silent = |role: &str| [server("c1", OLD, PATCH), agent("w1", OLD, PATCH), silent(role)];
    assert_eq!(
        refused(PATCH, &with_silent("server"), &["w1"]),
        [
            "x limit: --limit leaves this controller out, and its version is not known: container 103 is stopped"
        ]
    );
    assert!(refused(PATCH, &with_silent("agent"), &["w1"]).is_empty());
}

#[test]
fn leaves_out_what_is_to_be_skipped_and_says_why() {
    let skip = json!({"skip": {"w2": "its disk is being replaced"}});
    let planned = planned(PATCH, &cluster(OLD, PATCH), &skip);
    assert!(!hosts(&planned).contains(&"w2") && planned.refusals.is_empty());
    let skipped = planned
        .skipped
        .iter()
        .find(|skipped| skipped.host == "w2")
        .unwrap();
    assert_eq!(
        skipped.reason,
        "k3s_skip leaves it out: its disk is being replaced (v1.31.4+k3s1 runs)"
    );
}

#[test]
fn refuses_an_unknown_skipped_node_and_one_that_the_others_cannot_bear() {
    let rules = |target: &str, nodes: &[Value], skip: Value| {
        let planned = planned(target, nodes, &json!({"skip": skip}));
        planned
            .refusals
            .iter()
            .map(|refusal| refusal.rule.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        rules(PATCH, &cluster(OLD, PATCH), json!({"w9": "broken"})),
        ["skip"]
    );
    let two = [server("c1", OLD, MINOR), agent("w1", OLD, MINOR)];
    assert_eq!(rules(MINOR, &two, json!({"c1": "later"})), ["limit"]);
    assert!(rules(MINOR, &two, json!({"w1": "later"})).is_empty());
}

#[test]
fn a_skipped_node_needs_a_reason() {
    let options = json!({"target": PATCH, "nodes": [agent("w1", OLD, PATCH)], "skip": {"w1": " "}});
    let error = serde_json::from_value::<Params>(options).unwrap_err().to_string();
    assert!(error.contains("skip: w1 has no reason"), "{error}");
}

#[test]
fn the_summary_names_what_was_skipped_and_what_a_stop_has_left() {
    let nodes = [agent("w1", OLD, PATCH), agent("w2", OLD, PATCH)];
    let done = with(
        nodes[0].clone(),
        &json!({"after": {"changed": false, "running": PATCH, "installed": PATCH}}),
    );
    let more = json!({"mode": "summary", "skip": {"w3": "no disk"}, "stopped_by": "/srv/stop"});
    let lines = text::summary(&params(PATCH, &[done.clone(), nodes[1].clone()], &more));
    assert_eq!(
        lines[3..],
        [
            "w3: k3s_skip leaves it out: no disk",
            "the run stopped since /srv/stop is there. Left for the next run: w2. Remove the file and run the same command again",
        ]
    );
    // It came after the last node.
    assert_eq!(text::summary(&params(PATCH, &[done], &more)).len(), 3);
}

#[test]
fn repeats_the_warnings_of_nodes_that_have_a_turn_only() {
    let warns = |text: &str| json!({"version": {"warnings": [text]}});
    let nodes = [
        with(server("c1", PATCH, PATCH), &warns("of a node without work")),
        with(agent("w1", OLD, PATCH), &warns("of a node with work")),
    ];
    assert_eq!(
        planned(PATCH, &nodes, &json!({})).notices,
        ["w1: of a node with work"]
    );
}

fn workers(count: usize) -> Vec<Value> {
    let workers = (1..=count).map(|number| agent(&format!("w{number}"), OLD, PATCH));
    workers.chain([server("c1", OLD, PATCH)]).collect()
}

/// A cluster of these nodes, each with a replica of one workload unless it is a server.
fn survey(replicas_on: &[&str]) -> Survey {
    let node = |name: &str| json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"pods": "10"}}});
    let pod = |on: &&str| {
        json!({
            "metadata": {"name": on, "namespace": "demo", "uid": on, "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": true}]},
            "spec": {"nodeName": on, "containers": []},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        })
    };
    let nodes: Vec<Value> = ["w1", "w2", "w3", "w4", "c1"].map(node).to_vec();
    let pods: Vec<Value> = replicas_on.iter().map(pod).collect();
    Survey {
        nodes: serde_json::from_value(nodes.into()).unwrap(),
        pods: serde_json::from_value(pods.into()).unwrap(),
        ..Survey::default()
    }
}

fn batches(planned: &Planned) -> Vec<Vec<&str>> {
    let hosts = |batch: &Batch| batch.hosts.len();
    assert!(planned.batches.iter().all(|batch| hosts(batch) > 0));
    let batches = planned.batches.iter();
    batches
        .map(|batch| batch.hosts.iter().map(String::as_str).collect())
        .collect()
}

#[test]
fn workers_go_one_at_a_time_unless_more_are_asked_for_and_the_cluster_was_read() {
    let one = [vec!["w1"], vec!["w2"], vec!["w3"], vec!["w4"], vec!["c1"]];
    let two = json!({"workers_at_once": 2});
    assert_eq!(batches(&planned(PATCH, &workers(4), &json!({}))), one);
    assert_eq!(batches(&planned(PATCH, &workers(4), &two)), one);
    let seen = survey(&["w1", "w3", "w4"]);
    let read = |options: &Value| plan(&params(PATCH, &workers(4), options), Some(&seen));
    assert_eq!(batches(&read(&json!({}))), one);
    assert_eq!(
        batches(&read(&two)),
        [vec!["w1", "w2"], vec!["w3", "w4"], vec!["c1"]]
    );
    assert_eq!(
        batches(&read(&json!({"workers_at_once": "50%"}))),
        batches(&read(&two))
    );
    assert_eq!(batches(&read(&json!({"workers_at_once": "25%"}))), one);
}

#[test]
fn the_plan_names_the_batches_and_why_one_is_small() {
    let params = params(PATCH, &workers(4), &json!({"workers_at_once": "50%"}));
    let planned = plan(&params, Some(&survey(&["w1", "w2"])));
    let lines = text::plan(&params, &planned);
    let named: Vec<&String> = lines.iter().filter(|line| line.contains("batch")).collect();
    assert_eq!(
        named,
        [
            "batch 1 of 4: w1; w2 is not in it: demo/w1 and its replicas run on w1 and w2 only, and no budget keeps one of them",
            "batch 2 of 4: w2, w3",
            "batch 3 of 4: w4",
            "batch 4 of 4: c1",
            "up to 2 workers at once; each batch is checked again when it begins, since pods have moved by then",
        ]
    );
    let alone = text::plan(&params, &plan(&params, None));
    assert!(!alone.iter().any(|line| line.contains("batch")), "{alone:?}");
}

#[test]
fn an_uncordon_alone_holds_no_batch_back() {
    let ours = json!({"drain": {"cordoned_by": {"before": "ours"}}});
    let left = with(agent("w1", PATCH, PATCH), &ours);
    let nodes = [left, agent("w2", OLD, PATCH), server("c1", PATCH, PATCH)];
    let params = params(PATCH, &nodes, &json!({"workers_at_once": 2}));
    let planned = plan(&params, Some(&survey(&["w1", "w2"])));
    assert_eq!(batches(&planned), [vec!["w1", "w2"]]);
}

#[test]
fn nodes_that_are_left_out_are_in_no_batch() {
    let options =
        json!({"workers_at_once": 3, "limited_to": ["w1", "w3", "w4"], "skip": {"w3": "its disk is slow"}});
    let planned = plan(&params(PATCH, &workers(4), &options), Some(&survey(&[])));
    assert_eq!(
        (batches(&planned), planned.workers_at_once),
        (vec![vec!["w1", "w4"]], 2)
    );
}

#[test]
fn refuses_several_workers_at_once_without_budgets() {
    let refusals = |options: Value, count: usize| planned(PATCH, &workers(count), &options).refusals;
    for pdb in ["bypass", "respect_then_bypass"] {
        let [refusal] = &refusals(json!({"workers_at_once": 3, "pdb": pdb}), 4)[..] else {
            panic!("{pdb}")
        };
        assert_eq!(
            (refusal.host.as_str(), refusal.rule.as_str()),
            ("the run", "workers_at_once")
        );
        assert!(
            refusal
                .evidence
                .contains(&format!("3 workers at once, and k3s_drain_pdb is {pdb}")),
            "{}",
            refusal.evidence
        );
        assert!(
            refusal
                .next
                .as_ref()
                .unwrap()
                .starts_with("-e k3s_drain_pdb=respect")
        );
    }
    // Budgets are respected, it is one at a time after all, or nothing is to be done.
    assert_eq!(refusals(json!({"workers_at_once": 3, "pdb": "respect"}), 4), []);
    assert_eq!(refusals(json!({"pdb": "bypass"}), 4), []);
    assert_eq!(
        refusals(json!({"workers_at_once": "25%", "pdb": "bypass"}), 4),
        []
    );
    assert_eq!(refusals(json!({"workers_at_once": 3, "pdb": "bypass"}), 1), []);
    let current = [
        agent("w1", PATCH, PATCH),
        agent("w2", PATCH, PATCH),
        server("c1", PATCH, PATCH),
    ];
    assert_eq!(
        planned(PATCH, &current, &json!({"workers_at_once": 2, "pdb": "bypass"})).refusals,
        []
    );
}
