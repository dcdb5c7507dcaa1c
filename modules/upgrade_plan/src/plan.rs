//! The order of a run, and why it is refused. Pure.

mod batches;
#[cfg(test)]
mod exhaustive_tests;
mod limit;
mod order;
mod refusals;
#[cfg(test)]
mod tests;
mod together;

use crate::node::Node;
use crate::params::{Drain, Params};
use crate::survey::Survey;
use answers::drain::CordonedBy;
pub(crate) use batches::Batch;
use k3s_types::Role;
use order::Chosen;
use per_node::{Refusal, once};
use serde::Serialize;
use std::collections::BTreeSet;

/// What is to be done, all of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    /// The nodes to be worked on, in their order.
    pub turns: Vec<Turn>,
    /// How many workers may be out of service at once.
    pub workers_at_once: usize,
    /// The turns, by what is done at the same time.
    pub batches: Vec<Batch>,
    pub order: &'static str,
    pub reason: String,
    pub refusals: Vec<Refusal>,
    pub skipped: Vec<Skipped>,
    /// What the operator should know beforehand.
    pub notices: Vec<String>,
}

/// One node's turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is what one `when` of the playbook asks"
)]
pub struct Turn {
    pub host: String,
    pub role: Role,
    /// Install and restart; else only a cordon of ours is to be removed.
    pub install: bool,
    pub drain: bool,
    /// Back the datastore up before this turn.
    pub backup: bool,
    /// Take a snapshot of the container before this turn.
    pub snapshot: bool,
    /// The controllers to speak to the cluster through, the best first.
    pub via: Vec<String>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    pub host: String,
    pub reason: String,
}

impl Planned {
    pub fn order_in_words(&self) -> &'static str {
        order::words(self.order)
    }
}

/// What an installation refuses, such as a full disk, can come up after as many seconds. It is to be found before the drain.
const DOWNLOAD_IS_FRESH: u64 = 300;

/// Whether the download to all nodes, which followed the run's first plan, was too long ago. A clock that was set back says nothing.
pub(crate) fn is_to_download_again(params: &Params, now: u64) -> bool {
    params.planned_at.is_some_and(|at| {
        now.checked_sub(at)
            .is_none_or(|seconds| seconds > DOWNLOAD_IS_FRESH)
    })
}

pub(crate) fn plan(params: &Params, survey: Option<&Survey>) -> Planned {
    let Chosen {
        order,
        reason,
        refusal,
    } = order::choose(params);
    let servers_first = order == order::SERVERS_FIRST;
    let mut nodes: Vec<&Node> = params.nodes.iter().collect();
    // Stable: inside a role the inventory's order stays.
    nodes.sort_by_key(|node| node.is_server() != servers_first);
    let mut turns: Vec<Turn> = nodes.iter().filter_map(|node| turn(params, node)).collect();
    if let Some(first) = turns
        .iter_mut()
        .find(|turn| turn.role == Role::Server && turn.install)
    {
        first.backup = params.backup;
    }
    let mut refusals = refusals::all(params, &turns);
    refusals.extend(refusal.filter(|_| !turns.is_empty()));
    let working: BTreeSet<&str> = turns.iter().map(|turn| turn.host.as_str()).collect();
    let skipped = nodes
        .iter()
        .filter(|node| !working.contains(node.host.as_str()))
        .map(|node| skipped(params, node))
        .collect();
    Planned {
        notices: notices(params, &turns),
        workers_at_once: batches::at_once(params, &turns),
        batches: batches::all(params, &turns, survey),
        turns,
        order,
        reason,
        refusals,
        skipped,
    }
}

/// `None`: the node is as it should be.
fn turn(params: &Params, node: &Node) -> Option<Turn> {
    let role = node.role?;
    if !limit::includes(params, node) {
        return None;
    }
    let install = !node.is_newer() && (node.version.upgrade_required || !node.install.actions.is_empty());
    let ours = node.drain.cordoned_by.before == CordonedBy::Ours;
    if !install && !ours {
        return None;
    }
    Some(Turn {
        host: node.host.clone(),
        role,
        install,
        drain: install && is_drained(params, role),
        backup: false,
        snapshot: install && params.snapshot && role == Role::Agent,
        via: via(params, node),
        reason: reason(params, node, install),
    })
}

