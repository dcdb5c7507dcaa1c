//! What is to be deleted, or why not. Pure.

use crate::params::Params;
use crate::state::{State, is_etcd_server};
use ansible_module::{Plan, Refusal};
use anyhow::{Result, bail};
use cluster::Node;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Guarded by the uid: one that has been registered anew stays.
    DeleteNode { name: String, uid: String },
    /// What the first machine of this name has reported to the cluster; another one would be refused.
    ForgetPassword { name: String },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeleteNode { name, .. } => write!(f, "delete the node {name}, and wait until it is gone"),
            Self::ForgetPassword { name } => write!(f, "forget the password of the node {name}"),
        }
    }
}

/// How many pods a message names.
const NAMED: usize = 10;

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let mut steps = Vec::new();
    if let Some(node) = &state.node {
        let checks = [alive(params, state), member(params, node), pods(params, state)];
        let refusals: Vec<Refusal> = checks.into_iter().flatten().collect();
        if !refusals.is_empty() {
            bail!("nothing was deleted. {}", Refusal::list(&refusals));
        }
        steps.push(Step::DeleteNode {
            name: params.node.clone(),
            uid: node.uid.clone(),
        });
    }
    // k3s deletes it with the Node, though not every version does.
    if state.password {
        steps.push(Step::ForgetPassword {
            name: params.node.clone(),
        });
    }
    Ok(Plan::of(steps))
}

fn alive(params: &Params, state: &State) -> Option<Refusal> {
    let why = state.alive()?;
    let evidence = format!("the kubelet of {} is alive: {why}", params.node);
    let advice = "stop k3s there first, and then give wait, until the cluster has noticed that it is gone";
    Some(Refusal::new("alive", evidence, advice))
}

fn member(params: &Params, node: &Node) -> Option<Refusal> {
    let name = &params.node;
    let Some(members) = &params.members else {
        let advice = "give members, as etcd_member answers them now: k3s removes its member with the Node, whether the quorum allows it or not";
        let evidence = format!("{name} is a server with embedded etcd, and members is not set");
        return is_etcd_server(node).then(|| Refusal::new("members_unknown", evidence, advice));
    };
    let own = members.iter().find(|member| {
        let by_name = member.name.is_some() && member.name.as_deref() == node.etcd_member();
        by_name || member.node.as_ref() == Some(name)
    })?;
    let evidence = format!(
        "{name} still has the member {} ({}) of etcd",
        own.name.as_deref().unwrap_or("without a name"),
        own.id
    );
    let advice =
        "remove that first, by etcd_member with state=absent, which checks that the quorum allows it";
    Some(Refusal::new("member", evidence, advice))
}

fn pods(params: &Params, state: &State) -> Option<Refusal> {
    let pods = state.own_pods();
    (!params.with_pods && !pods.is_empty()).then(|| {
        let more = pods.len().saturating_sub(NAMED);
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        let named = pods[..pods.len().min(NAMED)].join(", ");
        let evidence = format!("pods are bound to {}: {named}{more}", params.node);
        let advice = "drain it first; where nothing runs on that machine any more, give with_pods";
        Refusal::new("pods", evidence, advice)
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
