//! Whether the answer is a failure. There is nothing to do but to say so. Pure.

use crate::judge::judge;
use crate::params::{FailOn, Params, Scope};
use crate::state::State;
use crate::verdict::folded;
use anyhow::{Result, bail};

/// Verdicts that a message names; all of them are in the answer.
const NAMED: usize = 6;

pub fn plan(params: &Params, state: &State) -> Result<Vec<String>> {
    let health = judge(params, &state.seen);
    let failing: Vec<String> = folded(health.failing()).iter().map(ToString::to_string).collect();
    if failing.is_empty() || params.fail_on == FailOn::Never {
        return Ok(Vec::new());
    }
    let what = if health.verdicts.iter().any(|verdict| verdict.before > 0) {
        "new problems"
    } else {
        "problems"
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
    let checked = match params.scope {
        Scope::Cluster => "the cluster's health",
        Scope::Servers => "the servers",
    };
    let next = if params.scope == Scope::Servers {
        "repair what is named, then check the servers again"
    } else if state.seen.api.version.is_some() {
        "run `kubectl describe` on what is named, and repair it; add what you accept to `ignore` (the playbooks: k3s_health_ignore)"
    } else {
        "see there what `systemctl status` and `journalctl -u` say of k3s; nothing else is known of the cluster"
    };
    bail!(
        "{}: checking {checked} found {what}{waited}: {named}{more}. Next: {next}",
        state.seen.location
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{bare, cluster, node, not_ready, params, pod, with};
    use crate::state::Seen;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn message(options: Value, seen: Seen) -> String {
        let state = State {
            seen,
            waited: Duration::ZERO,
        };
        plan(&params(options), &state).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn a_message_names_the_first_troubles_and_counts_the_others() {
        let stuck = |number: usize| {
            let pod = not_ready(pod(&format!("p{number}")), 400);
            with(pod, json!({"metadata": {"namespace": format!("space{number}")}}))
        };
        let seen = (0..9).fold(cluster(), |seen, number| seen.pod(stuck(number)));
        let message = message(json!({}), seen);
        assert!(
            message.starts_with(
                "container 101 on pve1: checking the cluster's health found problems: Pod space0/Deployment/web: NotReady: "
            ),
            "{message}"
        );
        assert!(
            message.contains("Pod space5/") && !message.contains("space6"),
            "{message}"
        );
        assert!(
            message.contains("; and 3 more. Next: run `kubectl describe` on what is named"),
            "{message}"
        );
    }

    #[test]
    fn what_several_nodes_have_is_said_once() {
        let lost = |number: usize| with(node(&format!("n{number}")), json!({"status": {"conditions": []}}));
        let seen = (0..12).fold(bare(), |seen, number| seen.node(lost(number)));
        let message = message(json!({}), seen);
        assert!(
            message.contains(
                "found problems: Node n0, n1, n10, n11, n2, n3, n4, n5, n6, n7 and 2 more: NotReady: it has no Ready condition: its kubelet has never reported. Next"
            ),
            "{message}"
        );
    }

    #[test]
    fn only_new_trouble_is_named_where_there_is_a_baseline() {
        let old = || cluster().pod(not_ready(pod("web-1"), 400));
        let baseline = json!(old().judged(json!({})).verdicts);
        assert_eq!(message(json!({"baseline": baseline}), old()), "");
        let more = old().pod(not_ready(pod("web-2"), 400));
        let message = message(json!({"baseline": baseline}), more);
        assert!(
            message.contains(
                "found new problems: Pod demo/Deployment/web: NotReady (2 of them, 1 before): web-1"
            ),
            "{message}"
        );
    }

    #[test]
    fn never_fails_with_fail_on_never() {
        assert_eq!(message(json!({"fail_on": "never"}), bare()), "");
    }
}
