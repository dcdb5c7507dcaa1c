//! Where each pod of the old node may go. Pure.
//!
//! It is an estimate, as large pods first on the first node with room: the scheduler weighs more than this. But what has
//! no node here will have none there.

use crate::params::Params;
use crate::state::{State, moves};
use cluster::{Amounts, Node, Pod, join};
use std::collections::BTreeMap;

/// One pod that has to move.
#[derive(Clone, Debug)]
pub(crate) struct Move<'s> {
    pub pod: &'s Pod,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Goes(String),
    Stays(Vec<Refused>),
}

/// A node that cannot take a pod, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub node: String,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The volume, which this node cannot have.
    Volume(String),
    Taint(String),
    Selector,
    /// The pod that it must not be beside.
    Apart(String),
    Room(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let node = &self.node;
        match &self.why {
            Why::Volume(volume) => write!(f, "its volume {volume} cannot be on {node}"),
            Why::Taint(taint) => write!(f, "it does not tolerate {taint} of {node}"),
            Why::Selector => write!(f, "{node} is none of the nodes that it asks for"),
            Why::Apart(pod) => write!(f, "it must not be beside {pod}, which is on {node}"),
            Why::Room(lacks) => write!(f, "{node} has no room for it: {lacks}"),
        }
    }
}

/// What keeps a pod off a node whatever else runs there.
pub(crate) fn obstacle(state: &State, pod: &Pod, node: &Node) -> Option<Why> {
    if let Some(volume) = foreign_volume(state, pod, node) {
        return Some(Why::Volume(volume));
    }
    if let Some(taint) = pod.untolerated(node) {
        return Some(Why::Taint(taint.to_string()));
    }
    (!pod.asks_for(node)).then_some(Why::Selector)
}

fn foreign_volume(state: &State, pod: &Pod, node: &Node) -> Option<String> {
    pod.claims().find_map(|key| {
        let claim = state.claims.iter().find(|claim| claim.key() == key)?;
        let volume = state
            .volumes
            .iter()
            .find(|volume| volume.metadata.name == claim.volume())?;
        (!volume.allows(&node.name, &node.labels)).then(|| volume.metadata.name.clone())
    })
}

/// The nodes that may take pods: the new one first, and where pods are not steered the other open ones too.
fn candidates<'s>(params: &'s Params, state: &'s State) -> Vec<&'s Node> {
    let new = state.node(&params.new).into_iter();
    let others = others(params, state).filter(|node| !params.steer && node.is_ready());
    new.chain(others).collect()
}

/// The other nodes that are open, or are closed by a cutover for a while only.
pub(crate) fn others<'s>(params: &'s Params, state: &'s State) -> impl Iterator<Item = &'s Node> {
    state.nodes.iter().filter(|node| {
        node.name != params.old
            && node.name != params.new
            && (!node.unschedulable || node.cordoned_for() == Some(cluster::Purpose::Steer))
    })
}

/// What is on each node, as pods are put there one by one.
struct Filled<'s> {
    used: BTreeMap<&'s str, Amounts>,
    pods: BTreeMap<&'s str, Vec<&'s Pod>>,
}

impl<'s> Filled<'s> {
    fn of(state: &'s State) -> Self {
        let mut filled = Self {
            used: BTreeMap::new(),
            pods: BTreeMap::new(),
        };
        for pod in state.pods.iter().filter(|pod| !pod.is_finished()) {
            filled.put(pod.node_name(), pod);
        }
        filled
    }

    fn put(&mut self, node: &'s str, pod: &'s Pod) {
        self.used.entry(node).or_default().add(&pod.requests());
        self.pods.entry(node).or_default().push(pod);
    }

    fn take_away(&mut self, node: &str) {
        self.pods.remove(node);
    }

    /// A pod beside which this one must not be, where both were on nodes that a label makes one domain.
    fn apart(&self, state: &State, pod: &Pod, node: &Node) -> Option<String> {
        state.nodes.iter().find_map(|other| {
            let together =
                |key: &str| node.labels.contains_key(key) && node.labels.get(key) == other.labels.get(key);
            let pods = self.pods.get(other.name.as_str())?;
            let beside = pods.iter().find(|there| pod.parted_from(there, together))?;
            Some(beside.id().to_string())
        })
    }

    fn lacks(&self, pod: &Pod, node: &Node) -> Option<String> {
        let nothing = Amounts::default();
        let used = self.used.get(node.name.as_str()).unwrap_or(&nothing);
        let lacks = node.allocatable.lacks(used, &pod.requests());
        (!lacks.is_empty()).then(|| join(&lacks))
    }
}

/// Every pod that has to move, with where it may go.
pub(crate) fn plan_moves<'s>(params: &'s Params, state: &'s State) -> Vec<Move<'s>> {
    let candidates = candidates(params, state);
    let mut going: Vec<&Pod> = state
        .pods
        .iter()
        .filter(|pod| pod.node_name() == params.old && moves(pod))
        .collect();
    going.sort_by_cached_key(|pod| {
        let asked = pod.requests();
        (-asked.of("memory"), -asked.of("cpu"), pod.id())
    });
    let mut filled = Filled::of(state);
    filled.take_away(&params.old);
    let mut moves: Vec<Move> = going
        .into_iter()
        .map(|pod| {
            let outcome = settle(state, &candidates, &mut filled, pod);
            Move { pod, outcome }
        })
        .collect();
    moves.sort_by_cached_key(|moved| moved.pod.id());
    moves
}

fn settle<'s>(state: &'s State, candidates: &[&'s Node], filled: &mut Filled<'s>, pod: &'s Pod) -> Outcome {
    let mut refused = Vec::new();
    for node in candidates {
        let why = obstacle(state, pod, node)
            .or_else(|| filled.apart(state, pod, node).map(Why::Apart))
            .or_else(|| filled.lacks(pod, node).map(Why::Room));
        let Some(why) = why else {
            filled.put(&node.name, pod);
            return Outcome::Goes(node.name.clone());
        };
        refused.push(Refused {
            node: node.name.clone(),
            why,
        });
    }
    Outcome::Stays(refused)
}
