//! `upgrade_plan`: plan the upgrade of a k3s cluster. It reads only its arguments, which hold what the other modules
//! found, so that no playbook contains the logic; for batches of workers it reads the cluster too.

mod at_once;
mod health;
mod node;
mod params;
mod plan;
mod survey;
mod text;

pub use params::Params;
pub use plan::Planned;
pub use survey::Survey;

use ansible_module::Check;
use anyhow::{Result, anyhow};
use host::Host;
use params::Mode;
use serde::Serialize;
use std::time::SystemTime;

pub struct UpgradePlan;

#[derive(Serialize)]
pub struct Returned {
    text: Vec<String>,
    refused: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    planned: Option<Planned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    planned_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    download_again: Option<bool>,
}

pub struct State {
    /// What is on the nodes, where workers are to go in batches: all else is in the arguments.
    survey: Option<Survey>,
    /// In seconds since 1970.
    now: u64,
}

impl Check for UpgradePlan {
    const NAME: &'static str = "upgrade_plan";
    const DOC: &'static str = include_str!("../upgrade_plan.yml");

    type Params = Params;
    type State = State;
    type Returned = Returned;

    fn vmid(params: &Params) -> Option<u32> {
        params.vmid
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        let now = host.now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(State {
            survey: match params.mode {
                Mode::Batches => Some(survey::read(&params.kubectl, host)?),
                Mode::Plan | Mode::Summary => None,
            },
            now: now.unwrap_or_default().as_secs(),
        })
    }

    fn check(params: &Params, state: &State) -> Result<Vec<String>> {
        if params.mode != Mode::Summary && params.fail_on_refusal {
            let refusals = plan::plan(params, state.survey.as_ref()).refusals;
            return text::refused(params, &refusals)
                .map_or_else(|| Ok(Vec::new()), |refused| Err(anyhow!(refused)));
        }
        Ok(Vec::new())
    }

    fn report(params: &Params, state: &State) -> Returned {
        match params.mode {
            Mode::Summary => Returned {
                text: text::summary(params),
                refused: None,
                planned: None,
                planned_at: None,
                download_again: None,
            },
            Mode::Plan | Mode::Batches => {
                let planned = plan::plan(params, state.survey.as_ref());
                Returned {
                    text: text::plan(params, &planned),
                    refused: text::refused(params, &planned.refusals),
                    planned: Some(planned),
                    planned_at: Some(state.now),
                    download_again: Some(plan::is_to_download_again(params, state.now)),
                }
            }
        }
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::UpgradePlan);
}
