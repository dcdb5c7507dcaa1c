//! Nodes that are left out of a run: the others alone have turns, and what these run must bear it.

use super::Turn;
use crate::node::Node;
use crate::params::Params;
use k3s_types::{K3sVersion, Role};
use per_node::Refusal;

/// API servers may be this many minors apart, and a kubelet this many behind the newest of them.
const SERVERS_APART: u32 = 1;
const KUBELETS_BEHIND: u32 = 3;

pub(crate) fn includes(params: &Params, node: &Node) -> bool {
    left_out_by(params, node).is_none()
}

/// What leaves this node out.
pub(crate) fn left_out_by(params: &Params, node: &Node) -> Option<&'static str> {
    let is_limited = |hosts: &Vec<String>| !hosts.contains(&node.host);
    if params.limited_to.as_ref().is_some_and(is_limited) {
        return Some("--limit");
    }
    params.skip.contains_key(&node.host).then_some("k3s_skip")
}

/// What the nodes that are left out have against the turns of the others.
pub(crate) fn refusals(params: &Params, turns: &[Turn]) -> Vec<Refusal> {
    let installs = |role: Role| {
        let of_role = turns.iter().filter(move |turn| turn.install && turn.role == role);
        of_role.map(|turn| turn.host.as_str()).collect::<Vec<_>>()
    };
    let (servers, agents) = (installs(Role::Server), installs(Role::Agent));
    if servers.is_empty() && agents.is_empty() {
        return Vec::new();
    }
    let refusal = |node: &Node| {
        let by = left_out_by(params, node)?;
        let evidence = match node.role? {
            Role::Server => beside_server(&params.target, node, &servers, &agents),
            Role::Agent => beside_agent(&params.target, node, &servers),
        }?;
        Some(Refusal {
            next: Some(format!("upgrade that node first, or leave {by} out")),
            ..Refusal::new(&node.host, "limit", format!("{by} leaves {evidence}"))
        })
    };
    params.nodes.iter().filter_map(refusal).collect()
}

fn beside_server(target: &K3sVersion, node: &Node, servers: &[&str], agents: &[&str]) -> Option<String> {
    let (Some(oldest), Some(newest)) = (node.version.oldest(), node.version.newest()) else {
        let why = node.version.task.fault();
        return Some(format!(
            "this controller out, and its version is not known: {}",
            why.as_deref().unwrap_or("it was not checked")
        ));
    };
    if !agents.is_empty() && oldest.minor_version() < target.minor_version() {
        return Some(format!(
            "this controller at {oldest}, and a kubelet may not be newer in minor than any API server: {} would get {target}",
            agents.join(", ")
        ));
    }
    if !servers.is_empty() && (apart(oldest, target).max(apart(newest, target))) > SERVERS_APART {
        return Some(format!(
            "this controller at {oldest}, and API servers may be one minor apart: {} would get {target}",
            servers.join(", ")
        ));
    }
    newer_kubelet(target, node, servers)
}

fn beside_agent(target: &K3sVersion, node: &Node, servers: &[&str]) -> Option<String> {
    let oldest = node.version.oldest()?;
    if !servers.is_empty() && oldest.minor + KUBELETS_BEHIND < target.minor {
        return Some(format!(
            "this worker at {oldest}, more than {KUBELETS_BEHIND} minors behind the {target} that {} would get",
            servers.join(", ")
        ));
    }
    newer_kubelet(target, node, servers)
}

/// On the way down, which is allowed by name only.
fn newer_kubelet(target: &K3sVersion, node: &Node, servers: &[&str]) -> Option<String> {
    let newest = node.version.newest()?;
    (!servers.is_empty() && newest.minor_version() > target.minor_version()).then(|| {
        format!(
            "this node at {newest}, and a kubelet may not be newer in minor than any API server: {} would get {target}",
            servers.join(", ")
        )
    })
}

fn apart(one: &K3sVersion, other: &K3sVersion) -> u32 {
    one.minor.abs_diff(other.minor)
}
