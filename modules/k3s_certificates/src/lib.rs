//! `k3s_certificates`: list and renew the certificates of a k3s node.

mod certificate_report;
mod judge;
mod kubeconfig;
mod params;
mod plan;
mod state;
mod summary;
mod text;

pub use params::{Params, Wanted};
pub use plan::Step;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::{Result, bail};
use certificate_report::CertificateReport;
use host::{Host, Waited, wait_until};
use k3s_certs::rotation::{self, Done, Paths, Role, Way};
use k3s_certs::{All, Fault};
use k3s_node::NodeSettings;
use serde::Serialize;
use std::time::Duration;

pub struct K3sCertificates;

const PROVE_LIMIT: Duration = Duration::from_mins(1);
const PROVE_EVERY: Duration = Duration::from_secs(5);

#[derive(Serialize)]
pub struct Returned {
    certificates: Vec<CertificateReport>,
    unreadable: Vec<Fault>,
    notes: Vec<String>,
    table: String,
    problem: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    rotation: Option<Rotation>,
}

#[derive(Serialize)]
struct Rotation {
    unit: String,
    gate_before: bool,
    gate_after: Option<Role>,
    way: Option<Way>,
    seconds: Option<u64>,
}

impl Module for K3sCertificates {
    const NAME: &'static str = "k3s_certificates";
    const DOC: &'static str = include_str!("../k3s_certificates.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Done;
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: (params.wanted == Wanted::Rotated).then_some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        if params.wanted == Wanted::Summary || params.kubeconfigs.is_some() {
            let all = if params.wanted == Wanted::Summary {
                All::default()
            } else {
                gather(params, host, None)?
            };
            return Ok(State {
                all,
                now: host.now(),
                paths: Paths::default(),
                service: None,
            });
        }
        let node = NodeSettings::look(host)?;
        let paths = Paths::of_node(&node, params.data_dir.as_deref(), params.kubeconfig.as_deref());
        Ok(State {
            all: gather(params, host, Some(&paths))?,
            service: match params.wanted {
                Wanted::Rotated => Some(rotation::look(host, &node, &paths)?),
                Wanted::Listed | Wanted::Summary => None,
            },
            paths,
            now: host.now(),
        })
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, done: &mut Done) -> Result<()> {
        match step {
            Step::Rotation(step) => rotation::apply(host, step, Duration::from_secs(params.timeout), done),
            Step::Prove => prove(params, host),
        }
    }

    fn report(params: &Params, before: &State, after: &State, done: &Done) -> Returned {
        let merged = after.merged(params);
        Returned {
            table: text::table(&merged, &after.paths.data_dir),
            problem: certificate_report::problem(&merged.certificates, &merged.faults),
            rotation: before.service.as_ref().map(|service| Rotation {
                unit: service.unit.clone(),
                gate_before: plan::gate_before(params, before, service),
                gate_after: plan::gate_after(params, service, done),
                way: done.way,
                seconds: done.seconds,
            }),
            certificates: merged.certificates,
            unreadable: merged.faults,
            notes: merged.notes,
        }
    }
}

/// `paths`: where a node's own certificates are; none where kubeconfigs are looked at.
fn gather(params: &Params, host: &dyn Host, paths: Option<&Paths>) -> Result<All> {
    let mut all = if paths.is_some() || !params.paths.is_empty() {
        All::of_node(host, paths, &params.paths)?
    } else {
        All::default()
    };
    for path in params.kubeconfigs.iter().flatten() {
        kubeconfig::read(&mut all, host, path);
    }
    if let Some(paths) = paths
        && all.found.is_empty()
        && all.faults.is_empty()
    {
        bail!(
            "{}: there is no certificate below {}: k3s is not installed here, or keeps its data elsewhere (data_dir)",
            host.location(),
            paths.data_dir
        );
    }
    Ok(all)
}

/// The last files are written a moment after k3s answers.
fn prove(params: &Params, host: &dyn Host) -> Result<()> {
    let waited = wait_until(host, PROVE_LIMIT, PROVE_EVERY, || {
        let state = K3sCertificates::observe(params, host)?;
        let left = state
            .service
            .as_ref()
            .and_then(|service| plan::left_over(params, &state, service));
        Ok(left.map_or(Ok(()), Err))
    })?;
    match waited {
        Waited::Done(()) => Ok(()),
        Waited::GaveUp { missing, .. } => bail!("{}: {missing}", host.location()),
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sCertificates);
}
