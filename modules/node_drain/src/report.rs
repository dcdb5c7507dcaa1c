//! The return values.

use crate::Journal;
use crate::cordon::CordonedBy;
use crate::evict::{Drain, Stage, Target};
use crate::params::Params;
use crate::plan::concerned;
use crate::state::{Budget, Headroom, State};
use crate::verdict::{Verdict, budgets, judge_all, waits_for_the_node};
use kubectl::Owner;
use serde::Serialize;
use workloads::{Pod, PodId};

#[derive(Serialize)]
pub struct Returned {
    node: String,
    cordoned_by: BeforeAndAfter,
    pods: Vec<Judged>,
    evicted: Vec<PodId>,
    bypassed: Vec<Budgeted>,
    blocked: Vec<Budgeted>,
    waiting: Vec<PodId>,
    terminating: Vec<PodId>,
    owners: Vec<Owner>,
    seconds: f64,
}

#[derive(Serialize)]
struct BeforeAndAfter {
    before: CordonedBy,
    after: CordonedBy,
}

#[derive(Serialize)]
struct Judged {
    #[serde(flatten)]
    pod: PodId,
    owner: Option<String>,
    verdict: &'static str,
    reason: String,
    budgets: Vec<Room>,
}

/// A pod with the budgets that were in its way.
#[derive(Serialize)]
struct Budgeted {
    #[serde(flatten)]
    pod: PodId,
    budgets: Vec<Room>,
    said: String,
}

#[derive(Serialize)]
struct Room {
    name: String,
    #[serde(flatten)]
    headroom: Headroom,
}

impl From<&Budget> for Room {
    fn from(budget: &Budget) -> Self {
        Self {
            name: budget.name.clone(),
            headroom: budget.headroom,
        }
    }
}

pub(crate) fn report(params: &Params, before: &State, after: &State, journal: &Journal) -> Returned {
    // What the drain acted on is the look after the cordon, if it came to that.
    let seen = journal.looked.as_ref().unwrap_or(before);
    let drain = journal.drain.as_ref();
    let targets = |pick: fn(&Drain) -> Vec<Budgeted>| drain.map(pick).unwrap_or_default();
    let verdicts = judge_all(&params.rules, seen);
    let waiting = verdicts
        .iter()
        .filter(|(_, verdict)| waits_for_the_node(verdict))
        .map(|(pod, _)| pod.id())
        .collect();
    // A failure is reported with two equal looks; what was done since is in the journal.
    let left = journal.left.unwrap_or_else(|| CordonedBy::of(&after.node));
    Returned {
        node: params.node.clone(),
        cordoned_by: BeforeAndAfter {
            before: CordonedBy::of(&before.node),
            after: left,
        },
        pods: verdicts
            .iter()
            .map(|(pod, verdict)| judged(seen, pod, verdict))
            .collect(),
        evicted: drain
            .map(|drain| drain.went().map(|target| target.pod.clone()).collect())
            .unwrap_or_default(),
        bypassed: targets(|drain| drain.bypassed().map(budgeted).collect()),
        blocked: targets(|drain| drain.at(Stage::Here).map(budgeted).collect()),
        waiting,
        terminating: drain
            .map(|drain| {
                drain
                    .at(Stage::Terminating)
                    .map(|target| target.pod.clone())
                    .collect()
            })
            .unwrap_or_default(),
        owners: concerned(seen),
        seconds: (journal.took.as_secs_f64() * 10.0).round() / 10.0,
    }
}

fn judged(state: &State, pod: &Pod, verdict: &Verdict) -> Judged {
    Judged {
        pod: pod.id(),
        owner: pod
            .metadata
            .controller()
            .map(|owner| format!("{}/{}", owner.kind, owner.name)),
        verdict: match verdict {
            Verdict::Evict(_) => "evict",
            Verdict::Leave(_) => "leave",
            Verdict::Refuse(_) => "refuse",
        },
        reason: verdict.to_string(),
        budgets: budgets(state, pod).into_iter().map(Room::from).collect(),
    }
}

fn budgeted(target: &Target) -> Budgeted {
    Budgeted {
        pod: target.pod.clone(),
        budgets: target.budgets.iter().map(Room::from).collect(),
        said: target.said.clone(),
    }
}
