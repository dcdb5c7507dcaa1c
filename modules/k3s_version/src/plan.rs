//! What the versions mean. Pure: nothing here asks anybody.

use crate::params::{Allow, Params, Wanted};
use crate::state::{Node, State};
use k3s_types::{Hop, K3sVersion};
use serde::Serialize;

/// Which nodes go first when this hop is made in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    WorkersFirst,
    ServersFirst,
    Either,
}

/// A hop that is not made unless the user lifts the rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Refusal {
    pub rule: String,
    pub evidence: String,
    #[serde(rename = "override")]
    pub lifted_by: String,
    pub next: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub upgrade_required: bool,
    /// From the oldest k3s of the node; `None` where there is none.
    pub hop: Option<Hop>,
    pub order: Order,
    pub refusals: Vec<Refusal>,
    pub warnings: Vec<String>,
}

pub(crate) fn decide(params: &Params, state: &State) -> Decision {
    let (node, target) = (&state.node, &state.target.version);
    let hop = hop(node, target);
    let pinned = matches!(params.wanted, Wanted::Pinned(_));
    let mut warnings: Vec<String> = state.target.warning.iter().cloned().collect();
    warnings.extend(halfway(node, &state.place));
    let mut decision = Decision {
        upgrade_required: required(node, target),
        hop,
        order: order(hop),
        refusals: Vec::new(),
        warnings,
    };
    if hop == Some(Hop::Downgrade) && !pinned {
        decision.upgrade_required = false;
        decision.warnings.extend(node.newest().map(|newest| {
            format!(
                "{}: k3s {newest} is newer than the channel's {target}: it is left as it is",
                state.place
            )
        }));
        return decision;
    }
    if decision.upgrade_required {
        decision.refusals = refusals(&params.allow, state, hop);
    }
    decision
}

/// Both have to match: what is installed and not running is an upgrade that stopped half-way.
fn required(node: &Node, target: &K3sVersion) -> bool {
    node.installed.as_ref() != Some(target) || node.running.as_ref() != Some(target)
}

/// Down is measured from the newest k3s that may have touched the data, up from the oldest at work.
fn hop(node: &Node, target: &K3sVersion) -> Option<Hop> {
    let (oldest, newest) = (node.oldest()?, node.newest()?);
    Some(if target < newest {
        Hop::Downgrade
    } else {
        oldest.hop_to(target)
    })
}

/// A kubelet may never be newer in minor than its API server; inside a minor the operators' order holds.
fn order(hop: Option<Hop>) -> Order {
    match hop {
        None | Some(Hop::None) => Order::Either,
        Some(Hop::Build | Hop::Patch | Hop::Downgrade) => Order::WorkersFirst,
        Some(Hop::Minor | Hop::MultiMinor | Hop::Major) => Order::ServersFirst,
    }
}

fn halfway(node: &Node, place: &str) -> Option<String> {
    let (installed, running) = (node.installed.as_ref()?, node.running.as_ref()?);
    (installed != running).then(|| {
        format!("{place}: k3s {installed} is installed, but {running} still runs: it was not restarted")
    })
}

fn refusals(allow: &Allow, state: &State, hop: Option<Hop>) -> Vec<Refusal> {
    let (node, to) = (&state.node, &state.target.version);
    let mut refusals = Vec::new();
    if let (Some(hop), Some(from), Some(newest)) = (hop, node.oldest(), node.newest()) {
        refusals.extend(of_the_hop(allow, hop, from, newest, to));
    }
    for bad in state
        .bad_hops
        .iter()
        .filter(|bad| !allow.known_bad.contains(&bad.rule))
    {
        refusals.extend(bad.evidence(node.oldest(), to, node).map(|found| Refusal {
            rule: bad.rule.clone(),
            evidence: format!("{found}; {} ({})", bad.why, bad.source.join(", ")),
            lifted_by: format!("allow_known_bad: [{}]", bad.rule),
            next: bad.next.clone(),
        }));
    }
    refusals
}

fn of_the_hop(
    allow: &Allow,
    hop: Hop,
    from: &K3sVersion,
    newest: &K3sVersion,
    to: &K3sVersion,
) -> Option<Refusal> {
    match hop {
        Hop::Downgrade if !allow.downgrade => Some(Refusal {
            rule: "downgrade".to_owned(),
            evidence: format!("{newest} is newer than {to}, and k3s does not support going back"),
            lifted_by: "allow_downgrade: true".to_owned(),
            next: format!("-e k3s_target_version={newest}, or a later version"),
        }),
        Hop::MultiMinor if !allow.skip_minor => Some(Refusal {
            rule: "skip_minor".to_owned(),
            evidence: format!("from {from} to {to} leaves out {}", between(from, to)),
            lifted_by: "allow_skip_minor: true".to_owned(),
            next: format!("-e k3s_channel=v{}.{}", from.major, from.minor + 1),
        }),
        Hop::Major if !allow.skip_minor => Some(Refusal {
            rule: "major".to_owned(),
            evidence: format!("from {from} to {to} is another major version, of which nothing is known here"),
            lifted_by: "allow_skip_minor: true".to_owned(),
            next: format!("-e k3s_channel=v{}.{}", from.major, from.minor + 1),
        }),
        _ => None,
    }
}

fn between(from: &K3sVersion, to: &K3sVersion) -> String {
    let minors = (from.minor + 1..to.minor).map(|minor| format!("v{}.{minor}", from.major));
    minors.collect::<Vec<_>>().join(", ")
}

/// The refusals in the words of a failed task.
pub(crate) fn sentence(state: &State, refusals: &[Refusal]) -> String {
    let each = refusals.iter().map(|refusal| {
        let Refusal {
            rule,
            evidence,
            lifted_by,
            next,
        } = refusal;
        format!("{rule}: {evidence}. Next: {next}. To do it all the same: {lifted_by}")
    });
    format!(
        "{}: going to k3s {} is refused: {}",
        state.place,
        state.target.version,
        each.collect::<Vec<_>>().join("; ")
    )
}

#[cfg(test)]
mod tests;
