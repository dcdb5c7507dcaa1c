//! `state: read`: the kubeconfig of a controller, complete, valid, and with an address that others can reach.

pub(crate) mod plan;
pub(crate) mod state;

pub(crate) use plan::Step;
pub(crate) use state::State;

use crate::params::Read;
use crate::report::{Fingerprints, Journal};
use anyhow::{Context, Result, bail};
use host::{Command, Host};
use k3s_certs::rotation::{self, Way};
use k3s_certs::{Certificate, Standing};
use serde::Serialize;
use std::time::{Duration, SystemTime};

/// Something that only who is let in gets, and that is small.
const ASK: [&str; 4] = ["--request-timeout=20s", "get", "--raw", "/api/v1/nodes?limit=1"];

#[derive(Serialize)]
pub struct Returned {
    /// The content, for a task with `no_log`. None where nobody could use it.
    kubeconfig: Option<String>,
    name: String,
    server: Option<String>,
    subject: Option<String>,
    expiry: Option<String>,
    days_left: Option<i64>,
    fingerprints: Option<Fingerprints>,
    way: Option<Way>,
}

pub(crate) fn apply(params: &Read, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
    match step {
        Step::Renewal(step) => {
            journal.changed = true;
            let limit = Duration::from_secs(params.timeout);
            rotation::apply(host, step, limit, &mut journal.renewal)
        }
        Step::Prove { former, data_dir } => {
            let now = prove(params, host, data_dir)?;
            journal.rotated = former.as_ref().is_some_and(|former| *former != now);
            Ok(())
        }
    }
}

/// Answers the fingerprint of the certificate that there is now.
fn prove(params: &Read, host: &dyn Host, data_dir: &str) -> Result<String> {
    let found = state::kubeconfig(params, host, data_dir)?;
    let found = found.with_context(|| format!("{}: reading the kubeconfig again", host.location()))?;
    let leaf = found.credentials.leaf();
    if !is_valid(leaf, host.now()) {
        bail!(
            "{}: k3s was started, but the client certificate in {} still expires on {}: see the log of k3s there",
            host.location(),
            params.path,
            leaf.not_after_rfc3339()
        );
    }
    let kubectl = params.kubectl.iter().map(String::as_str);
    let words = kubectl.chain(["--kubeconfig", &params.path]).chain(ASK);
    let output = host.run(&Command::new(words))?;
    output.succeed(
        &host.location(),
        "asking the API server with the renewed kubeconfig",
    )?;
    Ok(leaf.fingerprint.clone())
}

fn is_valid(leaf: &Certificate, now: SystemTime) -> bool {
    leaf.standing(now, Duration::ZERO) == Standing::Valid
}

pub(crate) fn report(state: &State, journal: &Journal) -> Returned {
    let found = state.found.as_ref().ok();
    let leaf = found.map(|found| found.credentials.leaf());
    let usable = found.filter(|found| is_valid(found.credentials.leaf(), state.now));
    Returned {
        kubeconfig: usable.map(|found| found.text.expose().to_owned()),
        name: state.name.clone(),
        server: found.map(|found| found.server.clone()),
        subject: leaf.map(|leaf| leaf.subject.clone()),
        expiry: leaf.map(Certificate::not_after_rfc3339),
        days_left: leaf.map(|leaf| leaf.days_left(state.now)),
        fingerprints: found.map(|found| Fingerprints::of(&found.credentials)),
        // The start that an interrupted renewal still needed is a restart.
        way: journal.renewal.way.or(journal.rotated.then_some(Way::Restart)),
    }
}
