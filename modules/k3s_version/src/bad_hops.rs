//! Hops that are known to end badly. They are data (`known_bad_hops.json`); what a condition means is here.

use crate::arguments::Removed;
use crate::builds::{Builds, EtcdStep};
use crate::node::Node;
use anyhow::{Context, Result};
use k3s_types::K3sVersion;
use k3s_types::builds::{Component, numbers};
use serde::Deserialize;

const HOPS: &str = include_str!("../known_bad_hops.json");

/// Objects that a refusal names: enough to find the others by.
const SHOWN: usize = 5;

/// The rules, and what they are judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knowledge {
    pub rules: Vec<BadHop>,
    pub builds: Builds,
    removed: Removed,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadHop {
    /// The name by which a user lifts it.
    pub rule: String,
    /// What is bad to arrive at from below. `None`: the condition says it.
    reaching: Option<Reaching>,
    condition: Condition,
    pub why: String,
    /// `None`: to stop at another build first.
    pub next: Option<String>,
    /// Where this is known from.
    pub source: Vec<String>,
}

/// A version of Kubernetes, or of what a build carries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reaching {
    Kubernetes(String),
    Etcd(String),
    Traefik(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    /// Bad on members of etcd that run an older one. Where etcd does not answer, the table of builds counts.
    EtcdOlderThan(String),
    /// Bad on cgroup v1, unless a setting lets the kubelet start there.
    CgroupV1,
    /// Bad where kube-proxy is to set a limit that it may not set, and the present one is above this.
    ConntrackLimitAbove(u64),
    /// Bad where the operator hands on what a component no longer has.
    RemovedArguments,
    /// Bad where the cluster has objects of these.
    ObjectsOf(Definitions),
    /// Bad where the values of one of k3s's charts have one key and not the other.
    ChartValue(ChartValue),
}

/// Definitions of custom resources, where they are those of a release of Helm in `kube-system`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definitions {
    pub release: String,
    /// A release whose own objects of them may go: it makes them anew.
    pub beside: String,
    /// The names of the definitions.
    pub kinds: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChartValue {
    pub chart: String,
    pub key: String,
    pub unless: String,
}

/// What the cluster has to be asked to judge a hop, and for which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question<'r> {
    Objects(&'r str, &'r Definitions),
    Value(&'r str, &'r ChartValue),
}

impl Knowledge {
    pub(crate) fn all() -> Result<Self> {
        Ok(Self {
            rules: rules()?,
            builds: Builds::all()?,
            removed: Removed::all()?,
        })
    }

    /// To ask the cluster costs a visit each, so only what this hop turns on is asked.
    pub(crate) fn questions(
        &self,
        lifted: &[String],
        from: &K3sVersion,
        to: &K3sVersion,
    ) -> Vec<Question<'_>> {
        let crossed =
            |rule: &&BadHop| rule.is_crossed(Some(from), to, &self.builds) && !lifted.contains(&rule.rule);
        let questions = self
            .rules
            .iter()
            .filter(crossed)
            .map(|rule| match &rule.condition {
                Condition::ObjectsOf(definitions) => Some(Question::Objects(&rule.rule, definitions)),
                Condition::ChartValue(value) => Some(Question::Value(&rule.rule, value)),
                _ => None,
            });
        questions.flatten().collect()
    }

    /// What every member of etcd has to run before a build carries a newer one.
    pub(crate) fn etcd_steps(&self, lifted: &[String]) -> Vec<EtcdStep<'_>> {
        let counted = self.rules.iter().filter(|rule| !lifted.contains(&rule.rule));
        counted.filter_map(BadHop::etcd_step).collect()
    }
}

fn rules() -> Result<Vec<BadHop>> {
    serde_json::from_str(HOPS).context("reading the list of known bad hops")
}

/// A rule that does not exist is a typing error, which would otherwise lift nothing without a word.
pub(crate) fn check_names(names: &[String]) -> Result<(), String> {
    let hops = rules().map_err(|error| format!("{error:#}"))?;
    let known: Vec<&str> = hops.iter().map(|hop| hop.rule.as_str()).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!(
            "allow_known_bad: there is no rule {name}; there are {}",
            known.join(", ")
        )),
    }
}

