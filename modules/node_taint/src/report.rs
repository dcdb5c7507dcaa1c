//! The documented return values, and the same for a person.

use crate::outcome::{Judged, Staying, is_as_wanted, judge};
use crate::params::{Params, Wanted};
use crate::state::State;
use cluster::Node;
use serde::Serialize;
use std::collections::BTreeMap;

/// Lines of workloads: a screen has 24.
const LINES: usize = 14;

#[derive(Serialize)]
pub struct Returned {
    taint: String,
    nodes: Vec<NodeTaints>,
    open: Vec<String>,
    staying: Vec<StayingPods>,
    #[serde(rename = "stranded")]
    unschedulable: BTreeMap<String, Vec<String>>,
    text: Vec<String>,
}

#[derive(Serialize)]
struct NodeTaints {
    node: String,
    before: Vec<String>,
    after: Vec<String>,
}

#[derive(Serialize)]
struct StayingPods {
    node: String,
    owner: String,
    pods: Vec<String>,
    #[serde(rename = "fate")]
    outcome: &'static str,
}

pub(crate) fn report(params: &Params, before: &State, after: &State) -> Returned {
    let judged = judge(params, before);
    let text = text(params, before, &judged);
    let taints = |state: &State, name: &str| {
        let node = state.node(name);
        let taints = node.map_or(&[][..], |node| &node.taints);
        taints.iter().map(ToString::to_string).collect()
    };
    let staying_pods = |staying: Staying| StayingPods {
        node: staying.node,
        owner: staying.owner,
        pods: staying.pods,
        outcome: staying.outcome.word(),
    };
    Returned {
        taint: params.taint().to_string(),
        nodes: params
            .nodes
            .iter()
            .map(|name| NodeTaints {
                node: name.clone(),
                before: taints(before, name),
                after: taints(after, name),
            })
            .collect(),
        open: judged.open,
        staying: judged.staying.into_iter().map(staying_pods).collect(),
        unschedulable: judged.unschedulable,
        text,
    }
}

fn text(params: &Params, state: &State, judged: &Judged) -> Vec<String> {
    let taint = params.taint();
    let nodes = params.nodes.iter().filter_map(|name| state.node(name));
    let (as_wanted, to_do): (Vec<&Node>, Vec<&Node>) = nodes.partition(|node| is_as_wanted(params, node));
    let names = |nodes: &[&Node]| {
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        names.join(", ")
    };
    let (doing, done) = match params.state {
        Wanted::Present => ("to be set on", "is on"),
        Wanted::Absent => ("to be removed from", "is not on"),
    };
    let mut text = Vec::new();
    if !to_do.is_empty() {
        text.push(format!("{taint} {doing} {}", names(&to_do)));
    }
    if !as_wanted.is_empty() {
        text.push(format!("{taint} {done} {}", names(&as_wanted)));
    }
    let open = if judged.open.is_empty() {
        "no node".to_owned()
    } else {
        judged.open.join(", ")
    };
    text.push(format!("pods that tolerate no taint can run on {open}"));
    if params.state == Wanted::Present {
        text.extend(staying(judged));
    }
    text
}

fn staying(judged: &Judged) -> Vec<String> {
    let line = |staying: &Staying| {
        let pods = match staying.pods.len() {
            1 => "1 pod".to_owned(),
            many => format!("{many} pods"),
        };
        format!("{}: {} ({pods}) {}", staying.node, staying.owner, staying.outcome)
    };
    if judged.staying.is_empty() {
        return vec!["no pods are on these nodes".to_owned()];
    }
    let mut lines = vec!["nothing is evicted; on these nodes are:".to_owned()];
    lines.extend(judged.staying.iter().take(LINES).map(line));
    if let Some(more) = judged.staying.len().checked_sub(LINES + 1) {
        lines.push(format!("... and {} more, in the answer's staying", more + 1));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{TAINT, node, options, pod, state};
    use serde_json::json;

    fn of(more: serde_json::Value, pods: usize) -> Vec<String> {
        let tainted = json!({"spec": {"taints": [{"key": TAINT, "effect": "NoSchedule"}]}});
        let nodes = vec![node("c1", json!({})), node("c2", tainted), node("w1", json!({}))];
        let pods = (0..pods).map(|number| pod(&format!("web{number}-1"), "c1", json!({})));
        let params = options(more).unwrap();
        let seen = state(nodes, pods.collect());
        report(&params, &seen, &seen).text
    }

    #[test]
    fn it_fits_on_a_screen() {
        let both = json!({"nodes": ["c1", "c2"]});
        let text = of(both.clone(), 2);
        assert_eq!(
            text,
            [
                &format!("{TAINT}:NoSchedule to be set on c1"),
                &format!("{TAINT}:NoSchedule is on c2"),
                "pods that tolerate no taint can run on w1",
                "nothing is evicted; on these nodes are:",
                "c1: Deployment demo/web0 (1 pod) stays until it ends, then runs elsewhere",
                "c1: Deployment demo/web1 (1 pod) stays until it ends, then runs elsewhere",
            ]
        );
        let text = of(both.clone(), 40);
        assert!(text.len() < 24);
        assert_eq!(text.last().unwrap(), "... and 26 more, in the answer's staying");
        assert_eq!(of(both, 0).last().unwrap(), "no pods are on these nodes");
    }

    #[test]
    fn a_taint_that_goes_leaves_all_pods_where_they_are() {
        let text = of(json!({"nodes": ["c1", "c2"], "state": "absent"}), 2);
        assert_eq!(
            text,
            [
                &format!("{TAINT}:NoSchedule to be removed from c2"),
                &format!("{TAINT}:NoSchedule is not on c1"),
                "pods that tolerate no taint can run on c1, c2, w1",
            ]
        );
    }
}
