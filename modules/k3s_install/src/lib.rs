//! `k3s_install`: install or upgrade k3s with its install script.
//!
//! The script deletes unit and environment file and writes them anew from what it is passed this time. So all of it is
//! read first and kept in the container (the install record), given again, and compared afterwards (the proof). The
//! restart does not block; what counts is what Node and Lease say then.

mod aim;
mod airgap;
mod download;
mod fetch;
#[cfg(test)]
mod fixtures;
mod params;
mod plan;
mod questions;
mod readiness;
mod record;
mod recovery;
mod refusals;
mod release;
mod report;
mod run;
mod script;
mod staging;
mod state;
mod steps;

pub use k3s_node::Role;
pub use params::{Params, Script, Wanted};
pub use plan::Step;
pub use report::{Journal, Returned};
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::Result;
use host::{Host, pct};
use plan::Act;
use readiness::Ready;
use report::Phase;
use state::Paths;

pub struct K3sInstall;

/// Where things are follows from what is read there; twice is enough unless somebody changes it meanwhile.
const LOOKS: usize = 3;

impl Module for K3sInstall {
    const NAME: &'static str = "k3s_install";
    const DOC: &'static str = include_str!("../k3s_install.yml");

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

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        if let Some(vmid) = params.vmid {
            pct::is_free(host.outside(), vmid)?;
        }
        let mut at = Paths::usual(params.node_name.as_deref());
        let mut state = steps::gather(params, host, &at, true)?;
        for _ in 1..LOOKS {
            let asked = Paths {
                node: state.asked.clone(),
                ..at
            };
            if state.paths == asked {
                break;
            }
            at = state.paths.clone();
            state = steps::gather(params, host, &at, true)?;
        }
        Ok(state)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        match &step.0 {
            Act::Fetch { fetch, .. } => fetch::fetch(params, host, fetch, journal),
            Act::Images { file, dest, binary } => airgap::bring_images(params, host, file, dest, binary),
            Act::SaveRecord(record) => steps::save(params, host, record, journal),
            Act::Swap { binary, staged, .. } => steps::swap(params, host, binary, staged.as_deref(), journal),
            Act::RunScript {
                setup,
                have_binary,
                links,
            } => steps::run_script(params, host, setup, *have_binary, *links, journal),
            Act::Prove(proof) => steps::prove(params, host, proof, journal),
            Act::Restart { setup } => steps::restart(params, host, setup, journal),
            Act::Wait(wanted) => steps::wait(params, host, wanted, journal),
            Act::DropRecord { binary } => steps::drop_record(params, host, binary, journal),
        }
    }

    /// Without the API: what the node reports is known from the wait, and a download does not change it. A k3s that was not
    /// there before may have its files elsewhere.
    fn look_again(params: &Params, host: &dyn Host, before: &State, journal: &Journal) -> Result<State> {
        let setup = before.before().ok().flatten();
        if !before.paths.has_agent || setup.is_none_or(|setup| setup.unit.is_none()) {
            return Self::observe(params, host);
        }
        let mut state = steps::gather(params, host, &before.paths, false)?;
        let reported = journal
            .ready
            .as_ref()
            .and_then(Ready::node)
            .or(before.node.as_ref());
        state.node = reported.cloned();
        Ok(state)
    }

    fn report(params: &Params, before: &State, after: &State, journal: &Journal) -> Returned {
        report::report(params, before, after, journal)
    }

    fn recover(params: &Params, host: &dyn Host, before: &State, journal: &mut Journal) -> Option<String> {
        match journal.phase {
            Phase::Untouched => None,
            Phase::Saved => Some(recovery::forget(params, host, before, journal)),
            Phase::Changing => Some(recovery::put_back(params, host, before, journal)),
            Phase::Proven => Some(recovery::describe(host, journal)),
            Phase::Ready => Some("k3s runs and was proven; only what follows failed".to_owned()),
        }
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sInstall);
}
