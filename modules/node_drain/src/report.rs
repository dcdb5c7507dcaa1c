//! The return values.

use crate::Journal;
use crate::cordon::cordoned_by;
use crate::evict::{Drain, Stage, Target};
use crate::params::Params;
use crate::plan::affected_owners;
use crate::state::{Budget, Headroom, State};
use crate::verdict::{Verdict, budgets, judge_all, waits_for_the_node};
use answers::drain::{BeforeAndAfter, Budgeted, Judged};
use cluster::{Owner, Pod};
use serde::Serialize;

#[derive(Serialize)]
pub struct Returned {
    node: String,
    #[serde(flatten)]
    drain: answers::drain::Drain,
    owners: Vec<Owner>,
    seconds: f64,
}

fn room(budget: &Budget) -> answers::drain::Budget {
    let Headroom {
        disruptions_allowed,
        current_healthy,
        desired_healthy,
        expected_pods,
    } = budget.headroom;
    answers::drain::Budget {
        name: budget.name.clone(),
        disruptions_allowed,
        current_healthy,
        desired_healthy,
        expected_pods,
    }
}

pub(crate) fn report(params: &Params, before: &State, journal: &Journal) -> Returned {
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
    let left = journal.left.unwrap_or_else(|| cordoned_by(&seen.node));
    let answer = answers::drain::Drain {
        cordoned_by: BeforeAndAfter {
            before: cordoned_by(&before.node),
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
        retries: drain.map(Drain::retries).unwrap_or_default(),
        began_at: journal.began_at,
        ended_at: journal.ended_at,
    };
    Returned {
        node: params.node.clone(),
        drain: answer,
        owners: affected_owners(seen),
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
            Verdict::Evict(_) => answers::drain::Verdict::Evict,
            Verdict::Leave(_) => answers::drain::Verdict::Leave,
            Verdict::Refuse(_) => answers::drain::Verdict::Refuse,
        },
        reason: verdict.to_string(),
        budgets: budgets(state, pod).into_iter().map(room).collect(),
    }
}

fn budgeted(target: &Target) -> Budgeted {
    Budgeted {
        pod: target.pod.clone(),
        budgets: target.budgets.iter().map(room).collect(),
        said: target.said.clone(),
    }
}
