//! A verdict a pod, with its reason. Pure.

use crate::params::{LocalVolumes, Params, Rules};
use crate::state::{Budget, State};
use anyhow::{Result, bail};
use cluster::{Pod, join};
use std::fmt;

/// What happens to a pod, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Evict(Vec<Consequence>),
    Leave(Leave),
    Refuse(Vec<Refusal>),
}

/// What going means for a pod, besides starting elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Its volume, which is here only: it stays Pending until the uncordon.
    WaitsForTheNode(String),
    /// It asks for a node such as this one only.
    FitsHereOnly,
    LosesEmptyDir,
    GoneForGood,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    Mirror,
    Finished,
    DaemonSet,
    /// It goes anyway, and is waited for.
    Terminating,
    /// It should have gone long ago; `skip_wait_for_delete_timeout` says not to wait.
    TerminatingForLong,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoController,
    EmptyDir,
    LocalVolume(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evict(consequences) if consequences.is_empty() => {
                f.write_str("its controller starts another one elsewhere")
            }
            Self::Evict(consequences) => f.write_str(&join(consequences)),
            Self::Leave(leave) => write!(f, "{leave}"),
            Self::Refuse(refusals) => f.write_str(&join(refusals)),
        }
    }
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitsForTheNode(volume) => {
                write!(
                    f,
                    "its volume {volume} is on this node only, so it stays Pending until the uncordon"
                )
            }
            Self::FitsHereOnly => {
                f.write_str("no other node is what it asks for, so it stays Pending until the uncordon")
            }
            Self::LosesEmptyDir => f.write_str("the data in its emptyDir is lost"),
            Self::GoneForGood => f.write_str("it has no controller, so nothing starts it again"),
        }
    }
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mirror => "a static pod: the kubelet runs it from a file",
            Self::Finished => "it has finished",
            Self::DaemonSet => "its DaemonSet would start it here again",
            Self::Terminating => "it is terminating already",
            Self::TerminatingForLong => "it has been terminating for too long to be waited for",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoController => {
                f.write_str("no controller would start it again (force: true deletes it for good)")
            }
            Self::EmptyDir => {
                f.write_str("the data in its emptyDir would be lost (delete_emptydir_data: true allows that)")
            }
            Self::LocalVolume(volume) => write!(
                f,
                "its volume {volume} is on this node only (local_volumes: wait lets it be Pending until the uncordon)"
            ),
        }
    }
}

/// What becomes of one pod.
pub fn judge(rules: &Rules, state: &State, pod: &Pod) -> Verdict {
    match leave(rules, state, pod) {
        Some(leave) => Verdict::Leave(leave),
        None => go(rules, state, pod),
    }
}

fn leave(rules: &Rules, state: &State, pod: &Pod) -> Option<Leave> {
    if pod.is_mirror() {
        return Some(Leave::Mirror);
    }
    if pod.is_finished() {
        return Some(Leave::Finished);
    }
    if pod.is_controlled_by("DaemonSet") {
        return Some(Leave::DaemonSet);
    }
    pod.metadata.deletion_timestamp.map(|deleted| {
        let skip = rules.skip_wait_for_delete_timeout;
        if !skip.is_zero() && deleted.until(state.now) > skip {
            Leave::TerminatingForLong
        } else {
            Leave::Terminating
        }
    })
}

fn go(rules: &Rules, state: &State, pod: &Pod) -> Verdict {
    let volume = pod.claims().find_map(|claim| state.pinned.get(&claim)).cloned();
    let (mut refusals, mut consequences) = (Vec::new(), Vec::new());
    let mut weigh =
        |found: bool, allowed: bool, refusal: Refusal, consequence: Consequence| match (found, allowed) {
            (true, true) => consequences.push(consequence),
            (true, false) => refusals.push(refusal),
            (false, _) => {}
        };
    weigh(
        pod.metadata.controller().is_none(),
        rules.force,
        Refusal::NoController,
        Consequence::GoneForGood,
    );
    weigh(
        pod.has_empty_dir(),
        rules.delete_emptydir_data,
        Refusal::EmptyDir,
        Consequence::LosesEmptyDir,
    );
    let name = volume.clone().unwrap_or_default();
    let (refusal, consequence) = (
        Refusal::LocalVolume(name.clone()),
        Consequence::WaitsForTheNode(name),
    );
    weigh(
        volume.is_some(),
        rules.local_volumes == LocalVolumes::Wait,
        refusal,
        consequence,
    );
    // A pod that nothing starts again has no successor that could wait for the node.
    let gone = consequences.contains(&Consequence::GoneForGood);
    if gone {
        consequences.retain(|consequence| !matches!(consequence, Consequence::WaitsForTheNode(_)));
    } else if state.fit_here_only.contains(&pod.metadata.uid) {
        consequences.push(Consequence::FitsHereOnly);
    }
    if refusals.is_empty() {
        Verdict::Evict(consequences)
    } else {
        Verdict::Refuse(refusals)
    }
}

/// The budgets that have a say in a pod's eviction.
pub fn budgets<'s>(state: &'s State, pod: &Pod) -> Vec<&'s Budget> {
    state
        .budgets
        .iter()
        .filter(|budget| budget.selects(&pod.metadata))
        .collect()
}

/// All pods with their verdicts, sorted by name so that two looks can be compared.
pub fn judge_all<'s>(rules: &Rules, state: &'s State) -> Vec<(&'s Pod, Verdict)> {
    let mut judged: Vec<_> = state
        .pods
        .iter()
        .map(|pod| (pod, judge(rules, state, pod)))
        .collect();
    judged.sort_by_cached_key(|(pod, _)| pod.id());
    judged
}

/// An error where the options do not allow a pod to go.
pub fn refuse(params: &Params, judged: &[(&Pod, Verdict)]) -> Result<()> {
    let refused = |(pod, verdict): &(&Pod, Verdict)| {
        matches!(verdict, Verdict::Refuse(_)).then(|| format!("{}: {verdict}", pod.id()))
    };
    let refused: Vec<String> = judged.iter().filter_map(refused).collect();
    if refused.is_empty() {
        return Ok(());
    }
    bail!(
        "draining {}: the options do not allow {} to go: {}",
        params.node,
        pods(refused.len()),
        refused.join("; ")
    )
}

pub fn waits_for_the_node(verdict: &Verdict) -> bool {
    let waits = |consequence: &Consequence| {
        matches!(
            consequence,
            Consequence::WaitsForTheNode(_) | Consequence::FitsHereOnly
        )
    };
    matches!(verdict, Verdict::Evict(consequences) if consequences.iter().any(waits))
}

pub(crate) fn pods(count: usize) -> String {
    if count == 1 {
        "1 pod".to_owned()
    } else {
        format!("{count} pods")
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
