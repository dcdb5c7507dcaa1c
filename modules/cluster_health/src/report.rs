//! The return values.

use crate::counts::Counts;
use crate::judge::judge;
use crate::params::Params;
use crate::state::{Service, State};
use crate::verdict::{Suspect, Verdict, folded};
use crate::{prometheus, summary};
use host::Kind;
use k3s_certs::rfc3339;
use serde::Serialize;

#[derive(Serialize)]
pub struct Returned {
    healthy: bool,
    complete: bool,
    checked_at: String,
    waited: f64,
    verdicts: Vec<Verdict>,
    new: Vec<Verdict>,
    had_begun: Vec<String>,
    suspects: Vec<Suspect>,
    ignored: usize,
    counts: Counts,
    api: ApiSaid,
    summary: Vec<String>,
    prometheus: String,
}

/// What the API server said, or the service that it should run in.
#[derive(Serialize)]
struct ApiSaid {
    version: Option<String>,
    ready: bool,
    checks: usize,
    checks_failed: Vec<String>,
    said: String,
    failure: Option<Kind>,
    service: Option<Service>,
    log: Vec<String>,
}

pub(crate) fn report(params: &Params, state: &State) -> Returned {
    let seen = &state.seen;
    let health = judge(params, seen);
    let counts = Counts::of(seen, &health);
    let api = &seen.api;
    let failed = api.checks.iter().filter(|check| !check.passed);
    Returned {
        healthy: health.is_healthy(),
        complete: seen.is_complete(),
        checked_at: rfc3339(seen.now),
        waited: (state.waited.as_secs_f64() * 10.0).round() / 10.0,
        new: health.failing().cloned().collect(),
        had_begun: folded(health.had_begun())
            .iter()
            .map(ToString::to_string)
            .collect(),
        suspects: health.suspects.clone(),
        ignored: health.ignored,
        summary: summary::lines(params, seen, &health, &counts),
        prometheus: prometheus::text(params, seen, &health, &counts),
        counts,
        api: ApiSaid {
            version: api.version.clone(),
            ready: api.ready,
            checks: api.checks.len(),
            checks_failed: failed.map(|check| check.name.clone()).collect(),
            said: api.said.clone(),
            failure: api.failure,
            service: api.service.clone(),
            log: api.log.clone(),
        },
        verdicts: health.verdicts,
    }
}