fn is_drained(params: &Params, role: Role) -> bool {
    let several = params.nodes.iter().filter(|node| node.is_server()).count() > 1;
    match (role, params.drain_controllers) {
        (Role::Agent, _) | (Role::Server, Drain::True) => true,
        (Role::Server, Drain::Auto) => several,
        (Role::Server, Drain::False) => false,
    }
}

/// Another controller that answers first, then one that does not, and last the node itself: what it is asked
/// while it restarts it cannot answer.
fn via(params: &Params, node: &Node) -> Vec<String> {
    let mut servers: Vec<&Node> = params.nodes.iter().filter(|server| server.is_server()).collect();
    servers.sort_by_key(|server| (server.host == node.host, server.version.running.is_none()));
    servers.iter().map(|server| server.host.clone()).collect()
}

fn reason(params: &Params, node: &Node, install: bool) -> String {
    let target = &params.target;
    let version = &node.version;
    if !install {
        return "a cordon of an earlier run is left".to_owned();
    }
    match (&version.installed, &version.running) {
        (None, _) => format!("k3s is not installed; {target} is wanted"),
        (Some(installed), Some(running)) if installed == target && running == target => {
            "an earlier run was interrupted before its proof".to_owned()
        }
        (Some(installed), Some(running)) if installed != running => {
            format!("{installed} is installed, but {running} still runs: an earlier run was interrupted")
        }
        (Some(_), Some(running)) => format!("{running} runs"),
        (Some(installed), None) => format!("{installed} is installed, and the running version is unknown"),
    }
}

fn skipped(params: &Params, node: &Node) -> Skipped {
    let version = node
        .version
        .newest()
        .map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let reason = if node.role.is_none() {
        "it is neither in k3s_controllers nor in k3s_workers".to_owned()
    } else if let Some(by) = limit::left_out_by(params, node) {
        let why = params.skip.get(&node.host).filter(|_| by == "k3s_skip");
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        format!("{by} leaves it out{why} ({version} runs)")
    } else if node.is_newer() {
        format!("{version} is newer than the channel's version")
    } else if node.version.task.was_run() && node.version.task.fault().is_none() {
        let runs = node.version.running.is_some() || node.version.agentless;
        let running = if runs {
            " and runs"
        } else {
            "; whether it runs is unknown"
        };
        format!("{version} is installed{running}")
    } else {
        "it could not be checked".to_owned()
    };
    Skipped {
        host: node.host.clone(),
        reason,
    }
}

fn notices(params: &Params, turns: &[Turn]) -> Vec<String> {
    let health = crate::health::notice(&params.health).filter(|_| !turns.is_empty());
    outage(params, turns)
        .into_iter()
        .chain(of_versions(params, turns))
        .chain(health)
        .collect()
}

/// What `k3s_version` has to say of the nodes that have a turn.
fn of_versions(params: &Params, turns: &[Turn]) -> Vec<String> {
    let working: BTreeSet<&str> = turns.iter().map(|turn| turn.host.as_str()).collect();
    let has_turn = |node: &&Node| working.contains(node.host.as_str());
    let texts = params.nodes.iter().filter(has_turn).flat_map(|node| {
        let warnings = node.version.warnings.iter();
        warnings.map(|notice| (node.host.clone(), notice.clone()))
    });
    let texts: Vec<(String, String)> = texts.collect();
    let line = |said: per_node::Said| format!("{}: {}", said.nodes.join(", "), said.text);
    once(&texts).into_iter().map(line).collect()
}

fn outage(params: &Params, turns: &[Turn]) -> Option<String> {
    let restarts = turns
        .iter()
        .filter(|turn| turn.role == Role::Server && turn.install)
        .map(|turn| turn.host.as_str());
    let restarts = restarts.collect::<Vec<_>>().join(", ");
    if restarts.is_empty() {
        return None;
    }
    match params.nodes.iter().filter(|node| node.is_server()).count() {
        1 => Some(format!(
            "the API is unavailable while {restarts}, the only controller, restarts; pods keep running"
        )),
        2 => Some(format!(
            "unless the datastore is external the API is unavailable while each of {restarts} restarts: etcd with two members needs both"
        )),
        _ => None,
    }
}
