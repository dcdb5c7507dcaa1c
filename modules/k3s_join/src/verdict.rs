//! What comes next for a node, for the playbook and in words. Pure.

use crate::node::Node;
use crate::params::Joining;
use crate::plan;
use k3s_node::Role;
use k3s_types::K3sVersion;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Stopped,
    Refused,
    Joined,
    Joins,
}

#[derive(Debug, Serialize)]
pub(crate) struct Next {
    verdict: Verdict,
    refused: Option<String>,
    version: Option<K3sVersion>,
    text: Vec<String>,
}

pub(crate) fn of_stopped() -> Next {
    let text = "its container is stopped: start it, and inspect it then";
    Next {
        verdict: Verdict::Stopped,
        refused: None,
        version: None,
        text: vec![text.to_owned()],
    }
}

pub(crate) fn next(role: Role, joining: &Joining, node: &Node, stamp: &str) -> Next {
    let refused = plan::refused(role, joining, node);
    let verdict = if refused.is_some() {
        Verdict::Refused
    } else if is_done(role, joining, node) {
        Verdict::Joined
    } else {
        Verdict::Joins
    };
    Next {
        text: text(verdict, role, joining, node, stamp),
        verdict,
        refused,
        version: version(role, joining, node),
    }
}

/// A member that is not a voter yet is not done.
fn is_done(role: Role, joining: &Joining, node: &Node) -> bool {
    match role {
        Role::Server => is_voter(joining, node),
        Role::Agent => plan::joined(role, joining, node),
    }
}

pub(crate) fn is_voter(joining: &Joining, node: &Node) -> bool {
    let member = node.member(&joining.members);
    member.is_some_and(|member| member.healthy && !member.learner)
}

/// A node that has joined keeps its version: upgrades are another playbook's.
fn version(role: Role, joining: &Joining, node: &Node) -> Option<K3sVersion> {
    if plan::joined(role, joining, node) {
        node.version.clone()
    } else {
        Some(joining.version.clone())
    }
}

fn text(verdict: Verdict, role: Role, joining: &Joining, node: &Node, stamp: &str) -> Vec<String> {
    let text = match (verdict, role) {
        (Verdict::Stopped, _) => return of_stopped().text,
        (Verdict::Refused, _) => "it cannot join".to_owned(),
        (Verdict::Joined, Role::Server) => "nothing: it is an etcd voter already".to_owned(),
        (Verdict::Joined, Role::Agent) => "nothing, if its agent runs: it has joined already".to_owned(),
        (Verdict::Joins, _) => {
            let until = match role {
                Role::Server => "until it is a voter",
                Role::Agent => "for its node to be Ready",
            };
            let last = format!("install or start k3s {}, and wait {until}", joining.version);
            let steps = plan::plan(role, joining, node, stamp).map(|plan| plan.steps);
            let steps = steps.unwrap_or_default();
            return steps.iter().map(ToString::to_string).chain([last]).collect();
        }
    };
    vec![text]
}
