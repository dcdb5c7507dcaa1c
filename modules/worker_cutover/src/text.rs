//! The plan, or what was found, for a reader.

use crate::gates::Gates;
use crate::moves::{Move, Outcome};
use crate::params::{Params, Wanted};
use crate::plan::{is_done, named};
use crate::state::{State, has_to_go};
use cluster::{Amounts, PodId};
use std::collections::BTreeMap;

pub(crate) fn lines(params: &Params, state: &State, moves: &[Move], gates: &Gates) -> Vec<String> {
    match params.state {
        Wanted::Planned => planned(params, state, moves, gates),
        Wanted::Verified => verified(params, state),
    }
}

fn planned(params: &Params, state: &State, moves: &[Move], gates: &Gates) -> Vec<String> {
    let (old, new) = (&params.old, &params.new);
    if state.node(old).is_none() {
        return vec![format!("nothing: the cluster has no node {old} any more")];
    }
    if is_done(params, state) {
        return vec![format!(
            "nothing: {old} is cordoned, and nothing is left on it that could move"
        )];
    }
    let mut lines = vec![format!("{old} is drained, and {new} takes over")];
    lines.extend(closed(
        &gates.reopen,
        "uncordoned first, since an interrupted cutover left them cordoned",
    ));
    lines.extend(closed(
        &gates.steer,
        "cordoned meanwhile, so that pods go there only",
    ));
    let mut by_node: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for moved in moves {
        match &moved.outcome {
            Outcome::Goes(node) => by_node.entry(node).or_default().push(moved.pod.id().to_string()),
            Outcome::Stays(refused) => {
                lines.push(format!(
                    "stays Pending: {}, since {}",
                    moved.pod.id(),
                    cluster::join(refused)
                ));
            }
        }
    }
    for (node, pods) in by_node {
        lines.push(format!(
            "room on {node} for {}: {}",
            count(pods.len()),
            named(&pods)
        ));
    }
    let alone: Vec<String> = alone(params, state).map(|pod| pod.to_string()).collect();
    if !alone.is_empty() {
        lines.push(format!("no controller starts these again: {}", named(&alone)));
    }
    if !moves.is_empty() {
        lines.push(room(params, state, moves));
    }
    lines
}

fn closed(nodes: &[String], why: &str) -> Option<String> {
    (!nodes.is_empty()).then(|| format!("{}: {why}", nodes.join(", ")))
}

fn count(pods: usize) -> String {
    if pods == 1 {
        "1 pod".to_owned()
    } else {
        format!("{pods} pods")
    }
}

/// Processors and memory, which are what one looks at first.
fn room(params: &Params, state: &State, moves: &[Move]) -> String {
    let (mut asked, mut used) = (Amounts::default(), Amounts::default());
    for moved in moves {
        asked.add(&moved.pod.requests());
    }
    for pod in state.pods_on(&params.new).filter(|pod| !pod.is_finished()) {
        used.add(&pod.requests());
    }
    let has = state
        .node(&params.new)
        .map(|node| node.allocatable.clone())
        .unwrap_or_default();
    let part = |resource: &str| {
        let left = (has.of(resource) - used.of(resource)).max(0);
        format!(
            "{} of {} left",
            cluster::format_amount(resource, asked.of(resource)),
            cluster::format_amount(resource, left)
        )
    };
    format!(
        "asked of {}: processors {}, memory {}, pods {}",
        params.new,
        part("cpu"),
        part("memory"),
        part("pods")
    )
}

fn verified(params: &Params, state: &State) -> Vec<String> {
    let on_new = state
        .pods_on(&params.new)
        .filter(|pod| state.theirs.contains_key(&pod.metadata.uid))
        .count();
    let mut lines = vec![format!(
        "{} runs {} of the workloads that were on {}",
        params.new,
        count(on_new),
        params.old
    )];
    lines.extend(state.workloads.iter().map(|seen| {
        let now = seen.now.map_or_else(
            || "it is gone".to_owned(),
            |now| format!("{} ready now", now.ready),
        );
        format!("{}: {} ready before, {now}", seen.owner, seen.owner.ready)
    }));
    lines
}

/// Pods on the old node that nothing starts again: a drain has its own word about them.
fn alone<'s>(params: &'s Params, state: &'s State) -> impl Iterator<Item = PodId> + 's {
    let alone = state
        .pods_on(&params.old)
        .filter(|pod| has_to_go(pod) && pod.metadata.controller().is_none());
    alone.map(cluster::Pod::id)
}
