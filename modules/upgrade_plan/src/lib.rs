//! `upgrade_plan`: plan the upgrade of a k3s cluster. It reads only its arguments, which hold what the other modules
//! found, so that no playbook contains the logic.

mod health;
mod node;
mod params;
mod plan;
mod text;

pub use params::Params;
pub use plan::Planned;

use ansible_module::{Module, Plan, Target};
use anyhow::{Result, anyhow};
use host::Host;
use params::Mode;
use serde::Serialize;
use std::convert::Infallible;

pub struct UpgradePlan;

#[derive(Serialize)]
pub struct Returned {
    text: Vec<String>,
    refused: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    planned: Option<Planned>,
}

impl Module for UpgradePlan {
    const NAME: &'static str = "upgrade_plan";
    const DOC: &'static str = include_str!("../upgrade_plan.yml");

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
        if params.mode == Mode::Plan && params.fail_on_refusal {
            let refusals = plan::plan(params).refusals;
            return text::refused(params, &refusals)
                .map_or_else(|| Ok(Plan::default()), |refused| Err(anyhow!(refused)));
        }
        Ok(Plan::default())
    }

    fn apply(_: &Params, _: &dyn Host, step: &Infallible, (): &mut ()) -> Result<()> {
        match *step {}
    }

    fn report(params: &Params, (): &(), (): &(), (): &()) -> Returned {
        match params.mode {
            Mode::Summary => Returned {
                text: text::summary(params),
                refused: None,
                planned: None,
            },
            Mode::Plan => {
                let planned = plan::plan(params);
                Returned {
                    text: text::plan(params, &planned),
                    refused: text::refused(params, &planned.refusals),
                    planned: Some(planned),
                }
            }
        }
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::UpgradePlan);
}
