//! Whether the two nodes are what they have to be. Pure.

use crate::params::{Accepted, Params};
use crate::state::State;
use ansible_module::Refusal;
use cluster::{Node, Purpose, join};
use k3s_types::K3sVersion;
use std::time::{Duration, SystemTime};

/// A Lease is renewed every ten seconds; a dead node is called Ready for forty.
const SILENT: Duration = Duration::from_secs(20);
/// Nodes that were installed together register within this time of each other, in any order.
const TOGETHER: Duration = Duration::from_mins(1);

/// Why the pods must not move between these two.
pub(crate) fn refusals(params: &Params, state: &State) -> Vec<Refusal> {
    let (old, new) = (state.node(&params.old), state.node(&params.new));
    let mut refusals = Vec::from_iter(registers_again(params));
    if old.is_none() && !params.retirement.may_be_done() {
        refusals.push(unknown(state, "old", &params.old));
    }
    if new.is_none() {
        refusals.push(unknown(state, "new", &params.new));
    }
    refusals.extend(old.and_then(|old| server("old", old)));
    let Some(new) = new else { return refusals };
    refusals.extend(server("new", new));
    if let Some(old) = old {
        refusals.extend(may_take_over(state, new));
        refusals.extend(swapped(params, old, new));
    }
    refusals
}

/// A Node that is deleted under a running agent comes back.
fn registers_again(params: &Params) -> Option<Refusal> {
    let wanted = &params.retirement;
    let actions = wanted.agent_actions();
    (wanted.delete_node && !wanted.stop_agent && !actions.is_empty()).then(|| {
        Refusal::new(
            "agent_runs",
            format!(
                "the Node {0} is to be deleted, and the agent of {0} is not stopped ({1}): it would register again",
                params.old,
                actions.join(", ")
            ),
            "have it stopped too: stop_agent: true (the playbook: -e k3s_canary_stop_old_agent=true)",
        )
    })
}

fn unknown(state: &State, which: &str, name: &str) -> Refusal {
    let names: Vec<&str> = state
        .nodes
        .iter()
        .map(|node| node.name.as_str())
        .take(20)
        .collect();
    Refusal::new(
        "unknown_node",
        format!("the cluster has no node {name}, which is to be the {which} one"),
        format!("it has {}; a new worker has to join first", join(&names)),
    )
}

fn server(which: &str, node: &Node) -> Option<Refusal> {
    node.is_server().then(|| {
        Refusal::new(
            "server",
            format!("{}, which is to be the {which} one, is a controller", node.name),
            "only workers take over from each other",
        )
    })
}

/// Whether the new node can take anything at all.
fn may_take_over(state: &State, new: &Node) -> Vec<Refusal> {
    let name = &new.name;
    let mut refusals = Vec::new();
    if let Some(trouble) = new.trouble() {
        let advice =
            format!("see there what `journalctl -u k3s-agent` says, and `kubectl describe node {name}`");
        refusals.push(Refusal::new(
            "not_ready",
            format!("{name} is not Ready ({trouble})"),
            advice,
        ));
    } else if state.silent(name).is_none_or(|silent| silent > SILENT) {
        let heard = state.silent(name).map_or_else(
            || "ever".to_owned(),
            |silent| format!("for {} s", silent.as_secs()),
        );
        refusals.push(Refusal::new(
            "silent",
            format!("{name} is called Ready, but has not been heard of {heard}"),
            "see whether its agent runs, and whether the clocks of the hosts agree",
        ));
    }
    refusals.extend(closed(new));
    refusals.extend(newer(state, new));
    refusals
}

/// An interrupted cutover has closed it for a while; that one ends with this run.
fn closed(new: &Node) -> Option<Refusal> {
    let name = &new.name;
    let (by, advice) = match new.cordoned_for() {
        None if new.unschedulable => ("by an operator", "`kubectl uncordon` it if it is to be used"),
        None | Some(Purpose::Steer) => return None,
        Some(Purpose::Turn) => (
            "by an interrupted run",
            "run the playbook of that run again, which uncordons it",
        ),
        Some(Purpose::Retire) => (
            "by an earlier cutover, which has left it so",
            "`kubectl uncordon` it if it is to be used again",
        ),
    };
    Some(Refusal::new(
        "cordoned",
        format!("{name} was cordoned {by}"),
        advice,
    ))
}

/// A kubelet may never be newer than its API server.
fn newer(state: &State, new: &Node) -> Option<Refusal> {
    let servers = state.nodes.iter().filter(|node| node.is_server());
    let oldest = servers
        .filter_map(|node| node.kubelet_version.parse::<K3sVersion>().ok())
        .min()?;
    let own: K3sVersion = new.kubelet_version.parse().ok()?;
    (own > oldest).then(|| {
        Refusal::new(
            "newer",
            format!("{} runs {own}, and a controller {oldest}", new.name),
            "upgrade the cluster first: a worker is never newer than its controllers",
        )
    })
}

/// The new worker is the one that came later.
fn swapped(params: &Params, old: &Node, new: &Node) -> Option<Refusal> {
    let (old_since, new_since) = (SystemTime::from(old.created?), SystemTime::from(new.created?));
    let later = old_since.duration_since(new_since).ok()?;
    let accepted = params.accept.contains(&Accepted::Younger);
    (later > TOGETHER && !accepted).then(|| {
        Refusal::new(
            Accepted::Younger.rule(),
            format!(
                "{}, which is to be the old one, joined {} after {}: they seem to be swapped",
                old.name,
                span(later),
                new.name
            ),
            format!(
                "the pods of the old one go to the new one; if {} is meant to be given up, accept younger (the playbook: -e '{{\"k3s_canary_accept\": [\"younger\"]}}')",
                old.name
            ),
        )
    })
}

fn span(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

/// What an operator should know beforehand.
pub(crate) fn warnings(params: &Params, state: &State) -> Vec<String> {
    let (Some(old), Some(new)) = (state.node(&params.old), state.node(&params.new)) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    if let Some(trouble) = old.trouble() {
        warnings.push(format!(
            "{} is not Ready ({trouble}): nothing may confirm that its pods ended",
            old.name
        ));
    }
    if old.unschedulable && old.record.is_none() {
        warnings.push(format!(
            "{} is cordoned by an operator, so that an interrupted run leaves no record of what was on it",
            old.name
        ));
    }
    if old.architecture != new.architecture {
        warnings.push(format!(
            "{} is {}, {} is {}: see that there are images for it",
            old.name, old.architecture, new.name, new.architecture
        ));
    }
    let another = crate::moves::others(params, state).any(|node| !node.is_server() && node.is_ready());
    if !another {
        warnings.push(format!(
            "{} is then the only worker: nothing takes over from it",
            new.name
        ));
    }
    warnings
}
