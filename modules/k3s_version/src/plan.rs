//! What the versions mean. Pure: nothing here asks anybody.

use crate::bad_hops::BadHop;
use crate::node::Node;
use crate::params::{Allow, Params, Wanted};
use crate::state::State;
pub(crate) use answers::Refused as Refusal;
use k3s_types::builds::Component;
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

/// A version on the way to the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Stop {
    pub version: K3sVersion,
    /// What the upgrade playbook goes there with.
    pub command: String,
    /// What to do before.
    pub before: Vec<Preparation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Preparation {
    pub rule: String,
    pub evidence: String,
    pub next: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub upgrade_required: bool,
    /// From the oldest k3s of the node; `None` where there is none.
    pub hop: Option<Hop>,
    pub order: Order,
    pub refusals: Vec<Refusal>,
    /// Where the hop may not be made at once: the versions to go to, of which the last is the target.
    pub stops: Vec<Stop>,
    pub warnings: Vec<String>,
}

pub(crate) fn decide(params: &Params, state: &State) -> Decision {
    let (node, target) = (&state.node, &state.target.version);
    let hop = hop(node, target);
    let pinned = matches!(params.wanted, Wanted::Pinned(_));
    let mut warnings: Vec<String> = state.target.warning.iter().cloned().collect();
    warnings.extend(halfway(node, &state.location));
    let mut decision = Decision {
        upgrade_required: required(node, target),
        hop,
        order: order(hop),
        refusals: Vec::new(),
        stops: Vec::new(),
        warnings,
    };
    if hop == Some(Hop::Downgrade) && !pinned {
        decision.upgrade_required = false;
        decision.warnings.extend(node.newest().map(|newest| {
            format!(
                "{}: k3s {newest} is newer than the channel's {target}: it is left unchanged",
                state.location
            )
        }));
        return decision;
    }
    if decision.upgrade_required {
        decision.warnings.extend(unknown_build(state));
        (decision.refusals, decision.stops) = refusals(&params.allow, state, hop);
        decision.refusals.extend(of_the_minor(params, hop, node, target));
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

fn halfway(node: &Node, location: &str) -> Option<String> {
    let (installed, running) = (node.installed.as_ref()?, node.running.as_ref()?);
    (installed != running).then(|| {
        format!("{location}: k3s {installed} is installed, but {running} still runs: it was not restarted")
    })
}

/// A build that is newer than the table may carry something that nobody has looked at.
fn unknown_build(state: &State) -> Option<String> {
    let target = &state.target.version;
    let judged_by = &state.known.builds.nearest(target)?.version;
    (judged_by != target).then(|| {
        format!(
            "k3s {target} is not in the table of builds: it is judged by what {judged_by} carries, the nearest build there"
        )
    })
}

fn refusals(allow: &Allow, state: &State, hop: Option<Hop>) -> (Vec<Refusal>, Vec<Stop>) {
    let (node, to) = (&state.node, &state.target.version);
    let bad: Vec<(&BadHop, String)> = bad_hops(allow, state, node.oldest(), to).collect();
    let stops = if must_stop(allow, hop) || bad.iter().any(|(rule, _)| rule.is_about_etcd()) {
        stops(allow, state)
    } else {
        Vec::new()
    };
    let mut refusals = Vec::new();
    if let (Some(hop), Some(from), Some(newest)) = (hop, node.oldest(), node.newest()) {
        refusals.extend(of_the_hop(allow, hop, from, newest, to, &stops));
    }
    refusals.extend(bad.into_iter().map(|(rule, found)| {
        Refusal {
            rule: rule.rule.clone(),
            evidence: format!("{found}; {} ({})", rule.why, rule.source.join(", ")),
            lifted_by: format!("allow_known_bad: [{}]", rule.rule),
            next: rule
                .next
                .clone()
                .unwrap_or_else(|| etcd_first(rule, &stops, node.oldest())),
        }
    }));
    (refusals, stops)
}

/// The rules that speak on the way from one version to another, each with what was found.
fn bad_hops<'s>(
    allow: &Allow,
    state: &'s State,
    from: Option<&K3sVersion>,
    to: &K3sVersion,
) -> impl Iterator<Item = (&'s BadHop, String)> {
    let known = &state.known;
    let rules = known
        .rules
        .iter()
        .filter(|rule| !allow.known_bad.contains(&rule.rule));
    rules.filter_map(move |rule| Some((rule, rule.evidence(from, to, &state.node, known)?)))
}

fn must_stop(allow: &Allow, hop: Option<Hop>) -> bool {
    hop == Some(Hop::MultiMinor) && !allow.skip_minor
}

/// The way through the builds. A node without a member of etcd goes the way of those that have one: whether the cluster
/// has etcd is nothing that a worker could say.
fn stops(allow: &Allow, state: &State) -> Vec<Stop> {
    let (builds, to) = (&state.known.builds, &state.target.version);
    let Some(from) = state.node.oldest() else {
        return Vec::new();
    };
    let running = state.node.etcd.version.as_deref();
    let Some(etcd) = running.or_else(|| builds.carried(from, Component::Etcd)) else {
        return Vec::new();
    };
    let way = builds.way(from, etcd, to, &state.known.etcd_steps(&allow.known_bad));
    let way = way.unwrap_or_default();
    let froms = std::iter::once(from).chain(&way);
    let hops = froms.zip(&way);
    hops.map(|(from, to)| stop(allow, state, from, to)).collect()
}

fn stop(allow: &Allow, state: &State, from: &K3sVersion, to: &K3sVersion) -> Stop {
    let before = bad_hops(allow, state, Some(from), to).filter_map(|(rule, evidence)| {
        Some(Preparation {
            rule: rule.rule.clone(),
            evidence,
            // The way itself is what a rule about etcd asks for.
            next: rule.next.clone()?,
        })
    });
    Stop {
        version: to.clone(),
        command: format!("-e k3s_target_version={to}"),
        before: before.collect(),
    }
}

/// The stops as one sentence, to paste from and to go on by.
fn in_words(stops: &[Stop]) -> Option<String> {
    let before = |stop: &Stop| {
        let rules: Vec<&str> = stop.before.iter().map(|before| before.rule.as_str()).collect();
        if rules.is_empty() {
            return String::new();
        }
        format!(" (first see to {})", rules.join(", "))
    };
    let (first, others) = stops.split_first()?;
    let others = others
        .iter()
        .map(|stop| format!(", then {}{}", stop.version, before(stop)));
    Some(format!(
        "{}{}{}",
        first.command,
        before(first),
        others.collect::<String>()
    ))
}

fn etcd_first(rule: &BadHop, stops: &[Stop], from: Option<&K3sVersion>) -> String {
    match (in_words(stops), from, rule.etcd_step()) {
        (Some(way), ..) => way,
        (None, Some(from), Some(step)) => format!(
            "restart k3s if it was not restarted, else go to a build that carries etcd {} or later and not yet {}: the table of builds has none after {from}",
            step.from, step.reaching
        ),
        (None, ..) => "install the version of k3s that ran here last, and upgrade from there".to_owned(),
    }
}

fn of_the_hop(
    allow: &Allow,
    hop: Hop,
    from: &K3sVersion,
    newest: &K3sVersion,
    to: &K3sVersion,
    stops: &[Stop],
) -> Option<Refusal> {
    let next_minor = || format!("-e k3s_channel=v{}.{}", from.major, from.minor + 1);
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
            next: in_words(stops).unwrap_or_else(next_minor),
        }),
        Hop::Major if !allow.skip_minor => Some(Refusal {
            rule: "major".to_owned(),
            evidence: format!("from {from} to {to} is another major version, of which nothing is known here"),
            lifted_by: "allow_skip_minor: true".to_owned(),
            next: next_minor(),
        }),
        _ => None,
    }
}

/// A channel's target is within the minor already.
fn of_the_minor(params: &Params, hop: Option<Hop>, node: &Node, to: &K3sVersion) -> Option<Refusal> {
    let stays = !params.allow.minor && matches!(params.wanted, Wanted::Pinned(_));
    let (Some(Hop::Minor | Hop::MultiMinor), Some(from)) = (hop.filter(|_| stays), node.oldest()) else {
        return None;
    };
    Some(Refusal {
        rule: "minor".to_owned(),
        evidence: format!("{to} has another minor than {from}, and only patches are allowed"),
        lifted_by: "allow_minor: true".to_owned(),
        next: "-e k3s_allow=minor".to_owned(),
    })
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
        state.location,
        state.target.version,
        each.collect::<Vec<_>>().join("; ")
    )
}

#[cfg(test)]
mod tests;
