//! What the taint does to the pods that are there, and to those that are yet to come. Pure.
//!
//! `NoSchedule` evicts nothing: what runs goes on. What counts is where its successor would find a node.

use crate::params::{Params, Wanted};
use crate::state::{State, counts, is_of_daemon_set, owner};
use cluster::{Node, Pod, Taint};
use std::collections::BTreeMap;

/// Taints that come and go with the node's state. A pod may run there in spite of them.
const PASSING: &str = "node.kubernetes.io/";

/// What becomes of a workload whose pods run on a node that is tainted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its next pod may run here too.
    Tolerates,
    /// Its next pod runs elsewhere.
    Moves,
    /// Its next pod finds no node.
    Unschedulable,
    /// A `DaemonSet`, which makes no other one here.
    LastHere,
    /// Nothing makes another one in any case.
    Alone,
}

impl Outcome {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Tolerates => "tolerates",
            Self::Moves => "moves",
            Self::Unschedulable => "stranded",
            Self::LastHere => "last_here",
            Self::Alone => "alone",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tolerates => "tolerates the taint",
            Self::Moves => "stays until it ends, then runs elsewhere",
            Self::Unschedulable => "stays until it ends, then finds no node",
            Self::LastHere => "stays until it ends, then runs here no more",
            Self::Alone => "stays until it ends, and nothing starts it again",
        })
    }
}

/// A workload on a node, with its pods there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staying {
    pub(crate) node: String,
    pub(crate) owner: String,
    pub(crate) pods: Vec<String>,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) staying: Vec<Staying>,
    /// Workloads that the taint takes the last node from, wherever their pods are now, and the nodes it would be.
    pub(crate) unschedulable: BTreeMap<String, Vec<String>>,
    /// The nodes that take a pod which asks for nothing and tolerates nothing.
    pub(crate) open: Vec<String>,
}

pub(crate) fn judge(params: &Params, state: &State) -> Judged {
    let pods = || state.pods.iter().filter(|pod| counts(pod));
    let mut judged = Judged {
        open: open(params, state),
        ..Judged::default()
    };
    for pod in pods() {
        let lost = lost(params, state, pod);
        if !lost.is_empty() {
            judged.unschedulable.insert(owner(pod), lost);
        }
    }
    let mut staying: BTreeMap<(String, String), Staying> = BTreeMap::new();
    for pod in pods().filter(|pod| params.nodes.iter().any(|name| name == pod.node_name())) {
        let (node, owner) = (pod.node_name().to_owned(), owner(pod));
        let outcome = outcome(params, &judged, pod);
        let entry = staying.entry((node.clone(), owner.clone()));
        let entry = entry.or_insert(Staying {
            node,
            owner,
            pods: Vec::new(),
            outcome,
        });
        entry.pods.push(pod.metadata.name.clone());
    }
    judged.staying = staying.into_values().collect();
    judged
}

fn outcome(params: &Params, judged: &Judged, pod: &Pod) -> Outcome {
    if pod.tolerates(&params.taint()) {
        Outcome::Tolerates
    } else if is_of_daemon_set(pod) {
        Outcome::LastHere
    } else if pod.metadata.controller().is_none() {
        Outcome::Alone
    } else if judged.unschedulable.contains_key(&owner(pod)) {
        Outcome::Unschedulable
    } else {
        Outcome::Moves
    }
}

/// The nodes on which a pod like this one could run now and could not afterwards, where no other node takes it.
fn lost(params: &Params, state: &State, pod: &Pod) -> Vec<String> {
    let bound = !pod.node_name().is_empty();
    if is_of_daemon_set(pod) || bound && pod.metadata.controller().is_none() {
        return Vec::new();
    }
    let tolerated = |taint: &Taint| !taint.keeps_off() || pod.tolerates(taint);
    let takes = |node: &Node| {
        node.takes_pods() && after(params, node).iter().all(tolerated) && reaches(state, pod, node)
    };
    if tolerated(&params.taint()) || state.nodes.iter().any(takes) {
        return Vec::new();
    }
    // Whether the node is cordoned or down just now does not matter: it would come back.
    let could = |node: &&Node| {
        is_new(params, node)
            && reaches(state, pod, node)
            && node
                .taints
                .iter()
                .all(|taint| taint.key.starts_with(PASSING) || tolerated(taint))
    };
    let lost = state.nodes.iter().filter(could);
    lost.map(|node| node.name.clone()).collect()
}

