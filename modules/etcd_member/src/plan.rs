//! What may be removed. Pure.

use crate::compare::{listens_at, node_of};
use crate::gate::{self, ask_elsewhere, members_elsewhere, no_answer, numbers};
use crate::params::{Params, Want, Which};
use crate::state::{Cluster, Etcd, Member, Nodes, State, quorum_of};
use ansible_module::Plan;
use anyhow::{Result, bail};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Remove {
        id: u64,
        title: String,
    },
    /// Another server that restarted before the others agreed on a leader could miss the removal, and then wait
    /// for ever for a member that is gone.
    AwaitLeader {
        instead_of: u64,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove { id, title } => write!(f, "remove the member {title} ({id:x}) from etcd"),
            Self::AwaitLeader { .. } => f.write_str(
                "wait until another member leads, and 10 s in all before any server may be restarted",
            ),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let location = &state.location;
    match &params.want {
        Want::Query { wait, nodes_wait, .. } => match gate::judge(params, state) {
            Ok(mut warnings) => {
                warnings.extend(nodes_wait.and_then(|wait| gate::nodes_behind(state, wait)));
                Ok(Plan {
                    warnings,
                    ..Plan::default()
                })
            }
            Err(why) if *wait > 0 => bail!("{location}: {why} (waited {wait} s for it)"),
            Err(why) => bail!("{location}: {why}"),
        },
        Want::Absent { which, force } => match &state.seen.etcd {
            Etcd::Cluster(cluster) => removal(cluster, state, which, *force),
            Etcd::None => nothing_here(state),
            silent => bail!("{location}: removing a member: {}", no_answer(silent)),
        },
    }
}

fn nothing_here(state: &State) -> Result<Plan<Step>> {
    let elsewhere = members_elsewhere(&state.seen.nodes);
    if !elsewhere.is_empty() {
        bail!(
            "{}: removing a member: {}",
            state.location,
            ask_elsewhere(&elsewhere)
        );
    }
    let warning = "there is no embedded etcd here, so there is no member to remove".to_owned();
    Ok(Plan {
        warnings: vec![warning],
        ..Plan::default()
    })
}

fn removal(cluster: &Cluster, state: &State, which: &Which, force: bool) -> Result<Plan<Step>> {
    let nodes = &state.seen.nodes;
    let found: Vec<&Member> = cluster
        .members
        .iter()
        .filter(|member| is_meant(member, which, nodes))
        .collect();
    let member = match found.as_slice() {
        [] => return Ok(absent_already(cluster, which, nodes)),
        [member] => *member,
        several => bail!(
            "{}: {which} fits {} members of etcd: {}; say by id which one is to go",
            state.location,
            several.len(),
            several
                .iter()
                .map(|member| describe(cluster, member))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let mut refusals = never(cluster, member);
    if !force {
        let unless = |why| format!("{why} (force=true removes it all the same)");
        refusals.extend(unless_forced(cluster, member).into_iter().map(unless));
    }
    if !refusals.is_empty() {
        bail!(
            "{}: the member {} is not removed: {}",
            state.location,
            describe(cluster, member),
            refusals.join("; ")
        );
    }
    let mut steps = vec![Step::Remove {
        id: member.id,
        title: member.title(),
    }];
    if cluster.leader() == Some(member.id) {
        steps.push(Step::AwaitLeader {
            instead_of: member.id,
        });
    }
    Ok(Plan {
        warnings: few_left(cluster, member),
        ..Plan::of(steps)
    })
}

fn is_meant(member: &Member, which: &Which, nodes: &Nodes) -> bool {
    match which {
        Which::Name(name) => member.name == *name,
        Which::Node { name, address } => {
            let unnamed_there = |address: &String| !member.started() && listens_at(member, address);
            node_of(member, nodes).is_some_and(|node| node == *name)
                || address.as_ref().is_some_and(unnamed_there)
        }
        Which::PeerUrl(url) => member.peer_urls.iter().any(|peer| bare(peer) == bare(url)),
        Which::Id(id) => {
            let digits = id.trim().trim_start_matches("0x");
            u64::from_str_radix(digits, 16) == Ok(member.id) || digits.parse() == Ok(member.id)
        }
    }
}

fn bare(url: &str) -> &str {
    url.trim_end_matches('/')
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "the name {name}"),
            Self::Node { name, .. } => write!(f, "the node {name}"),
            Self::PeerUrl(url) => write!(f, "the peer URL {url}"),
            Self::Id(id) => write!(f, "the id {id}"),
        }
    }
}

fn describe(cluster: &Cluster, member: &Member) -> String {
    let state = cluster
        .trouble(member)
        .unwrap_or_else(|| "it is healthy".to_owned());
    if member.started() {
        format!("{} ({:x}: {state})", member.title(), member.id)
    } else {
        member.title()
    }
}

/// Nothing to do; but one without a name could be meant, and nothing shows it.
fn absent_already(cluster: &Cluster, which: &Which, nodes: &Nodes) -> Plan<Step> {
    let Which::Node { name, .. } = which else {
        return Plan::default();
    };
    let nameless = |member: &&Member| !member.started() && node_of(member, nodes).is_none();
    let warnings = cluster.members.iter().filter(nameless).map(|member| {
        format!(
            "the member {} may be of node {name}: say so by address, peer_url or id if it is",
            member.title()
        )
    });
    Plan {
        warnings: warnings.collect(),
        ..Plan::default()
    }
}

/// What no option overrides: the cluster would be lost.
fn never(cluster: &Cluster, member: &Member) -> Vec<String> {
    let mut refusals = Vec::new();
    if let Some(why) = &cluster.no_quorum {
        refusals.push(format!(
            "without a quorum etcd changes nothing ({why}). {}: bring one back, or restore with `k3s server --cluster-reset`",
            numbers(cluster)
        ));
        return refusals;
    }
    let staying = || cluster.voters().filter(|voter| voter.id != member.id);
    let (left, healthy) = (
        staying().count(),
        staying().filter(|voter| cluster.is_healthy(voter)).count(),
    );
    if left == 0 {
        refusals.push("it is the last voter: the cluster's data would be gone with it".to_owned());
    } else if healthy < quorum_of(left) {
        refusals.push(format!(
            "{left} voters would remain, {healthy} of them healthy, and their quorum is {}: it would be lost",
            quorum_of(left)
        ));
    }
    if member.id == cluster.own && left > 0 {
        refusals.push(
            "it is the member that was asked, and would stop on the way: ask through another server"
                .to_owned(),
        );
    }
    refusals
}

fn unless_forced(cluster: &Cluster, member: &Member) -> Vec<String> {
    let mut refusals = Vec::new();
    if cluster.is_healthy(member) {
        let kind = if member.learner {
            "learner that joins just now"
        } else {
            "voter"
        };
        refusals.push(format!("it is a healthy {kind}"));
    }
    let joining = cluster.learners().filter(|learner| learner.id != member.id);
    refusals.extend(joining.map(|learner| {
        format!(
            "{} is joining just now: wait until it votes, or remove it first",
            learner.title()
        )
    }));
    refusals
}

fn few_left(cluster: &Cluster, member: &Member) -> Vec<String> {
    let left = cluster.voters().filter(|voter| voter.id != member.id).count();
    let warning = match left {
        1 => {
            Some("one voter is left: the cluster tolerates no failure until two more have joined".to_owned())
        }
        even if even % 2 == 0 => Some(format!(
            "{even} voters are left: until another one has joined they tolerate no more failures than {} would",
            even - 1
        )),
        _ => None,
    };
    warning.into_iter().collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
