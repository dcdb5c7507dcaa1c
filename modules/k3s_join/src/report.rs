//! The answer.

use crate::explain::{self, Cause};
use crate::node::Node;
use crate::params::{Joining, Member, Params, Wanted};
use crate::server::Server;
use crate::verdict::{self, Next};
use crate::{State, former, plan};
use k3s_node::Role;
use serde::Serialize;

#[derive(Default, Serialize)]
pub struct Returned {
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
    /// The documented exception to the rule on secrets: it is needed on another machine. Callers set `no_log`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Seen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_members: Option<Vec<Stale>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone_nodes: Option<Vec<String>>,
    #[serde(flatten)]
    next: Option<Next>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causes: Option<Vec<Cause>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Seen {
    joined: bool,
    voter: bool,
    unit: bool,
    installed: Option<String>,
    name: String,
    hostname: String,
    addresses: Vec<String>,
    member: Option<String>,
}

#[derive(Serialize)]
struct Stale {
    id: String,
    name: Option<String>,
    node: Option<String>,
}

pub(crate) fn report(params: &Params, before: &State, after: &State) -> Returned {
    match (&params.wanted, after) {
        (_, State::Read(read)) => Returned {
            server: Some(read.server.clone()),
            token: Some(read.token.expose().to_owned()),
            agent_token: read.agent_token.as_ref().map(|token| token.expose().to_owned()),
            ..Returned::default()
        },
        (_, State::Journal(journal)) => Returned {
            causes: Some(explain::causes(journal)),
            journal: Some(explain::shown(journal)),
            ..Returned::default()
        },
        (_, State::Stopped) => Returned {
            next: Some(verdict::of_stopped()),
            ..Returned::default()
        },
        (Wanted::Prepared(joining), State::Node { node, stamp }) => {
            // Of before: what was set aside no longer shows whose it was.
            let State::Node { node: first, .. } = before else {
                return Returned::default();
            };
            Returned {
                node: Some(seen(params.role, joining, node)),
                next: Some(verdict::next(params.role, joining, node, stamp)),
                stale_members: Some(stale(params.role, joining, first)),
                gone_nodes: Some(plan::gone(params.role, joining, first)),
                ..Returned::default()
            }
        }
        _ => Returned::default(),
    }
}

fn seen(role: Role, joining: &Joining, node: &Node) -> Seen {
    Seen {
        joined: plan::joined(role, joining, node),
        voter: verdict::is_voter(joining, node),
        unit: node.role().is_some(),
        installed: node.version.as_ref().map(ToString::to_string),
        name: node.name.clone(),
        hostname: node.hostname.clone(),
        addresses: node.addresses.iter().map(ToString::to_string).collect(),
        member: node.etcd_name.clone().filter(|_| node.wal),
    }
}

fn stale(role: Role, joining: &Joining, node: &Node) -> Vec<Stale> {
    let of = |member: &Member| Stale {
        id: member.id.clone(),
        name: member.name.clone(),
        node: member.node.clone(),
    };
    former::stale(role, joining, node).into_iter().map(of).collect()
}
