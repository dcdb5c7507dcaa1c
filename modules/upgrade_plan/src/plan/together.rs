//! Whether several nodes can be out of service at once. Pure.
//!
//! A node alone is drained as ever: what finds no node then has to wait for it. Two at once must not make it worse: their
//! pods find room on the others, some replica of every workload stays, and no budget waits for a node that is itself out.
//!
//! Room is an estimate, as large pods first on the first node with room: the scheduler weighs more than this.

use crate::survey::Survey;
use cluster::{Amounts, Budget, Node, PersistentVolume, Pod, join};
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that are named where a pod fits nowhere.
const NAMED: usize = 3;

/// Namespace, kind and name of what started a pod: of pods of a Deployment the one `ReplicaSet`.
type Workload<'a> = (&'a str, &'a str, &'a str);

pub(crate) struct Together<'s> {
    survey: &'s Survey,
    nodes: BTreeMap<&'s str, &'s Node>,
    /// The pods of each node, without those that have finished.
    pods: BTreeMap<&'s str, Vec<&'s Pod>>,
    used: BTreeMap<&'s str, Amounts>,
    /// Those that must not be beside certain others.
    apart: Vec<&'s Pod>,
    /// The volume of each claim.
    volumes: BTreeMap<(String, String), &'s PersistentVolume>,
}

/// A pod that a drain moves.
struct Moving<'s> {
    pod: &'s Pod,
    asked: Amounts,
    /// Whether it could run elsewhere if its own node alone were out.
    has_other: bool,
}

impl<'s> Together<'s> {
    pub(crate) fn new(survey: &'s Survey) -> Self {
        let mut pods: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        let mut used: BTreeMap<&str, Amounts> = BTreeMap::new();
        let bound = |pod: &&Pod| !pod.is_finished() && !pod.node_name().is_empty();
        for pod in survey.pods.iter().filter(bound) {
            pods.entry(pod.node_name()).or_default().push(pod);
            used.entry(pod.node_name()).or_default().add(&pod.requests());
        }
        Self {
            apart: pods
                .values()
                .flatten()
                .copied()
                .filter(|pod| pod.keeps_apart())
                .collect(),
            pods,
            used,
            nodes: survey
                .nodes
                .iter()
                .map(|node| (node.name.as_str(), node))
                .collect(),
            volumes: volumes(survey),
            survey,
        }
    }

    /// Why these nodes cannot be out at once; `None`: they can, or it is one alone.
    pub(crate) fn obstacle(&self, out: &[&str]) -> Option<String> {
        if out.len() < 2 {
            return None;
        }
        let moving = self.moving(out);
        self.last_replicas(out, &moving)
            .or_else(|| self.bound_replicas(&moving))
            .or_else(|| self.without_room(out, moving))
    }