/// Whether the pod asks for such a node, and its volumes can be reached from there.
fn reaches(state: &State, pod: &Pod, node: &Node) -> bool {
    let volumes = pod.claims().filter_map(|claim| state.volumes.get(&claim));
    pod.asks_for(node)
        && volumes
            .into_iter()
            .all(|volume| volume.allows(&node.name, &node.labels))
}

fn open(params: &Params, state: &State) -> Vec<String> {
    let takes = |node: &&Node| node.takes_pods() && !after(params, node).iter().any(Taint::keeps_off);
    let open = state.nodes.iter().filter(takes);
    open.map(|node| node.name.clone()).collect()
}

/// A node's desired taints.
fn after(params: &Params, node: &Node) -> Vec<Taint> {
    if is_as_wanted(params, node) {
        return node.taints.clone();
    }
    let others = node.taints.iter().filter(|taint| !params.means(taint)).cloned();
    let ours = (params.state == Wanted::Present).then(|| params.taint());
    others.chain(ours).collect()
}

/// Whether the taint would be new on this node.
pub(crate) fn is_new(params: &Params, node: &Node) -> bool {
    params.state == Wanted::Present && !is_as_wanted(params, node)
}

/// Whether there is nothing to do about a node.
pub(crate) fn is_as_wanted(params: &Params, node: &Node) -> bool {
    let theirs = || node.taints.iter().filter(|taint| params.means(taint));
    !params.nodes.contains(&node.name)
        || match params.state {
            Wanted::Present => theirs().any(|taint| params.has_value(taint)),
            Wanted::Absent => !theirs().any(|taint| params.has_value(taint)),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{TAINT, claimed, node, options, pod, state};
    use serde_json::{Value, json};

    fn of(nodes: Vec<Node>, pods: Vec<Pod>) -> Judged {
        let params = options(json!({"nodes": ["c1", "c2"]})).unwrap();
        judge(&params, &state(nodes, pods))
    }

    fn three() -> Vec<Node> {
        vec![
            node("c1", json!({})),
            node("c2", json!({})),
            node("w1", json!({})),
        ]
    }

    fn outcomes(judged: &Judged) -> Vec<String> {
        let described = |staying: &Staying| {
            format!(
                "{} {} {} {}",
                staying.node,
                staying.owner,
                staying.pods.len(),
                staying.outcome.word()
            )
        };
        judged.staying.iter().map(described).collect()
    }

    fn tolerant() -> Value {
        json!({"spec": {"tolerations": [{"key": TAINT, "operator": "Exists"}]}})
    }

    #[test]
    fn groups_pods_by_node_and_workload() {
        let of_daemon_set = json!({"metadata": {"ownerReferences": [{"kind": "DaemonSet", "name": "svclb", "controller": true}]}});
        let alone = json!({"metadata": {"ownerReferences": []}});
        let judged = of(
            three(),
            vec![
                pod("web-1", "c1", json!({})),
                pod("web-2", "c1", json!({})),
                pod("web-3", "w1", json!({})),
                pod("dns-1", "c2", tolerant()),
                pod("svclb-1", "c2", of_daemon_set),
                pod("naked", "c2", alone),
                pod("done", "c1", json!({"status": {"phase": "Succeeded"}})),
            ],
        );
        assert_eq!(
            outcomes(&judged),
            [
                "c1 Deployment demo/web 2 moves",
                "c2 DaemonSet demo/svclb 1 last_here",
                "c2 Deployment demo/dns 1 tolerates",
                "c2 Pod demo/naked 1 alone",
            ]
        );
        assert_eq!(judged.open, ["w1"]);
        assert!(judged.unschedulable.is_empty());
    }

    #[test]
    fn finds_a_workload_that_only_a_controller_can_run_unschedulable() {
        let on = |label: &str| json!({"spec": {"nodeSelector": {"disk": label}}});
        let affinity = json!({"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c2"]}]}]}}}}});
        let labelled = |name: &str, label: &str| node(name, json!({"metadata": {"labels": {"disk": label}}}));
        let nodes = || {
            vec![
                labelled("c1", "ssd"),
                labelled("c2", "hdd"),
                labelled("w1", "hdd"),
            ]
        };
        let table = [
            (pod("web-1", "c1", on("ssd")), vec!["c1"]),
            (pod("web-1", "c2", on("hdd")), vec![]),
            (pod("web-1", "c2", affinity.clone()), vec!["c2"]),
            // It waits for a node, or is somewhere else just now.
            (pod("web-1", "", affinity.clone()), vec!["c2"]),
            (pod("web-1", "w1", on("ssd")), vec!["c1"]),
            // It asks for what no node has: that is not the taint's doing.
            (pod("web-1", "c1", on("tape")), vec![]),
        ];
        for (pod, lost) in table {
            let judged = of(nodes(), vec![pod]);
            let found: Vec<&String> = judged.unschedulable.values().flatten().collect();
            assert_eq!(found, lost, "{judged:?}");
        }
    }

    #[test]
    fn a_volume_on_a_controller_holds_its_pod_there() {
        let judged = of(three(), vec![claimed("db-0", "c1")]);
        assert!(
            judged.unschedulable.is_empty(),
            "it has no volume yet: {judged:?}"
        );
        let params = options(json!({"nodes": ["c1", "c2"]})).unwrap();
        let mut seen = state(three(), vec![claimed("db-0", "c1")]);
        let volume = json!({"metadata": {"name": "pv"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["c1"]}]}]}}}});
        let claim = ("demo".to_owned(), "data".to_owned());
        seen.volumes
            .insert(claim, serde_json::from_value(volume).unwrap());
        let judged = judge(&params, &seen);
        assert_eq!(judged.unschedulable["Deployment demo/db"], ["c1"]);
        assert_eq!(judged.staying[0].outcome, Outcome::Unschedulable);
    }

    #[test]
    fn ignores_workers_that_take_nothing() {
        let foreign = |effect: &str| json!({"spec": {"taints": [{"key": "gpu", "effect": effect}]}});
        let table = [
            (json!({"spec": {"unschedulable": true}}), true),
            (json!({"status": {"conditions": []}}), true),
            (foreign("NoSchedule"), true),
            (foreign("NoExecute"), true),
            (foreign("PreferNoSchedule"), false),
            (json!({}), false),
        ];
        for (worker, unschedulable) in table {
            let nodes = vec![node("c1", json!({})), node("w1", worker.clone())];
            let judged = of(nodes, vec![pod("web-1", "c1", json!({}))]);
            assert_eq!(!judged.unschedulable.is_empty(), unschedulable, "{worker}");
            assert_eq!(judged.open.is_empty(), unschedulable, "{worker}");
        }
    }

    #[test]
    fn ignores_nodes_that_took_no_pods_before() {
        let ours =
            json!({"spec": {"taints": [{"key": TAINT, "effect": "NoSchedule"}], "unschedulable": true}});
        let judged = of(
            vec![node("c1", ours.clone()), node("c2", ours)],
            vec![pod("web-1", "c1", json!({}))],
        );
        assert!(judged.unschedulable.is_empty());
        // Cordoned just now, by an upgrade say: it comes back, and the taint would stay.
        let cordoned = json!({"spec": {"unschedulable": true, "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}});
        let judged = of(vec![node("c1", cordoned)], vec![pod("web-1", "c1", json!({}))]);
        assert_eq!(judged.unschedulable["Deployment demo/web"], ["c1"]);
    }
}
