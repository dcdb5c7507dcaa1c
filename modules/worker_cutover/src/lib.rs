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

use ansible_module::Check;
use anyhow::Result;
use host::Host;

pub struct WorkerCutover;

impl Check for WorkerCutover {
    const NAME: &'static str = "worker_cutover";
    const DOC: &'static str = include_str!("../worker_cutover.yml");

    type Params = Params;
    type State = State;
    type Returned = Returned;

    fn vmid(params: &Params) -> Option<u32> {
        params.vmid
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        observe::state(params, host)
    }

    fn check(params: &Params, state: &State) -> Result<Vec<String>> {
        plan::plan(params, state)
    }

    fn report(params: &Params, state: &State) -> Returned {
        report::report(params, state)
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::WorkerCutover);
}
