//! `ha_report`: check the servers of a k3s cluster against each other.
//!
//! What the members of etcd are like and whether an API is ready was asked at each server before, and is in the
//! arguments. This module asks one more thing itself, from inside one server: each server's API at its own address.

mod judge;
mod observe;
mod params;
mod report;
#[cfg(test)]
mod samples;
mod seen;
mod state;
mod text;

pub use params::Params;
pub use report::Returned;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::{Result, anyhow};
use host::Host;
use std::convert::Infallible;

pub struct HaReport;

impl Module for HaReport {
    const NAME: &'static str = "ha_report";
    const DOC: &'static str = include_str!("../ha_report.yml");

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
        let findings = judge::judge(params, state);
        text::fault(&findings).map_or_else(|| Ok(Plan::default()), |fault| Err(anyhow!(fault)))
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
    testbed::module_tests!(super::HaReport);
}