    fn moving(&self, out: &[&str]) -> Vec<Moving<'s>> {
        let pods = out.iter().filter_map(|name| self.pods.get(name)).flatten();
        let moving = pods.filter(|pod| moves(pod)).map(|pod| Moving {
            pod,
            asked: pod.requests(),
            has_other: self
                .others(&[pod.node_name()])
                .any(|node| self.may_run(pod, node)),
        });
        moving.collect()
    }

    /// The nodes that take pods while these are out.
    fn others(&self, out: &[&str]) -> impl Iterator<Item = &'s Node> {
        let nodes = self.survey.nodes.iter().filter(|node| node.takes_pods());
        nodes.filter(|node| !out.contains(&node.name.as_str()))
    }

    /// Whether the pod may run there, whatever else does.
    fn may_run(&self, pod: &Pod, node: &Node) -> bool {
        pod.untolerated(node).is_none()
            && pod.asks_for(node)
            && pod.claims().all(|claim| {
                let volume = self.volumes.get(&claim);
                volume.is_none_or(|volume| volume.allows(&node.name, &node.labels))
            })
    }

    fn budgets(&self, pod: &Pod) -> impl Iterator<Item = &'s Budget> {
        let budgets = self.survey.budgets.iter();
        budgets.filter(|budget| budget.selects(&pod.metadata))
    }

    /// A workload without a budget whose ready replicas are all on these nodes. A budget keeps as many as it says.
    fn last_replicas(&self, out: &[&str], moving: &[Moving]) -> Option<String> {
        let mut ready: BTreeMap<Workload, Vec<&Pod>> = BTreeMap::new();
        for pod in moving
            .iter()
            .map(|moving| moving.pod)
            .filter(|pod| pod.is_ready())
        {
            ready.entry(owner(pod)).or_default().push(pod);
        }
        let stays = |pod: &&&Pod| pod.is_ready() && moves(pod) && !out.contains(&pod.node_name());
        let remaining: BTreeSet<Workload> = self
            .pods
            .values()
            .flatten()
            .filter(stays)
            .map(|pod| owner(pod))
            .collect();
        ready.iter().find_map(|(owner, pods)| {
            let nodes = nodes(pods);
            let lost = nodes.len() > 1
                && !remaining.contains(owner)
                && pods.iter().any(|pod| self.budgets(pod).next().is_none());
            lost.then(|| {
                format!(
                    "{} and its replicas run on {} only, and no budget keeps one of them",
                    pods[0].id(),
                    words(&nodes)
                )
            })
        })
    }

    /// A workload with replicas on several of these nodes that can run on no other: those of the second node go while
    /// those of the first wait for it. Only budgets that have room for all of them allow that.
    fn bound_replicas(&self, moving: &[Moving]) -> Option<String> {
        let bound = || {
            moving
                .iter()
                .filter(|moving| !moving.has_other)
                .map(|moving| moving.pod)
        };
        let mut by_owner: BTreeMap<Workload, Vec<&Pod>> = BTreeMap::new();
        let mut by_budget: BTreeMap<(&str, &str), (i64, Vec<&Pod>)> = BTreeMap::new();
        for pod in bound() {
            let mut budgets = self.budgets(pod).peekable();
            if budgets.peek().is_none() {
                by_owner.entry(owner(pod)).or_default().push(pod);
            }
            for budget in budgets {
                let entry = by_budget.entry((&budget.namespace, &budget.name)).or_default();
                entry.0 = budget.headroom.disruptions_allowed;
                entry.1.push(pod);
            }
        }
        let of_owner = by_owner.values().find_map(|pods| {
            let nodes = nodes(pods);
            (nodes.len() > 1).then(|| {
                format!(
                    "{} and replicas beside it can run on {} only",
                    pods[0].id(),
                    words(&nodes)
                )
            })
        });
        of_owner.or_else(|| {
            by_budget.iter().find_map(|((namespace, name), (allowed, pods))| {
                let nodes = nodes(pods);
                let count = i64::try_from(pods.len()).unwrap_or(i64::MAX);
                (nodes.len() > 1 && count > *allowed).then(|| {
                    format!(
                        "budget {namespace}/{name} allows {allowed} disruptions, and {count} of its pods can run on {} only",
                        words(&nodes)
                    )
                })
            })
        })
    }

    /// A pod that could move if its node alone were out, and finds no node without the other nodes.
    fn without_room(&self, out: &[&str], moving: Vec<Moving<'s>>) -> Option<String> {
        let nodes: Vec<&Node> = self.others(out).collect();
        let mut moving: Vec<Moving> = moving.into_iter().filter(|moving| moving.has_other).collect();
        moving.sort_by_cached_key(|moving| {
            let asked = &moving.asked;
            (-asked.of("memory"), -asked.of("cpu"), moving.pod.id())
        });
        let mut filled = Filled::new(self, out);
        moving
            .iter()
            .find_map(|moving| self.settle(&nodes, &mut filled, moving))
    }

    /// Puts a pod on the first node with room; else says what the nodes lack.
    fn settle<'f>(
        &self,
        nodes: &[&'s Node],
        filled: &mut Filled<'f, 's>,
        moving: &Moving<'s>,
    ) -> Option<String> {
        let mut lacks = Vec::new();
        for node in nodes.iter().filter(|node| self.may_run(moving.pod, node)) {
            let found = filled.lacks(moving, node);
            if found.is_empty() {
                filled.put(moving, node);
                return None;
            }
            lacks.push(format!("{} {found}", node.name));
        }
        let (pod, node) = (moving.pod.id(), moving.pod.node_name());
        if lacks.is_empty() {
            return Some(format!("{pod} of {node} can run on none of the other nodes"));
        }
        let more = lacks.len().saturating_sub(NAMED);
        lacks.truncate(NAMED);
        if more > 0 {
            lacks.push(format!("{more} more"));
        }
        Some(format!(
            "no other node has room for {pod} of {node}: {}",
            lacks.join("; ")
        ))
    }
}

