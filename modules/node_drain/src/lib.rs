//! `node_drain`: drain, cordon or uncordon a k3s node.
//!
//! Verdicts first, then the cordon, then the evictions: a node whose pods may not go is never touched. It
//! lacks, on purpose, any reading of kubectl's prose and any waiting without a limit.

mod apply;
pub mod cordon;
pub mod evict;
mod observe;
pub mod params;
pub mod plan;
mod report;
mod requests;
#[cfg(test)]
mod samples;
pub mod state;
pub mod verdict;
mod wait_workloads;

pub use params::Params;
pub use plan::Step;
pub use report::Returned;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::Result;
use cordon::CordonedBy;
use evict::Drain;
use host::Host;
use std::time::Duration;

pub struct NodeDrain;

/// What became of the steps.
#[derive(Debug, Default)]
pub struct Journal {
    changed: bool,
    /// Whether the cordon is this call's own, to be undone where it fails.
    cordoned: bool,
    /// Whose cordon the node had when it was last written or found as wanted.
    left: Option<CordonedBy>,
    /// The look after the cordon.
    looked: Option<State>,
    drain: Option<Drain>,
    started: Option<Duration>,
    took: Duration,
    /// Both in seconds since 1970.
    began_at: Option<u64>,
    ended_at: Option<u64>,
}

impl Module for NodeDrain {
    const NAME: &'static str = "node_drain";
    const DOC: &'static str = include_str!("../node_drain.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: Some(params.lock_timeout),
        }
    }

    /// The node's, not that of the controller's container: drains of different nodes run beside each other.
    fn lock_name(params: &Params) -> Option<String> {
        Some(format!("node-{}", params.node))
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        observe::state(params, host)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        apply::step(params, host, step, journal)
    }

    /// What was done, and what was seen after the cordon, is in the journal.
    const OBSERVE_AGAIN: bool = false;

    fn report(params: &Params, before: &State, _: &State, journal: &Journal) -> Returned {
        report::report(params, before, journal)
    }

    /// A wait for workloads changes nothing.
    /// To wait for what goes or comes by itself is not a change.
    fn would_change(_: &Params, steps: &[Step]) -> bool {
        steps.iter().any(|step| match step {
            Step::SetCordon { .. } => true,
            Step::Evict { going, .. } => !going.is_empty(),
            Step::WaitFor { .. } => false,
        })
    }

    fn changed(_: &Params, journal: &Journal) -> bool {
        journal.changed
    }

    fn recover(params: &Params, host: &dyn Host, before: &State, journal: &mut Journal) -> Option<String> {
        apply::recover(params, host, before, journal)
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::NodeDrain);
}
