//! `node_taint`: taint k3s nodes or remove the taint.
//!
//! All nodes at once, since it is together that they may leave a pod without a node. It evicts nothing.

mod apply;
mod outcome;
mod params;
mod plan;
mod report;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod settled_tests;
mod state;

pub use params::Params;
pub use plan::Step;
pub use report::Returned;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::Result;
use host::Host;

pub struct NodeTaint;

impl Module for NodeTaint {
    const NAME: &'static str = "node_taint";
    const DOC: &'static str = include_str!("../node_taint.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = apply::Journal;
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: Some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        state::look(params, host)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut apply::Journal) -> Result<()> {
        apply::step(params, host, step, journal)
    }

    fn report(params: &Params, before: &State, after: &State, _: &apply::Journal) -> Returned {
        report::report(params, before, after)
    }

    /// What somebody else has done meanwhile does not count as a change of ours.
    fn changed(_: &Params, journal: &apply::Journal) -> bool {
        journal.changed
    }

    fn recover(_: &Params, _: &dyn Host, _: &State, journal: &mut apply::Journal) -> Option<String> {
        apply::left(journal)
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::NodeTaint);
}
