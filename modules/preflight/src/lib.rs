//! `preflight`: collect the reasons to refuse a run from all nodes. It reads only its arguments, which hold what the
//! other modules found.

mod params;
mod refusals;

pub use params::Params;

use ansible_module::{Module, Plan, Target};
use anyhow::{Result, anyhow};
use host::Host;
use per_node::Refusal;
use serde::Serialize;
use std::convert::Infallible;

pub struct Preflight;

#[derive(Serialize)]
pub struct Returned {
    refusals: Vec<Refusal>,
    refused: Option<String>,
}

impl Module for Preflight {
    const NAME: &'static str = "preflight";
    const DOC: &'static str = include_str!("../preflight.yml");

    type Params = Params;
    /// All that is to be known is in the arguments.
    type State = ();
    type Step = Infallible;
    type Journal = ();
    type Returned = Returned;

    fn target(_: &Params) -> Target {
        Target::default()
    }

    fn observe(_: &Params, _: &dyn Host) -> Result<()> {
        Ok(())
    }

    fn plan(params: &Params, (): &()) -> Result<Plan<Infallible>> {
        match refusals::refused(params).filter(|_| params.fail_on_refusal) {
            Some(refused) => Err(anyhow!(refused)),
            None => Ok(Plan::default()),
        }
    }

    fn apply(_: &Params, _: &dyn Host, step: &Infallible, (): &mut ()) -> Result<()> {
        match *step {}
    }

    fn report(params: &Params, (): &(), (): &(), (): &()) -> Returned {
        let refusals = refusals::all(params);
        Returned {
            refused: refusals::refused(params),
            refusals,
        }
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::Preflight);
}
