//! `worker_cutover`: plan and verify the replacement of a k3s worker.
//!
//! It changes nothing: `node_drain` moves the pods. What was there before is in the record of that cordon, from before
//! the first pod goes until the node is given back; so a run that was killed is judged by what it had found.

mod gates;
mod moves;
mod nodes;
mod observe;
pub mod params;
pub mod plan;
mod report;
mod retirement;
#[cfg(test)]
mod samples;
pub mod state;
mod text;
mod verified;

pub use params::{Params, Retirement};
pub use report::Returned;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::Result;
use host::Host;
use std::convert::Infallible;

pub struct WorkerCutover;

impl Module for WorkerCutover {
    const NAME: &'static str = "worker_cutover";
    const DOC: &'static str = include_str!("../worker_cutover.yml");

    type Params = Params;
    type State = State;
    type Step = Infallible;
    type Journal = ();
    type Returned = Returned;

    /// Nothing is changed, so nobody has to be waited for.
    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: None,
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        observe::state(params, host)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Infallible>> {
        plan::plan(params, state)
    }

    fn apply(_: &Params, _: &dyn Host, step: &Infallible, (): &mut ()) -> Result<()> {
        match *step {}
    }

    fn report(params: &Params, state: &State, _: &State, (): &()) -> Returned {
        report::report(params, state)
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::WorkerCutover);
}
