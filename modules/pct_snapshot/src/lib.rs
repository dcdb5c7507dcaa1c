//! `pct_snapshot`: take a snapshot of an LXC container of a Proxmox VE host.

mod params;
mod plan;
mod state;

pub use params::Params;
pub use plan::Step;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::{Result, bail};
use host::{Host, pct};
use serde::Serialize;
use std::time::Duration;

pub struct PctSnapshot;

/// What was taken and removed.
#[derive(Default)]
pub struct Journal {
    name: Option<String>,
    removed: Vec<String>,
}

#[derive(Serialize)]
pub struct Returned {
    name: Option<String>,
    removed: Vec<String>,
}

impl Module for PctSnapshot {
    const NAME: &'static str = "pct_snapshot";
    const DOC: &'static str = include_str!("../pct_snapshot.yml");
    /// Looking again would plan the next snapshot.
    const OBSERVE_AGAIN: bool = false;

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    /// The lock of the container, so that none is frozen while a module works in it.
    fn target(params: &Params) -> Target {
        Target {
            vmid: Some(params.vmid),
            lock_timeout: Some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        let outside = host.outside();
        Ok(State {
            location: host.location(),
            status: pct::status(outside, params.vmid)?,
            snapshots: pct::snapshots(outside, params.vmid)?,
            now: outside.now(),
        })
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        let limit = Duration::from_secs(params.timeout);
        let outside = host.outside();
        match step {
            Step::Take { vmid, name } => {
                pct::take_snapshot(outside, *vmid, name, &params.description, limit)?;
                // The exit status of `pct` is incidental: the configuration decides.
                if !pct::snapshots(outside, *vmid)?.contains(name) {
                    bail!(
                        "{}: pct took the snapshot {name}, but the configuration of container {vmid} does not have it",
                        outside.location()
                    );
                }
                journal.name = Some(name.clone());
            }
            Step::Remove { vmid, name } => {
                pct::remove_snapshot(outside, *vmid, name, limit)?;
                journal.removed.push(name.clone());
            }
        }
        Ok(())
    }

    fn report(_: &Params, _: &State, _: &State, journal: &Journal) -> Returned {
        Returned {
            name: journal.name.clone(),
            removed: journal.removed.clone(),
        }
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::PctSnapshot);
}
