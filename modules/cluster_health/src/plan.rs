//! Whether the answer is a failure. There is nothing to do but to say so. Pure.

use crate::judge::judge;
use crate::params::{FailOn, Params};
use crate::state::State;
use ansible_module::Plan;
use anyhow::{Result, bail};
use std::convert::Infallible;

/// Verdicts that a message names; all of them are in the answer.
const NAMED: usize = 6;

pub fn plan(params: &Params, state: &State) -> Result<Plan<Infallible>> {
    let health = judge(params, &state.seen);
    let failing: Vec<String> = health.failing().map(ToString::to_string).collect();
    if failing.is_empty() || params.fail_on == FailOn::Never {
        return Ok(Plan::default());
    }
    let what = if health.verdicts.iter().any(|verdict| verdict.before > 0) {
        "new trouble"
    } else {
        "trouble"
    };
    let waited = if params.wait.is_zero() {
        String::new()
    } else {
        format!(" after {} s of waiting", params.wait.as_secs())
    };
    let named = failing.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = match failing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let next = if state.seen.api.version.is_some() {
        "look at what is named with `kubectl describe`, and mend it; what you know of and accept goes into `ignore`"
    } else {
        "see there what `systemctl status` and `journalctl -u` say of k3s; nothing else is known of the cluster"
    };
    bail!(
        "{}: looking at the cluster's health found {what}{waited}: {named}{more}. Next: {next}",
        state.seen.place
    )
}