/// The nodes that stay, as pods are put there one by one.
struct Filled<'f, 's> {
    together: &'f Together<'s>,
    out: &'f [&'f str],
    used: BTreeMap<&'s str, Amounts>,
    /// The pods that were put somewhere, and where.
    put: Vec<(&'s Pod, &'s Node)>,
}

impl<'f, 's> Filled<'f, 's> {
    fn new(together: &'f Together<'s>, out: &'f [&'f str]) -> Self {
        Self {
            together,
            out,
            used: BTreeMap::new(),
            put: Vec::new(),
        }
    }

    fn put(&mut self, moving: &Moving<'s>, node: &'s Node) {
        let before = self.together.used.get(node.name.as_str());
        let used = self
            .used
            .entry(&node.name)
            .or_insert_with(|| before.cloned().unwrap_or_default());
        used.add(&moving.asked);
        self.put.push((moving.pod, node));
    }

    /// Why the pod has no room there, in words; empty: it has.
    fn lacks(&self, moving: &Moving, node: &Node) -> String {
        if let Some(other) = self.parted(moving.pod, node) {
            return format!("has {other}, which it must not be beside");
        }
        let nothing = Amounts::default();
        let name = node.name.as_str();
        let used = self.used.get(name).or_else(|| self.together.used.get(name));
        let lacks = node.allocatable.lacks(used.unwrap_or(&nothing), &moving.asked);
        if lacks.is_empty() {
            return String::new();
        }
        format!("lacks {}", join(&lacks))
    }

    /// The pod beside which this one must not be.
    fn parted(&self, pod: &Pod, node: &Node) -> Option<String> {
        let stays = |other: &&&Pod| !self.out.contains(&other.node_name());
        let there: Box<dyn Iterator<Item = &&Pod>> = if pod.keeps_apart() {
            Box::new(self.together.pods.values().flatten())
        } else {
            Box::new(self.together.apart.iter())
        };
        let there = there.filter(stays).filter_map(|other| {
            let its = *self.together.nodes.get(other.node_name())?;
            Some((*other, its))
        });
        let mut all = there.chain(self.put.iter().copied());
        let (other, _) = all.find(|(other, its)| {
            let together =
                |key: &str| node.labels.contains_key(key) && node.labels.get(key) == its.labels.get(key);
            pod.parted_from(other, together)
        })?;
        Some(other.id().to_string())
    }
}

/// Whether another one is started for it elsewhere.
fn moves(pod: &Pod) -> bool {
    let is_its_nodes_own = pod.is_mirror() || pod.is_controlled_by("DaemonSet");
    !is_its_nodes_own && pod.metadata.controller().is_some() && pod.metadata.deletion_timestamp.is_none()
}

fn owner(pod: &Pod) -> Workload<'_> {
    let owner = pod.metadata.controller();
    owner.map_or(("", "", ""), |owner| {
        (&pod.metadata.namespace, &owner.kind, &owner.name)
    })
}

fn nodes<'a>(pods: &[&'a Pod]) -> BTreeSet<&'a str> {
    pods.iter().map(|pod| pod.node_name()).collect()
}

fn words(nodes: &BTreeSet<&str>) -> String {
    let names: Vec<&str> = nodes.iter().copied().collect();
    names.join(" and ")
}

fn volumes(survey: &Survey) -> BTreeMap<(String, String), &PersistentVolume> {
    let by_name: BTreeMap<&str, &PersistentVolume> = survey
        .volumes
        .iter()
        .map(|volume| (volume.metadata.name.as_str(), volume))
        .collect();
    let claims = survey.claims.iter();
    claims
        .filter_map(|claim| Some((claim.key(), *by_name.get(claim.volume())?)))
        .collect()
}

#[cfg(test)]
#[path = "together_tests.rs"]
mod tests;
