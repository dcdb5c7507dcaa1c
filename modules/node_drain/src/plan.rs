//! What to do about it: a verdict a pod, then the steps. Pure.

use crate::cordon::{self, Change, CordonedBy, Record, Wish};
use crate::owners::{self, Owner};
use crate::params::{LocalVolumes, Params, Rules, Wanted};
use crate::state::{Budget, Pod, PodId, State};
use ansible_module::{Diff, Plan};
use anyhow::{Result, bail};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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
    LosesEmptyDir,
    GoneForGood,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    NotSelected,
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
    DaemonSet,
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
            Self::LosesEmptyDir => f.write_str("the data in its emptyDir is lost"),
            Self::GoneForGood => f.write_str("it has no controller, so nothing starts it again"),
        }
    }
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSelected => "pod_selector does not select it",
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
            Self::DaemonSet => f.write_str("a DaemonSet's pod (ignore_daemonsets: true leaves it)"),
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
        Some(Leave::DaemonSet) if !rules.ignore_daemonsets => Verdict::Refuse(vec![Refusal::DaemonSet]),
        Some(leave) => Verdict::Leave(leave),
        None => go(rules, state, pod),
    }
}

fn leave(rules: &Rules, state: &State, pod: &Pod) -> Option<Leave> {
    let controlled_by = |kind| pod.metadata.controller().is_some_and(|owner| owner.kind == kind);
    if rules
        .pod_selector
        .as_ref()
        .is_some_and(|selector| !selector.selects(&pod.metadata.labels))
    {
        return Some(Leave::NotSelected);
    }
    if pod.is_mirror() {
        return Some(Leave::Mirror);
    }
    if pod.is_finished() {
        return Some(Leave::Finished);
    }
    if controlled_by("DaemonSet") {
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
        .filter(|budget| budget.selects(&pod.metadata, &state.api))
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

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    SetCordon {
        node: String,
        wish: Wish,
        change: Change,
    },
    Evict {
        going: Vec<PodId>,
        waiting: Vec<PodId>,
        leaving: Vec<PodId>,
    },
    WaitFor {
        owners: Vec<Owner>,
        excuse_pinned: bool,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetCordon { node, change, .. } => write!(f, "{change} {node}"),
            Self::Evict { going, leaving, .. } if going.is_empty() => {
                write!(
                    f,
                    "wait until {} terminated: {}",
                    have(leaving.len()),
                    join(leaving)
                )
            }
            Self::Evict { going, waiting, .. } => {
                write!(f, "evict {}: {}", pods(going.len()), join(going))?;
                if !waiting.is_empty() {
                    write!(f, "; Pending until the uncordon: {}", join(waiting))?;
                }
                Ok(())
            }
            Self::WaitFor { owners, .. } => write!(f, "wait until ready again: {}", join(owners)),
        }
    }
}

fn pods(count: usize) -> String {
    if count == 1 {
        "1 pod".to_owned()
    } else {
        format!("{count} pods")
    }
}

fn have(count: usize) -> String {
    format!("{} {}", pods(count), if count == 1 { "has" } else { "have" })
}

pub(crate) fn join<T: fmt::Display>(things: &[T]) -> String {
    things
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

pub fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let mut plan = Plan::default();
    let wish = wish(params, state);
    plan.warnings.extend(about_the_cordon(params, state));
    let change = wish.change(&state.node);
    if let Some(change) = change {
        plan.diff.push(diff(state, &wish, change));
        plan.steps.push(Step::SetCordon {
            node: params.node.clone(),
            wish,
            change,
        });
    }
    match params.state {
        Wanted::Cordoned => {}
        Wanted::Drained => drain(params, state, &mut plan)?,
        Wanted::Uncordoned => gate(state, change, &mut plan),
    }
    Ok(plan)
}

fn wish(params: &Params, state: &State) -> Wish {
    if params.state == Wanted::Uncordoned {
        return Wish::Uncordoned {
            force: params.force_uncordon,
        };
    }
    let found = state.node.record.as_ref().filter(|_| state.node.unschedulable);
    let earlier = found.map_or(&[][..], |record| &record.owners);
    // Without a run to name, an earlier cordon of ours is good as it is.
    let run = params
        .run_id
        .clone()
        .or_else(|| found.map(|record| record.run.clone()));
    Wish::Cordoned(Record {
        run: run.unwrap_or_else(|| "unnamed".to_owned()),
        by: "homelab.k3s.node_drain".to_owned(),
        since: OffsetDateTime::from(state.now)
            .format(&Rfc3339)
            .unwrap_or_default(),
        before: "schedulable".to_owned(),
        owners: owners::merge(earlier, state.owners.iter().map(|seen| seen.owner.clone())),
    })
}

