//! What has to be done on a node before k3s is installed or started there, so that it joins. Pure.

use crate::former::{is_foreign, stale};
use crate::node::Node;
use crate::params::Joining;
use crate::refusals;
use ansible_module::{Plan, Refusal};
use anyhow::{Result, bail};
use k3s_node::Role;
use k3s_node::shared::Shared;
use std::fmt;
use std::net::IpAddr;
use yaml_tree::{Format, Map, Node as Yaml, to_text};

/// A clock that is off by more than this is reported; see [`refusals`] for how far it may be off.
const REPORTED_SKEW: u64 = 2;

#[derive(Clone, PartialEq, Eq)]
pub struct Step(pub(crate) Act);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Stops k3s first. `what` is below the folder `data`.
    SetAside {
        data: String,
        what: Vec<&'static str>,
        aside: String,
        why: &'static str,
        /// The script that ends pods: those that still run belong to another cluster, and outlive k3s.
        kill: Option<String>,
        /// The units to stop.
        units: Vec<String>,
    },
    /// It holds the token.
    Configure { path: String, text: String, url: String },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Act::SetAside { what, why, .. } if what.is_empty() => write!(f, "stop k3s: {why}"),
            Act::SetAside { what, aside, why, .. } => {
                write!(
                    f,
                    "stop k3s, and set {} aside as {aside}: {why}",
                    what.join(" and ")
                )
            }
            Act::Configure { path, url, .. } => write!(f, "write {path}: it joins {url}"),
        }
    }
}

/// What is to be set aside.
struct Old {
    what: Vec<&'static str>,
    why: &'static str,
    kill: bool,
}

/// Whether it belongs to the cluster already.
pub(crate) fn joined(role: Role, joining: &Joining, node: &Node) -> bool {
    match role {
        Role::Server => node.member(&joining.members).is_some(),
        Role::Agent => {
            let same = node.agent_ca.as_deref() == Some(joining.server.ca.trim());
            node.role() == Some(Role::Agent) && node.has_identity && same
        }
    }
}

/// Nodes that the cluster has to forget before this one joins: those of stale members, and its own where it has lost the
/// password by which the cluster recognizes it.
pub(crate) fn gone(role: Role, joining: &Joining, node: &Node) -> Vec<String> {
    if joined(role, joining, node) {
        return Vec::new();
    }
    let stale = stale(role, joining, node).into_iter();
    let mut gone: Vec<String> = stale.filter_map(|member| member.node.clone()).collect();
    gone.retain(|name| *name != joining.node_name);
    // A password that never brought it a certificate is not the one that the cluster has stored.
    if !(node.has_password && node.has_identity) {
        gone.push(joining.node_name.clone());
    }
    gone.sort();
    gone.dedup();
    gone
}

/// Why it cannot join, in one message.
pub(crate) fn refused(role: Role, joining: &Joining, node: &Node) -> Option<String> {
    if joined(role, joining, node) {
        return None;
    }
    let refusals = refusals::all(role, joining, node);
    (!refusals.is_empty()).then(|| format!("nothing was touched. {}", Refusal::list(&refusals)))
}

pub(crate) fn plan(role: Role, joining: &Joining, node: &Node, stamp: &str) -> Result<Plan<Step>> {
    if joined(role, joining, node) {
        return Ok(Plan::default());
    }
    match refused(role, joining, node) {
        Some(why) if joining.fail_on_refusal => bail!("{why}"),
        Some(_) => return Ok(Plan::default()),
        None => {}
    }
    let mut steps = Vec::new();
    if let Some(Old { what, why, kill }) = old(role, joining, node) {
        let aside = format!("before-join-{stamp}");
        steps.push(Act::SetAside {
            data: node.data_dir.clone(),
            what,
            aside,
            why,
            kill: node.killall.clone().filter(|_| kill),
            units: node.unit_names(),
        });
    }
    let text = configuration(role, joining, node);
    if node.ours.as_ref() != Some(&text) {
        steps.push(Act::Configure {
            path: node.ours_path(),
            text,
            url: node.url(joining),
        });
    }
    let mut plan = Plan::of(steps.into_iter().map(Step).collect());
    plan.warnings = warnings(joining, node);
    Ok(plan)
}

fn old(role: Role, joining: &Joining, node: &Node) -> Option<Old> {
    // By the server's data it is known whose they are: that goes last, in case this is interrupted.
    let all = || -> Vec<&'static str> {
        let [server, agent] = node.data;
        let all = [("agent", agent), ("server", server)].into_iter();
        all.filter_map(|(name, there)| there.then_some(name)).collect()
    };
    if is_foreign(joining, node) {
        let why = "its data is of another cluster";
        return Some(Old {
            what: all(),
            why,
            kill: true,
        });
    }
    if node.role().is_none() && (node.ca.is_some() || node.has_identity) {
        let why = "there is data of k3s, and no unit that it belongs to";
        return Some(Old {
            what: all(),
            why,
            kill: true,
        });
    }
    if role == Role::Server && node.wal {
        let why = "the cluster does not know this member of etcd any more";
        return Some(Old {
            what: vec!["server/db/etcd"],
            why,
            kill: false,
        });
    }
    // Half-way in, it could become a member while others make room for it.
    node.alive.then(|| Old {
        what: Vec::new(),
        why: "it runs, and does not belong to the cluster yet",
        kill: false,
    })
}

/// Our file beside the operator's. Lists stand as lists, so that k3s takes them for all that is said.
fn configuration(role: Role, joining: &Joining, node: &Node) -> String {
    let mut settings = Map::default();
    let mut say = |name: &str, value: Yaml| settings.set(name, value);
    if !node.named && node.name != joining.node_name {
        say("node-name", Yaml::text(joining.node_name.as_str()));
    }
    say("server", Yaml::text(joining.server.url.as_str()));
    say("token", Yaml::text(joining.token.expose()));
    if role == Role::Server {
        if let Some(token) = &joining.agent_token {
            say("agent-token", Yaml::text(token.expose()));
        }
        let missing: Shared = node.said().missing(&joining.server.settings);
        for (name, values) in missing {
            let several = values.len() > 1 || matches!(name.as_str(), "disable" | "tls-san");
            let value = match values.first() {
                Some(only) if !several => flag(only),
                _ => Yaml::List(values.into_iter().map(Yaml::text).collect()),
            };
            say(&name, value);
        }
    }
    let text = to_text(&settings, Format::Yaml);
    format!("# Written by homelab.k3s.k3s_join: which cluster this node joins.\n{text}")
}

fn flag(value: &str) -> Yaml {
    match value {
        "true" => Yaml::from(true),
        "false" => Yaml::from(false),
        other => Yaml::text(other),
    }
}

fn warnings(joining: &Joining, node: &Node) -> Vec<String> {
    let mut warnings = Vec::new();
    // One of each family is what a server with both has.
    for of_family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
        let addresses: Vec<&IpAddr> = node
            .resolved
            .iter()
            .filter(|address| of_family(address))
            .collect();
        if addresses.len() > 1 {
            let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            warnings.push(format!(
                "{} has {} addresses ({}): a node that starts picks one of them and does not try the next",
                joining.server.url,
                names.len(),
                names.join(", ")
            ));
        }
    }
    if let Some(ahead) = node.ahead.filter(|ahead| ahead.unsigned_abs() > REPORTED_SKEW) {
        warnings.push(format!(
            "the clock here is {ahead} s ahead of the server's: etcd wants them closer together"
        ));
    }
    warnings
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
