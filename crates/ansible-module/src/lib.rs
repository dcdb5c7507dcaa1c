//! Runs a module for Ansible: reads its arguments, observes, plans, applies, and prints one JSON answer.
//!
//! ```text
//! args file ─► Call ─► Params ─► observe ─► State ─► plan ─► [Step] ─► apply ─► observe ─► report ─► answer
//! ```
//!
//! A module implements what it observes, plans and does; this crate does the rest. `changed` means that the plan was
//! not empty, check mode stops after the plan, and no module sees either.

mod answer;
mod call;
mod check;
mod cli;
pub mod defaults;
mod loose;
mod refusal;
mod run;
mod spec;

pub use answer::{Answer, Diff};
pub use call::Call;
pub use check::Check;
pub use cli::{Program, main, refuse};
pub use refusal::Refusal;
pub use run::{params, run};
pub use spec::{OptionKind, OptionSpec, options};

use anyhow::Result;
use host::Host;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::process::ExitCode;

/// Where a module works, and how long it waits for its turn there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The container; none: the host itself.
    pub vmid: Option<u32>,
    /// Seconds to wait for another module at work on the same host. `None`: the module changes nothing that
    /// another one could be changing, and takes no lock.
    pub lock_timeout: Option<u64>,
}

/// What is to be done, in order, and what the operator should know beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<S> {
    pub steps: Vec<S>,
    pub diff: Vec<Diff>,
    pub warnings: Vec<String>,
}

impl<S> Default for Plan<S> {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl<S> Plan<S> {
    pub fn of(steps: Vec<S>) -> Self {
        Self {
            steps,
            diff: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// One module. Reading a module means reading these six functions; one that changes nothing is a [`Check`].
pub trait Module {
    /// The module's name, as in `homelab.k3s.<NAME>`.
    const NAME: &'static str;
    /// The sidecar: DOCUMENTATION, EXAMPLES, RETURN.
    const DOC: &'static str;

    /// The options, in types; an invalid one cannot be made.
    type Params: DeserializeOwned;
    /// What is true now.
    type State;
    /// One thing to do; its `Display` is the sentence in `actions`.
    type Step: Display;
    /// What `apply` learns on its way and `report` returns: pods evicted, seconds waited.
    type Journal: Default;
    /// The documented return values.
    type Returned: Serialize;

    fn target(params: &Self::Params) -> Target;

    /// The name of its lock, where that is not the lock of the host: for what is a user's, or one object of the cluster's.
    fn lock_name(_: &Self::Params) -> Option<String> {
        None
    }

    /// Reads; never writes.
    fn observe(params: &Self::Params, host: &dyn Host) -> Result<Self::State>;

    /// Decides. An error is a refusal: nothing has been touched.
    fn plan(params: &Self::Params, state: &Self::State) -> Result<Plan<Self::Step>>;

    /// Takes one step; never decides.
    fn apply(
        params: &Self::Params,
        host: &dyn Host,
        step: &Self::Step,
        journal: &mut Self::Journal,
    ) -> Result<()>;

    /// The return values. `after` is what was observed after the last step, and the same as `before` where
    /// nothing was done (empty plan, check mode) or the steps were not finished.
    fn report(
        params: &Self::Params,
        before: &Self::State,
        after: &Self::State,
        journal: &Self::Journal,
    ) -> Self::Returned;

    /// Whether the world is looked at once more after the steps. A module without a state to compare (a command that was run)
    /// says no, and one whose last step has shown it.
    const OBSERVE_AGAIN: bool = true;

    /// That look. It may leave out what the steps have shown or cannot have changed.
    fn look_again(
        params: &Self::Params,
        host: &dyn Host,
        _before: &Self::State,
        _journal: &Self::Journal,
    ) -> Result<Self::State> {
        Self::observe(params, host)
    }

    /// Whether taking these steps, of which there is one at least, would count as a change: what check mode reports.
    fn would_change(_params: &Self::Params, _steps: &[Self::Step]) -> bool {
        true
    }

    /// Whether the steps taken count as a change; only the module that runs foreign commands can know better.
    fn changed(_params: &Self::Params, _journal: &Self::Journal) -> bool {
        true
    }

    /// What the program does where the module has carried it (`host::ourselves`); `None`: these are the arguments of a
    /// call of the module.
    fn inside(_arguments: &[String]) -> Option<ExitCode> {
        None
    }

    /// Undoes what a failed step left behind; says in one sentence what was put back or what is left.
    fn recover(
        _params: &Self::Params,
        _host: &dyn Host,
        _before: &Self::State,
        _journal: &mut Self::Journal,
    ) -> Option<String> {
        None
    }
}