fn diff(state: &State, wish: &Wish, change: Change) -> Diff {
    let after = match (wish, change) {
        (Wish::Cordoned(record), _) => cordon::describe(true, Some(record)),
        (Wish::Uncordoned { .. }, _) => cordon::describe(false, None),
    };
    Diff {
        before_header: state.node.name.clone(),
        after_header: state.node.name.clone(),
        before: cordon::describe(state.node.unschedulable, state.node.record.as_ref()),
        after,
    }
}

fn about_the_cordon(params: &Params, state: &State) -> Option<String> {
    let name = &params.node;
    match (params.state, CordonedBy::of(&state.node), &state.node.record) {
        (_, CordonedBy::None, Some(record)) => Some(format!(
            "{name} is schedulable but has our annotation of run {}: somebody uncordoned it by hand; the annotation is stale",
            record.run
        )),
        (Wanted::Uncordoned, CordonedBy::Operator, _) if !params.force_uncordon => Some(format!(
            "{name} stays cordoned: somebody else cordoned it (`kubectl uncordon {name}`, or force_uncordon: true)"
        )),
        (Wanted::Drained | Wanted::Cordoned, CordonedBy::Operator, _) => Some(format!(
            "{name} was cordoned by somebody else already, and stays so afterwards"
        )),
        _ => None,
    }
}

fn drain(params: &Params, state: &State, plan: &mut Plan<Step>) -> Result<()> {
    let judged = judge_all(&params.rules, state);
    refuse(params, &judged)?;
    let of = |wanted: &dyn Fn(&Verdict) -> bool| -> Vec<PodId> {
        judged
            .iter()
            .filter(|(_, verdict)| wanted(verdict))
            .map(|(pod, _)| pod.id())
            .collect()
    };
    let going = of(&|verdict| matches!(verdict, Verdict::Evict(_)));
    let waiting = of(&waits_for_the_node);
    let leaving = of(&|verdict| *verdict == Verdict::Leave(Leave::Terminating));
    plan.warnings.extend(about_going(params, state, &judged));
    let owners: Vec<Owner> = state.owners.iter().map(|seen| seen.owner.clone()).collect();
    let waits = params.wait_for && !going.is_empty() && !owners.is_empty();
    if !going.is_empty() || !leaving.is_empty() {
        plan.steps.push(Step::Evict {
            going,
            waiting,
            leaving,
        });
    }
    if waits {
        plan.steps.push(Step::WaitFor {
            owners,
            excuse_pinned: true,
        });
    }
    Ok(())
}

pub fn waits_for_the_node(verdict: &Verdict) -> bool {
    let waits = |consequence: &Consequence| matches!(consequence, Consequence::WaitsForTheNode(_));
    matches!(verdict, Verdict::Evict(consequences) if consequences.iter().any(waits))
}

/// What the operator should know before the pods go.
fn about_going(params: &Params, state: &State, judged: &[(&Pod, Verdict)]) -> Vec<String> {
    let going = || {
        judged
            .iter()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Evict(_)))
            .map(|(pod, _)| *pod)
    };
    let mut warnings = Vec::new();
    if state.other_nodes == 0 && going().next().is_some() {
        warnings.push(format!(
            "no other node than {} can take pods now: what is evicted stays Pending",
            params.node
        ));
    }
    for pod in going().filter(|pod| !params.bypasses(&pod.metadata.labels)) {
        let blocking = budgets(state, pod)
            .into_iter()
            .filter(|budget| budget.headroom.disruptions_allowed <= 0);
        warnings.extend(blocking.map(|budget| format!("{} may not go now: {budget}", pod.id())));
    }
    warnings
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headroom = self.headroom;
        write!(
            f,
            "budget {} allows {} disruptions ({} healthy, {} needed, {} expected)",
            self.name,
            headroom.disruptions_allowed,
            headroom.current_healthy,
            headroom.desired_healthy,
            headroom.expected_pods
        )
    }
}

/// After the uncordon, or alone: the workloads are whole again, pinned pods included.
fn gate(state: &State, change: Option<Change>, plan: &mut Plan<Step>) {
    let missing = state.owners.iter().any(|seen| seen.missing(false).is_some());
    if !state.owners.is_empty() && (missing || change == Some(Change::Uncordon)) {
        let owners = state.owners.iter().map(|seen| seen.owner.clone()).collect();
        plan.steps.push(Step::WaitFor {
            owners,
            excuse_pinned: false,
        });
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
