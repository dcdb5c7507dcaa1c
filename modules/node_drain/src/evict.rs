//! A drain under way: what each pod was asked, and what became of it. Pure; the loop around it is in `apply`.
//!
//! Nothing is concluded from what kubectl prints. A pod has accepted to go when the API server shows it with
//! a time of deletion, and is gone when no pod with its uid is left.

use crate::params::Params;
use crate::state::{Budget, State};
use crate::verdict::{Leave, Verdict, budgets, judge_all};
use cluster::{Meta, Pod, PodId, join};
use std::time::Duration;

/// As often as kubectl drain asks again: a budget opens when a replacement has become ready.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// A request that changes a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub pod: PodId,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Asks; budgets may refuse.
    Evict,
    /// Deletes; no budget is asked.
    Delete,
}

/// One pod that is to go, or is going.
#[derive(Clone, Debug)]
pub struct Target {
    pub pod: PodId,
    metadata: Meta,
    pub how: Option<How>,
    /// Whether a budget may be overridden in the end.
    may_bypass: bool,
    pub budgets: Vec<Budget>,
    /// Since when it is asked in the present way, and when last.
    asked: Option<(Duration, Duration)>,
    /// How often it was asked again.
    retries: usize,
    pub stage: Stage,
    /// What kubectl said when it was refused; for people.
    pub said: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not going yet.
    Here,
    Terminating,
    Gone,
    /// Terminating for so long that it is not waited for.
    GivenUp,
}

#[derive(Debug)]
pub struct Drain {
    pub targets: Vec<Target>,
    evict_timeout: Duration,
    skip_after: Duration,
}

impl Drain {
    pub fn new(params: &Params, state: &State) -> Self {
        let target = |(pod, verdict): (&Pod, Verdict)| {
            let labels = &pod.metadata.labels;
            let how = match verdict {
                Verdict::Evict(_) => Some(if params.bypasses(labels) {
                    How::Delete
                } else {
                    How::Evict
                }),
                Verdict::Leave(Leave::Terminating) => None,
                Verdict::Leave(_) | Verdict::Refuse(_) => return None,
            };
            Some(Target {
                pod: pod.id(),
                metadata: pod.metadata.clone(),
                how,
                may_bypass: params.may_bypass(labels),
                budgets: budgets(state, pod).into_iter().cloned().collect(),
                asked: None,
                retries: 0,
                stage: if how.is_some() {
                    Stage::Here
                } else {
                    Stage::Terminating
                },
                said: String::new(),
            })
        };
        Self {
            targets: judge_all(&params.rules, state)
                .into_iter()
                .filter_map(target)
                .collect(),
            evict_timeout: params.evict_timeout,
            skip_after: params.rules.skip_wait_for_delete_timeout,
        }
    }

    /// Takes note of what a look has shown.
    pub fn note(&mut self, state: &State) {
        let skip_after = self.skip_after;
        for target in &mut self.targets {
            let Some(pod) = state.pods.iter().find(|pod| pod.metadata.uid == target.pod.uid) else {
                target.stage = Stage::Gone;
                continue;
            };
            target.stage = match pod.metadata.deletion_timestamp {
                None => Stage::Here,
                Some(deleted) if !skip_after.is_zero() && deleted.until(state.now) > skip_after => {
                    Stage::GivenUp
                }
                Some(_) => Stage::Terminating,
            };
            target.metadata.finalizers.clone_from(&pod.metadata.finalizers);
            if target.stage == Stage::Here {
                target.budgets = budgets(state, pod).into_iter().cloned().collect();
            }
        }
    }

    /// Whom to ask now, and how. `at` is the time since the drain began.
    pub fn due(&mut self, at: Duration) -> Vec<Request> {
        let evict_timeout = self.evict_timeout;
        let mut due = Vec::new();
        for target in self
            .targets
            .iter_mut()
            .filter(|target| target.stage == Stage::Here)
        {
            let Some(how) = &mut target.how else { continue };
            let (mut since, last) = target.asked.unwrap_or((at, at));
            if target.asked.is_some() && at < last + ASK_AGAIN.min(evict_timeout) {
                continue;
            }
            if target.may_bypass
                && *how == How::Evict
                && at >= since + evict_timeout
                && target.asked.is_some()
            {
                (*how, since) = (How::Delete, at);
            }
            target.retries += usize::from(target.asked.is_some());
            target.asked = Some((since, at));
            target.said.clear();
            due.push(Request {
                pod: target.pod.clone(),
                how: *how,
            });
        }
        due
    }

    /// Those that were asked until their time was up.
    pub fn blocked(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| {
            let in_time = |(since, last): (Duration, Duration)| last < since + self.evict_timeout;
            let may_still = target.may_bypass && target.how == Some(How::Evict);
            target.stage == Stage::Here && !may_still && !target.asked.is_none_or(in_time)
        })
    }

    pub fn at(&self, stage: Stage) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(move |target| target.stage == stage)
    }

    /// Those that went because we asked.
    pub fn went(&self) -> impl Iterator<Item = &Target> {
        self.targets
            .iter()
            .filter(|target| target.asked.is_some() && target.stage != Stage::Here)
    }

    /// Those whose budget was not asked.
    pub fn bypassed(&self) -> impl Iterator<Item = &Target> {
        self.went()
            .filter(|target| target.how == Some(How::Delete) && !target.budgets.is_empty())
    }

    /// How often a pod was asked again.
    pub fn retries(&self) -> usize {
        self.targets.iter().map(|target| target.retries).sum()
    }

    pub fn done(&self) -> bool {
        self.targets
            .iter()
            .all(|target| matches!(target.stage, Stage::Gone | Stage::GivenUp))
    }

    /// What is left, in one line.
    pub fn left(&self) -> String {
        let here = self.at(Stage::Here).map(Target::why_here);
        let terminating = self.at(Stage::Terminating).map(Target::why_terminating);
        here.chain(terminating).collect::<Vec<_>>().join("; ")
    }
}

impl Target {
    /// Whether budgets are asked, and there are any; else it is something else that holds the pod.
    pub fn is_held_by_budgets(&self) -> bool {
        !self.budgets.is_empty() && self.how == Some(How::Evict)
    }

    /// Pod, budget, headroom; or, where no budget is in the way, what the API server said.
    pub fn why_here(&self) -> String {
        let said = if self.said.is_empty() {
            "the API server has not let it go yet"
        } else {
            &self.said
        };
        let why = if self.is_held_by_budgets() {
            join(&self.budgets)
        } else {
            said.to_owned()
        };
        let more = if self.budgets.len() > 1 {
            " (a pod with several budgets can never be evicted)"
        } else {
            ""
        };
        format!("{}: {why}{more}", self.pod)
    }

    fn why_terminating(&self) -> String {
        match self.metadata.finalizers.as_slice() {
            [] => format!("{} is terminating", self.pod),
            finalizers => format!(
                "{} is terminating, held by its finalizers {}",
                self.pod,
                join(finalizers)
            ),
        }
    }
}

#[cfg(test)]
#[path = "evict_tests.rs"]
mod tests;
