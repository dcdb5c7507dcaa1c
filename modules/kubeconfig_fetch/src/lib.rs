//! `kubeconfig_fetch`: fetch a cluster's kubeconfig and merge it into a file.
//!
//! Two halves, since they run on two machines: one reads and renews, the other merges and writes. In between the
//! content is a return value of the one and an option of the other, both under `no_log`.

mod credentials;
mod kubeconfig;
mod params;
mod reach;
mod read;
mod report;
#[cfg(test)]
mod samples;
mod server;
mod written;

pub use params::{Params, Read, Written};
pub use reach::{Api, Cause, Https, Obstacle, Request};
pub use report::Journal;

use ansible_module::{Module, Plan, Target};
use anyhow::{Result, bail};
use host::Host;
use serde::Serialize;
use std::fmt;
use std::marker::PhantomData;

/// `A` is the way to the API server from where the file is written; tests have a shorter one.
pub struct KubeconfigFetch<A = Https>(PhantomData<A>);

const OTHER_HALF: &str = "this is a fault in the module: options of one half met the other";

pub enum State {
    Read(Box<read::State>),
    Written(Box<written::State>),
}

pub enum Step {
    Read(read::Step),
    Written(written::Step),
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Returned {
    Read(Box<read::Returned>),
    Written(Box<written::Returned>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(step) => step.fmt(f),
            Self::Written(step) => step.fmt(f),
        }
    }
}

impl<A: Api> Module for KubeconfigFetch<A> {
    const NAME: &'static str = "kubeconfig_fetch";
    const DOC: &'static str = include_str!("../kubeconfig_fetch.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    /// The one half has the lock of its node, for the sake of the renewal, the other that of a user's kubeconfigs.
    fn target(params: &Params) -> Target {
        match params {
            Params::Read(read) => Target {
                vmid: read.vmid,
                lock_timeout: read.rotate_if_expired.then_some(read.lock_timeout),
            },
            Params::Written(written) => Target {
                vmid: None,
                lock_timeout: Some(written.lock_timeout),
            },
        }
    }

    fn lock_name(params: &Params) -> Option<String> {
        matches!(params, Params::Written(_)).then(|| "kubeconfig".to_owned())
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        Ok(match params {
            Params::Read(params) => State::Read(Box::new(read::state::observe(params, host)?)),
            Params::Written(params) => State::Written(Box::new(written::observe::<A>(params, host)?)),
        })
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        match (params, state) {
            (Params::Read(params), State::Read(state)) => {
                Ok(of_half(read::plan::plan(params, state)?, Step::Read))
            }
            (Params::Written(params), State::Written(state)) => {
                Ok(of_half(written::plan::plan(params, state)?, Step::Written))
            }
            _ => bail!("{OTHER_HALF}"),
        }
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        match (params, step) {
            (Params::Read(params), Step::Read(step)) => read::apply(params, host, step, journal),
            (_, Step::Written(step)) => written::apply(host, step, journal),
            (Params::Written(_), Step::Read(_)) => bail!("{OTHER_HALF}"),
        }
    }

    fn changed(_: &Params, journal: &Journal) -> bool {
        journal.changed
    }

    fn report(_: &Params, before: &State, after: &State, journal: &Journal) -> Returned {
        match (before, after) {
            (_, State::Read(after)) => Returned::Read(Box::new(read::report(after, journal))),
            (State::Written(before), State::Written(after)) => {
                Returned::Written(Box::new(written::report(before, after, journal)))
            }
            (State::Read(_), State::Written(after)) => {
                Returned::Written(Box::new(written::report(after, after, journal)))
            }
        }
    }
}

fn of_half<S>(plan: Plan<S>, half: fn(S) -> Step) -> Plan<Step> {
    Plan {
        steps: plan.steps.into_iter().map(half).collect(),
        diff: plan.diff,
        warnings: plan.warnings,
    }
}

#[cfg(test)]
mod transcripts;
