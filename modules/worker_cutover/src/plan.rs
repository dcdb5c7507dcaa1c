//! The refusals of a cutover, and what is missing after it. Pure.

use crate::moves::{Move, Outcome, Refused, Why, plan_moves};
use crate::nodes;
use crate::params::{Accepted, Params, Wanted};
use crate::state::{State, has_to_go};
use crate::verified;
use ansible_module::Refusal;
use anyhow::{Result, bail};
use cluster::{Node, Purpose};

/// Pods that a message names; all of them are in the answer.
const NAMED: usize = 10;

pub fn plan(params: &Params, state: &State) -> Result<Vec<String>> {
    match params.state {
        Wanted::Planned => planned(params, state),
        Wanted::Verified => proven(params, state),
    }
}

fn planned(params: &Params, state: &State) -> Result<Vec<String>> {
    let moves = plan_moves(params, state);
    let refusals = refusals(params, state, &moves);
    if !refusals.is_empty() {
        bail!(
            "the cutover from {} to {} is refused, nothing was touched. {}",
            params.old,
            params.new,
            Refusal::list(&refusals)
        );
    }
    let mut warnings = nodes::warnings(params, state);
    warnings.extend(waiting(&moves));
    warnings.extend(host_paths(params, &moves));
    Ok(warnings)
}

pub(crate) fn refusals(params: &Params, state: &State, moves: &[Move]) -> Vec<Refusal> {
    let mut refusals = nodes::refusals(params, state);
    // Without a usable new node, its room does not matter.
    if state.node(&params.new).is_some() {
        refusals.extend(homeless(params, moves));
    }
    refusals
}

/// Pods without a node, by what they lack.
fn homeless(params: &Params, moves: &[Move]) -> Vec<Refusal> {
    let of = |rule: Accepted| -> Vec<String> {
        let staying = moves.iter().filter_map(|moved| Some((moved, stays(moved)?)));
        staying
            .filter(|(_, refused)| self::rule(refused) == rule)
            .map(|(moved, refused)| format!("{} ({})", moved.pod.id(), cluster::join(refused)))
            .collect()
    };
    let elsewhere = if params.steer {
        ", let the other nodes take pods too (-e k3s_canary_steer=false)"
    } else {
        ""
    };
    let accept = |rule: Accepted| {
        format!(
            "or let them stay Pending: accept {0} (the playbook: -e '{{\"k3s_canary_accept\": [\"{0}\"]}}')",
            rule.rule()
        )
    };
    let table = [
        (
            Accepted::LocalVolume,
            "their volumes are on one node only",
            "move the data first, ".to_owned(),
        ),
        (
            Accepted::TooSmall,
            "there is too little room",
            format!("give the new worker's container more{elsewhere}, "),
        ),
        (
            Accepted::NoPlace,
            "no node may take them",
            format!("give the new worker the labels that they ask for, or take its taint away{elsewhere}, "),
        ),
    ];
    let refusal = |(rule, why, advice): (Accepted, &str, String)| {
        let pods = of(rule);
        (!pods.is_empty() && !params.accept.contains(&rule)).then(|| {
            let evidence = format!("these pods could not move, since {why}: {}", named(&pods));
            Refusal::new(rule.rule(), evidence, format!("{advice}{}", accept(rule)))
        })
    };
    table.into_iter().filter_map(refusal).collect()
}

fn stays<'m>(moved: &'m Move) -> Option<&'m [Refused]> {
    match &moved.outcome {
        Outcome::Stays(refused) => Some(refused),
        Outcome::Goes(_) => None,
    }
}

/// A volume is the harder obstacle; room can be made.
fn rule(refused: &[Refused]) -> Accepted {
    let any = |is: fn(&Why) -> bool| refused.iter().any(|refused| is(&refused.why));
    if any(|why| matches!(why, Why::Volume(_))) {
        Accepted::LocalVolume
    } else if any(|why| matches!(why, Why::Room(_))) {
        Accepted::TooSmall
    } else {
        Accepted::NoPlace
    }
}

fn waiting(moves: &[Move]) -> Option<String> {
    let pods: Vec<String> = moves
        .iter()
        .filter(|moved| stays(moved).is_some())
        .map(|moved| moved.pod.id().to_string())
        .collect();
    (!pods.is_empty()).then(|| format!("these pods stay Pending, as is accepted: {}", named(&pods)))
}

fn host_paths(params: &Params, moves: &[Move]) -> Option<String> {
    let paths = moves.iter().flat_map(|moved| {
        moved
            .pod
            .host_paths()
            .map(|path| format!("{} {path}", moved.pod.id()))
    });
    let paths: Vec<String> = paths.collect();
    (!paths.is_empty()).then(|| {
        format!(
            "these pods use folders of their node, and find those of {} there: {}",
            params.new,
            named(&paths)
        )
    })
}

pub(crate) fn named(things: &[String]) -> String {
    let more = things.len().saturating_sub(NAMED);
    let first = things[..things.len().min(NAMED)].join(", ");
    if more == 0 {
        first
    } else {
        format!("{first} and {more} more")
    }
}

fn proven(params: &Params, state: &State) -> Result<Vec<String>> {
    let missing = verified::missing(params, state);
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    bail!(
        "{} has not taken over from {} within {} s: {}. Look at these pods with `kubectl describe`",
        params.new,
        params.old,
        params.wait.as_secs(),
        missing.join("; ")
    )
}

/// Whether there is nothing to move any more, and the old node is closed for good.
pub(crate) fn is_done(params: &Params, state: &State) -> bool {
    let Some(old) = state.node(&params.old) else {
        return true;
    };
    let closed = old.unschedulable && matches!(old.cordoned_for(), None | Some(Purpose::Retire));
    closed && !state.pods_on(&params.old).any(has_to_go) && steered(state).next().is_none()
}

/// The nodes that a cutover has closed for a while, this one or an interrupted one.
pub(crate) fn steered(state: &State) -> impl Iterator<Item = &Node> {
    let nodes = state.nodes.iter();
    nodes.filter(|node| node.cordoned_for() == Some(Purpose::Steer))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