impl BadHop {
    /// What makes this node's hop `from` → `to` a bad one; `None`: nothing does.
    pub(crate) fn evidence(
        &self,
        from: Option<&K3sVersion>,
        to: &K3sVersion,
        node: &Node,
        known: &Knowledge,
    ) -> Option<String> {
        if !self.is_crossed(from, to, &known.builds) {
            return None;
        }
        match &self.condition {
            Condition::EtcdOlderThan(wanted) => old_etcd(wanted, from, to, node, &known.builds),
            Condition::CgroupV1 => (node.cgroup_v1 && !node.kubelet_starts_on_cgroup_v1()).then(|| {
                "the node is on cgroup v1, and neither kubelet-arg fail-cgroupv1=false nor failCgroupV1: false in a file of the kubelet's is there".to_owned()
            }),
            Condition::ConntrackLimitAbove(most) => node.conntrack_limit_above(*most),
            Condition::RemovedArguments => {
                let found = known.removed.among(&node.arguments, from, to);
                (!found.is_empty()).then(|| format!("the node has {}", found.join(", ")))
            }
            Condition::ObjectsOf(_) => several(node.found.get(&self.rule)?),
            Condition::ChartValue(value) => {
                let found = node.found.get(&self.rule)?.first()?;
                Some(format!("{found} has {} and not {}", value.key, value.unless))
            }
        }
    }

    pub(crate) fn etcd_step(&self) -> Option<EtcdStep<'_>> {
        match (&self.reaching, &self.condition) {
            (Some(Reaching::Etcd(reaching)), Condition::EtcdOlderThan(from)) => {
                Some(EtcdStep { reaching, from })
            }
            _ => None,
        }
    }

    pub(crate) fn is_about_etcd(&self) -> bool {
        self.etcd_step().is_some()
    }

    fn is_crossed(&self, from: Option<&K3sVersion>, to: &K3sVersion, builds: &Builds) -> bool {
        let Some(reaching) = &self.reaching else {
            return true;
        };
        let was_there = from.is_some_and(|from| reaching.is_reached_by(from, builds));
        reaching.is_reached_by(to, builds) && !was_there
    }
}

impl Reaching {
    fn is_reached_by(&self, version: &K3sVersion, builds: &Builds) -> bool {
        let carries = |component, wanted: &String| {
            let carried = builds.carried(version, component);
            carried.is_some_and(|carried| numbers(carried) >= numbers(wanted))
        };
        match self {
            Self::Kubernetes(wanted) => vec![version.major, version.minor, version.patch] >= numbers(wanted),
            Self::Etcd(wanted) => carries(Component::Etcd, wanted),
            Self::Traefik(wanted) => carries(Component::Traefik, wanted),
        }
    }
}

fn several(found: &[String]) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    let more = if found.len() > SHOWN { ", ..." } else { "" };
    let first = found[..found.len().min(SHOWN)].join(", ");
    Some(format!("the cluster has {} of them: {first}{more}", found.len()))
}

fn old_etcd(
    wanted: &str,
    from: Option<&K3sVersion>,
    to: &K3sVersion,
    node: &Node,
    builds: &Builds,
) -> Option<String> {
    if !node.etcd.member {
        return None;
    }
    let by_table = || Some((from?, builds.carried(from?, Component::Etcd)?));
    let found = match (&node.etcd.version, by_table()) {
        (Some(running), _) if numbers(running) >= numbers(wanted) => return None,
        (Some(running), _) => format!("etcd {running} runs here, older than {wanted}"),
        (None, Some((_, carried))) if numbers(carried) >= numbers(wanted) => return None,
        (None, Some((from, carried))) => {
            format!("etcd does not answer, and k3s {from} carries etcd {carried}, older than {wanted}")
        }
        (None, None) => {
            format!("there is a member of etcd here whose version is not known to be {wanted} or later")
        }
    };
    let carried = builds.carried(to, Component::Etcd)?;
    Some(format!("{found}; k3s {to} carries etcd {carried}"))
}

#[cfg(test)]
mod tests;
