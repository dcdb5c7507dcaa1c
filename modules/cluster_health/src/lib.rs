//! `cluster_health`: check the health of a k3s cluster.
//!
//! With the answers of the servers it also compares these with each other. It changes nothing. A server that is down, or a kind that cannot be listed, is an answer and no failure of the
//! module; whether an unhealthy cluster fails the task is the caller's choice.

mod baseline;
mod counts;
mod diagnose;
mod group;
mod ha_report;
mod here;
mod ignore;
pub mod judge;
mod observe;
pub mod params;
pub mod plan;
mod prometheus;
mod report;
#[cfg(test)]
mod samples;
pub mod servers;
pub mod state;
mod summary;
pub mod verdict;
mod words;

pub use ha_report::HaReport;
pub use params::Params;
pub use report::Returned;
pub use state::State;

use ansible_module::Check;
use anyhow::Result;
use host::Host;

pub struct ClusterHealth;

impl Check for ClusterHealth {
    const NAME: &'static str = "cluster_health";
    const DOC: &'static str = include_str!("../cluster_health.yml");

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
    testbed::module_tests!(super::ClusterHealth);
}
