//! What is due, and what is done about it. Pure.

use crate::certificate_report::{self, Kind};
use crate::judge;
use crate::params::{Params, Wanted};
use crate::state::State;
use ansible_module::Plan;
use anyhow::{Result, bail};
use k3s_certs::rotation::{self, Done, Paths, Role, Service};
use k3s_certs::{Found, Standing};
use std::fmt;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Rotation(rotation::Step),
    /// Read again: nothing may be due any more.
    Prove,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rotation(step) => step.fmt(f),
            Self::Prove => f.write_str("check that every due certificate is new"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    match (params.wanted, &state.service) {
        (Wanted::Rotated, Some(service)) => rotated(params, state, service),
        _ => listed(params, state),
    }
}

fn listed(params: &Params, state: &State) -> Result<Plan<Step>> {
    match state.problem(params) {
        Some(problem) if params.fail_on_expiring => bail!(
            "{problem}. Leaves are renewed by `state: rotated`, authorities by `k3s certificate rotate-ca`"
        ),
        _ => Ok(Plan::default()),
    }
}

fn rotated(params: &Params, state: &State, service: &Service) -> Result<Plan<Step>> {
    let due = due(params, state, service);
    let all = renewable(params, state, service);
    let wanted = params.force || !due.is_empty();
    let mut steps: Vec<Step> = rotation::steps(service, wanted)?
        .into_iter()
        .filter(|step| params.wait || !step.is_wait())
        .map(Step::Rotation)
        .collect();
    let doubts = doubts(state, &all);
    if steps.is_empty() && !doubts.is_empty() {
        bail!(
            "{}. Nothing was done about it, since new certificates may not be what is missing: correct the clock or repair the files, or have them recreated with `force: true`",
            doubts.join("; ")
        );
    }
    if wanted && params.wait {
        steps.push(Step::Prove);
    }
    let mut plan = Plan::of(steps);
    plan.warnings = warnings(params, state);
    Ok(plan)
}

/// Whether etcd has to be able to lose this node first: of a server that runs, and only where a working k3s counts.
pub(crate) fn gate_before(params: &Params, state: &State, service: &Service) -> bool {
    let restarts = service.alive && (params.force || !due(params, state, service).is_empty());
    params.wait && restarts && service.role == Role::Server
}

/// The k3s that was started, for the cluster to see it return.
pub(crate) fn gate_after(params: &Params, service: &Service, done: &Done) -> Option<Role> {
    let was_started = done.way.is_some() || done.seconds.is_some();
    (params.wait && was_started).then_some(service.role)
}

/// The leaves that are to be renewed now.
pub(crate) fn due<'a>(params: &Params, state: &'a State, service: &Service) -> Vec<&'a Found> {
    let window = params.renew_window();
    let is_due = |found: &&Found| {
        matches!(
            found.certificate.standing(state.now, window),
            Standing::Expired | Standing::ExpiresSoon
        )
    };
    renewable(params, state, service)
        .into_iter()
        .filter(is_due)
        .collect()
}

/// The leaves that k3s itself makes on a node of this role.
fn renewable<'a>(params: &Params, state: &'a State, service: &Service) -> Vec<&'a Found> {
    let made = |found: &&Found| {
        certificate_report::kind(&found.certificate) == Kind::Leaf
            && is_made(&state.paths, service.role, &found.file)
    };
    state
        .all
        .found
        .iter()
        .filter(made)
        .filter(|found| judge::ignored(params, &found.file, &state.all).is_none())
        .collect()
}

fn is_made(paths: &Paths, role: Role, file: &str) -> bool {
    let below = |folder: &str| file.starts_with(&format!("{}/{folder}/", paths.data_dir));
    match role {
        // An agent that was a server once still has that one's files.
        Role::Agent => below("agent"),
        // The API server's own for its loopback is made once, for a hundred years.
        Role::Server => {
            file == paths.kubeconfig
                || below("agent")
                || (below("server/tls") && !below("server/tls/temporary-certs"))
        }
    }
}

/// What is wrong and would not be fixed by waiting for its end.
fn doubts(state: &State, renewable: &[&Found]) -> Vec<String> {
    let early = renewable
        .iter()
        .filter(|found| found.certificate.standing(state.now, Duration::ZERO) == Standing::NotYetValid)
        .map(|found| {
            format!(
                "{} is not valid before {}, and it is {} now",
                found.file,
                found.certificate.not_before_rfc3339(),
                k3s_certs::rfc3339(state.now)
            )
        });
    let own = |file: &str| file.starts_with(&state.paths.data_dir) || file == state.paths.kubeconfig;
    let unreadable = state.all.faults.iter().filter(|fault| own(&fault.file));
    let unreadable = unreadable.map(|fault| format!("{}: {}", fault.file, fault.error));
    early.chain(unreadable).collect()
}

fn warnings(params: &Params, state: &State) -> Vec<String> {
    let mut certificates = state.certificates(params);
    certificates.retain(|certificate| certificate.kind == Kind::Ca);
    let authorities = certificate_report::troubles(&certificates);
    if authorities.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "{}. An authority is not renewed here: see `k3s certificate rotate-ca`",
        authorities.join("; ")
    )]
}

/// What a renewal has left due, as an error that says what to do.
pub(crate) fn left_over(params: &Params, state: &State, service: &Service) -> Option<String> {
    let mut left: Vec<String> = due(params, state, service)
        .iter()
        .map(|found| format!("{} until {}", found.file, found.certificate.not_after_rfc3339()))
        .collect();
    left.dedup();
    (!left.is_empty()).then(|| {
        format!(
            "k3s was restarted, but left these unchanged: {}. It may have stopped using a file at an upgrade: then remove it, or name it in `ignore`; else look with `journalctl -u {}`",
            left.join("; "),
            service.unit
        )
    })
}

#[cfg(test)]
mod tests;
