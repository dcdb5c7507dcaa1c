//! `preflight`: collect the reasons to refuse a run from all nodes. It reads only its arguments, which hold what the
//! other modules found.

mod params;
mod refusals;

pub use params::Params;

use ansible_module::Check;
use anyhow::{Result, anyhow};
use host::Host;
use per_node::Refusal;
use serde::Serialize;

pub struct Preflight;

#[derive(Serialize)]
pub struct Returned {
    refusals: Vec<Refusal>,
    refused: Option<String>,
}

impl Check for Preflight {
    const NAME: &'static str = "preflight";
    const DOC: &'static str = include_str!("../preflight.yml");

    type Params = Params;
    /// All that is to be known is in the arguments.
    type State = ();
    type Returned = Returned;

    fn observe(_: &Params, _: &dyn Host) -> Result<()> {
        Ok(())
    }

    fn check(params: &Params, (): &()) -> Result<Vec<String>> {
        match refusals::refused(params).filter(|_| params.fail_on_refusal) {
            Some(refused) => Err(anyhow!(refused)),
            None => Ok(Vec::new()),
        }
    }

    fn report(params: &Params, (): &()) -> Returned {
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
