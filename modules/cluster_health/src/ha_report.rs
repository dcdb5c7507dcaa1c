//! `ha_report`: a deprecated name. It answers as it did before `cluster_health` compared the servers.

mod params;
mod text;

use crate::servers::{self, Apis, Problem, judge};
use ansible_module::Check;
use anyhow::{Result, anyhow};
use cluster::Kubectl;
use host::Host;
use params::Params;
use serde::Serialize;

pub struct HaReport;

/// The documented return values.
#[derive(Serialize)]
pub struct Returned {
    #[serde(rename = "whole")]
    healthy: bool,
    findings: Vec<Finding>,
    text: Vec<String>,
}

#[derive(Serialize)]
struct Finding {
    severity: answers::health::Severity,
    about: String,
    what: String,
}

impl Check for HaReport {
    const NAME: &'static str = "ha_report";
    const DOC: &'static str = include_str!("../ha_report.yml");

    type Params = Params;
    type State = Apis;
    type Returned = Returned;

    fn vmid(params: &Params) -> Option<u32> {
        params.vmid
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<Apis> {
        let kubectl = Kubectl {
            host,
            program: &params.kubectl,
            request_timeout: params.request_timeout,
        };
        servers::state(&params.given, &kubectl)
    }

    fn check(params: &Params, apis: &Apis) -> Result<Vec<String>> {
        let problems = judge(&params.given, apis);
        text::fault(&problems).map_or_else(|| Ok(Vec::new()), |fault| Err(anyhow!(fault)))
    }

    fn report(params: &Params, apis: &Apis) -> Returned {
        let problems = judge(&params.given, apis);
        Returned {
            healthy: text::fault(&problems).is_none(),
            text: text::lines(&params.given, apis, &problems),
            findings: problems.into_iter().map(Finding::of).collect(),
        }
    }
}

impl Finding {
    fn of(problem: Problem) -> Self {
        Self {
            severity: problem.severity,
            about: problem.about,
            what: problem.what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HaReport;

    #[test]
    fn the_sidecar_describes_the_options() {
        testbed::assert_sidecar_describes::<HaReport>();
    }

    #[test]
    fn cases() {
        testbed::run_cases::<HaReport>(env!("CARGO_MANIFEST_DIR"), "tests/ha_report.yml");
    }
}
