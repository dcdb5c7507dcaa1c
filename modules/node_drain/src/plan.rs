//! What to do about it: the steps. Pure.

use crate::cordon::{self, Change, CordonedBy, DesiredCordon, Record, cordoned_by};
use crate::params::{Params, Wanted};
use crate::state::State;
use crate::verdict::{Leave, Verdict, budgets, judge_all, pods, refuse, waits_for_the_node};
use ansible_module::{Diff, Plan};
use anyhow::Result;
use cluster::{Node, Owner, Pod, PodId, Purpose, join, owners};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    SetCordon {
        /// Its state when it was read.
        node: Box<Node>,
        desired: DesiredCordon,
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
            Self::SetCordon { node, change, .. } => write!(f, "{change} {}", node.name),
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

fn have(count: usize) -> String {
    format!("{} {}", pods(count), if count == 1 { "has" } else { "have" })
}

pub fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let mut plan = Plan::default();
    if state.gone {
        return Ok(plan);
    }
    let desired = desired(params, state);
    plan.warnings.extend(about_the_cordon(params, state));
    let change = desired.change(&state.node);
    if let Some(change) = change {
        plan.diff.push(diff(state, &desired));
        plan.steps.push(Step::SetCordon {
            node: Box::new(state.node.clone()),
            desired,
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

fn desired(params: &Params, state: &State) -> DesiredCordon {
    if params.state == Wanted::Uncordoned {
        return DesiredCordon::Uncordoned {
            force: params.force_uncordon,
        };
    }
    let found = state.node.record.as_ref().filter(|_| state.node.unschedulable);
    // Without a run to name, an earlier cordon of ours is kept.
    let run = params
        .run_id
        .clone()
        .or_else(|| found.map(|record| record.run.clone()));
    let since = OffsetDateTime::from(state.now);
    let since = since.replace_nanosecond(0).unwrap_or(since);
    DesiredCordon::Cordoned(Record {
        run: run.unwrap_or_else(|| "unnamed".to_owned()),
        by: "homelab.k3s.node_drain".to_owned(),
        since: since.format(&Rfc3339).unwrap_or_default(),
        before: "schedulable".to_owned(),
        purpose: params.purpose,
        owners: affected_owners(state),
    })
}

/// The workloads that this drain moves, and those that an earlier, killed one has.
pub fn affected_owners(state: &State) -> Vec<Owner> {
    owners::merge(
        state.node.former_owners(),
        state.owners.iter().map(|seen| seen.owner.clone()),
    )
}

fn diff(state: &State, desired: &DesiredCordon) -> Diff {
    let after = match desired {
        DesiredCordon::Cordoned(record) => cordon::describe(true, Some(record)),
        DesiredCordon::Uncordoned { .. } => cordon::describe(false, None),
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
    match (params.state, cordoned_by(&state.node), &state.node.record) {
        (_, CordonedBy::None, Some(record)) => Some(format!(
            "{name} is schedulable but has our annotation of run {}: somebody uncordoned it by hand; the annotation is stale",
            record.run
        )),
        (Wanted::Uncordoned, CordonedBy::Operator, _) if !params.force_uncordon => Some(format!(
            "{name} stays cordoned: somebody else cordoned it, or a cutover for good (`kubectl uncordon {name}`, or force_uncordon: true)"
        )),
        (Wanted::Drained | Wanted::Cordoned, CordonedBy::Operator, Some(record)) => {
            (params.purpose != Purpose::Retire).then(|| {
                format!(
                    "{name} was cordoned for good by the run {}, and stays so afterwards",
                    record.run
                )
            })
        }
        (Wanted::Drained | Wanted::Cordoned, CordonedBy::Operator, None) => Some(format!(
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
    let owners = affected_owners(state);
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
    if let Some(trouble) = state.node.trouble().filter(|_| going().next().is_some()) {
        warnings.push(format!(
            "{} is not Ready ({trouble}): nothing may confirm that its pods ended",
            params.node
        ));
    }
    for pod in going().filter(|pod| !params.bypasses(&pod.metadata.labels)) {
        let budgets = budgets(state, pod);
        if let [_, _, ..] = budgets[..]
            && !pod.is_pending()
        {
            let all = join(&budgets);
            warnings.push(format!(
                "{} can never be evicted, as several budgets select it: {all}",
                pod.id()
            ));
            continue;
        }
        let blocking = budgets.into_iter().filter(|budget| budget.keeps(pod));
        warnings.extend(blocking.map(|budget| format!("{} may not go now: {budget}", pod.id())));
    }
    warnings
}

/// After the uncordon, or alone: the workloads are ready again. Pinned pods included, unless the node stays an
/// operator's: there they cannot come back.
fn gate(state: &State, change: Option<Change>, plan: &mut Plan<Step>) {
    let excuse_pinned = state.node.unschedulable && change.is_none();
    let missing = state
        .owners
        .iter()
        .any(|seen| seen.missing(excuse_pinned).is_some());
    if !state.owners.is_empty() && (missing || change == Some(Change::Uncordon)) {
        let owners = state.owners.iter().map(|seen| seen.owner.clone()).collect();
        plan.steps.push(Step::WaitFor {
            owners,
            excuse_pinned,
        });
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
