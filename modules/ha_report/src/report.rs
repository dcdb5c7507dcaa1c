//! The documented return values.

use crate::judge::{Finding, Severity, judge};
use crate::params::Params;
use crate::state::State;
use crate::text;
use serde::Serialize;

#[derive(Serialize)]
pub struct Returned {
    whole: bool,
    findings: Vec<Finding>,
    text: Vec<String>,
}

pub(crate) fn report(params: &Params, state: &State) -> Returned {
    let findings = judge(params, state);
    let is_error = |finding: &Finding| finding.severity == Severity::Error;
    Returned {
        whole: !findings.iter().any(is_error),
        text: text::lines(params, state, &findings),
        findings,
    }
}
