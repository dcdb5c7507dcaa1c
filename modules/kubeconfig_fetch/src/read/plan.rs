//! Whether the certificate lasts, and what is done where it does not. Pure.

use super::state::{Found, State};
use crate::params::Read;
use ansible_module::Plan;
use anyhow::{Result, anyhow, bail};
use k3s_certs::rotation::{self, Service};
use k3s_certs::{Standing, rfc3339};
use std::fmt;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Renewal(rotation::Step),
    /// Reads the file again and asks the API server with it.
    Prove {
        /// The fingerprint of the certificate that was there.
        former: Option<String>,
        data_dir: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renewal(step) => step.fmt(f),
            Self::Prove { .. } => f.write_str("read the kubeconfig again and ask the API server with it"),
        }
    }
}

pub(crate) fn plan(params: &Read, state: &State) -> Result<Plan<Step>> {
    let mut plan = Plan::default();
    let is_due = match &state.found {
        Ok(found) => match due(params, state, found)? {
            Due::No => false,
            Due::Now(why) if !params.rotate_if_expired => bail!("{why}. {}", by_hand(state)),
            Due::Soon(why) if !params.rotate_if_expired => {
                plan.warnings.push(format!("{why}. {}", by_hand(state)));
                false
            }
            Due::Now(why) | Due::Soon(why) => {
                if let Err(fault) = &state.service {
                    bail!("{why}, and cannot be renewed: {fault}");
                }
                true
            }
        },
        // A start writes the kubeconfig anew, whatever it is like now.
        Err(_) if params.rotate_if_expired && state.service.as_ref().is_ok_and(is_left_stopped) => false,
        Err(fault) => return Err(anyhow!("{fault}")),
    };
    let service = state.service.as_ref().ok().filter(|_| params.rotate_if_expired);
    let Some(service) = service else {
        return Ok(plan);
    };
    let steps = rotation::steps(service, is_due)?;
    if !steps.is_empty() {
        plan.steps.extend(steps.into_iter().map(Step::Renewal));
        let former = state.found.as_ref().ok();
        plan.steps.push(Step::Prove {
            former: former.map(|found| found.credentials.leaf().fingerprint.clone()),
            data_dir: service.data_dir.clone(),
        });
    }
    Ok(plan)
}

fn is_left_stopped(service: &Service) -> bool {
    !service.alive && (service.enabled || service.marked)
}

enum Due {
    No,
    Soon(String),
    Now(String),
}

fn due(params: &Read, state: &State, found: &Found) -> Result<Due> {
    check_authorities(params, state, found)?;
    let leaf = found.credentials.leaf();
    let what = format!("{}: the client certificate in {}", state.location, params.path);
    let window = DAY * u32::try_from(params.renew_before).unwrap_or(u32::MAX);
    Ok(match leaf.standing(state.now, window) {
        Standing::Valid => Due::No,
        Standing::NotYetValid => bail!(
            "{what} is valid from {} on, and the clock there says {}: set the clock right; a new certificate would have the same fault",
            leaf.not_before_rfc3339(),
            rfc3339(state.now)
        ),
        Standing::Expired => Due::Now(format!("{what} has expired on {}", leaf.not_after_rfc3339())),
        Standing::ExpiresSoon => {
            let left = leaf.days_left(state.now);
            Due::Soon(format!(
                "{what} expires on {}, in {left} days",
                leaf.not_after_rfc3339()
            ))
        }
    })
}

/// No restart renews an authority.
fn check_authorities(params: &Read, state: &State, found: &Found) -> Result<()> {
    let credentials = &found.credentials;
    let mut authorities = credentials.authority.iter().chain(&credentials.chain[1..]);
    let ended = authorities.find(|own| own.standing(state.now, Duration::ZERO) == Standing::Expired);
    match ended {
        None => Ok(()),
        Some(authority) => bail!(
            "{}: {}: the authority {} has expired on {}, and k3s does not renew it by itself: see `k3s certificate rotate-ca`",
            state.location,
            params.path,
            authority.subject,
            authority.not_after_rfc3339()
        ),
    }
}

fn by_hand(state: &State) -> String {
    format!(
        "To have it renewed, for which k3s is restarted: rotate_if_expired: true (the playbook: -e k3s_kubeconfig_rotate_if_expired=true). By hand, in {}: `systemctl stop k3s`, `k3s certificate rotate`, `systemctl start k3s`",
        state.location
    )
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
