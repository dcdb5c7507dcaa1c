//! What to do about it: the steps. Pure.

use crate::params::{Params, Pods, Unit};
use crate::state::{Service, State};
use ansible_module::Plan;
use anyhow::{Result, bail};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// First: a machine that starts anew in between must not start it.
    Disable(Unit),
    Stop(Unit),
    EndPods {
        script: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disable(unit) => write!(f, "disable {unit}"),
            Self::Stop(unit) => write!(f, "stop {unit}"),
            Self::EndPods { script } => write!(f, "end the pods that it leaves running, by {script}"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    if !state.has_systemd {
        bail!("there is no systemctl: only a k3s that systemd runs can be stopped here");
    }
    if let Some(name) = &state.other_name {
        bail!(
            "k3s runs here in {name}, and this module stops k3s.service and k3s-agent.service only: run `systemctl disable --now {name}` there, and then this again"
        );
    }
    let unit = unit(params, state)?;
    let service = unit.and_then(|unit| state.service(unit));
    let mut steps = Vec::new();
    if let (Some(unit), Some(service)) = (unit, service) {
        if params.disabled && service.is_enabled() {
            steps.push(Step::Disable(unit));
        }
        if service.runs() {
            steps.push(Step::Stop(unit));
        }
    }
    let runs = service.is_some_and(Service::runs);
    // A k3s that runs has pods nearly always, and what the look did not see would be left.
    if params.pods == Pods::Ended && (runs || !state.shims.is_empty()) {
        steps.push(end_pods(state)?);
    }
    Ok(Plan::of(steps))
}

/// The unit that is meant; none where there is none any more.
pub(crate) fn unit(params: &Params, state: &State) -> Result<Option<Unit>> {
    if let Some(unit) = params.unit {
        let other = unit.other();
        if params.pods == Pods::Ended && state.is_in_service(other) {
            bail!(
                "{other} is in service here too, and the script that ends the pods of {unit} stops it as well: say pods: left, or stop {other} first"
            );
        }
        return Ok(Some(unit));
    }
    let found: Vec<Unit> = Unit::ALL
        .into_iter()
        .filter(|unit| state.service(*unit).is_some())
        .collect();
    match found[..] {
        [] => Ok(None),
        [unit] => Ok(Some(unit)),
        _ => bail!(
            "there is a k3s.service and a k3s-agent.service, and it is not clear which is meant: give unit"
        ),
    }
}

fn end_pods(state: &State) -> Result<Step> {
    let script = state.script.clone();
    if !state.script_is_there {
        bail!(
            "k3s leaves its pods running, and {script}, which ends them, is not there or cannot be run: put the one of the install script there, or say pods: left"
        );
    }
    Ok(Step::EndPods { script })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// `server` and `agent` as `active/enabled`; nothing: there is no such unit.
    fn state(server: &str, agent: &str, shims: &[u32], script: bool) -> State {
        let mut text = String::from("script=/opt/bin/k3s-killall.sh\n");
        for (name, told) in [("k3s", server), ("k3s-agent", agent)] {
            let (active, enabled) = told.split_once('/').unwrap_or(("inactive", ""));
            let load = if told.is_empty() { "not-found" } else { "loaded" };
            let keys = [
                ("LoadState", load),
                ("ActiveState", active),
                ("UnitFileState", enabled),
            ];
            text.extend(keys.map(|(key, value)| format!("{name}:{key}={value}\n")));
        }
        text += if script { "executable=yes\n" } else { "" };
        text.extend(shims.iter().map(|shim| format!("shim={shim}\n")));
        State::parse(&text)
    }

    fn steps(options: Value, state: &State) -> Result<Vec<String>, String> {
        let plan = plan(&serde_json::from_value(options).unwrap(), state);
        let steps = |plan: Plan<Step>| plan.steps.iter().map(ToString::to_string).collect();
        plan.map(steps).map_err(|error| error.to_string())
    }

    #[test]
    fn a_k3s_in_another_unit_is_named_and_its_pods_are_not_ended_beside_it() {
        let other = State {
            other_name: Some("k3s-node.service".to_owned()),
            ..state("", "", &[812], true)
        };
        let refused = steps(json!({}), &other).unwrap_err();
        assert!(refused.contains("k3s runs here in k3s-node.service"), "{refused}");
    }

    const END: &str = "end the pods that it leaves running, by /opt/bin/k3s-killall.sh";

    #[test]
    fn what_is_done_to_each_service() {
        let table: Vec<(Value, State, &[&str])> = vec![
            (
                json!({}),
                state("", "active/enabled", &[7], true),
                &["disable k3s-agent", "stop k3s-agent", END],
            ),
            (
                json!({}),
                state("active/enabled", "", &[], true),
                &["disable k3s", "stop k3s", END],
            ),
            (
                json!({}),
                state("", "activating/disabled", &[], true),
                &["stop k3s-agent", END],
            ),
            (
                json!({}),
                state("", "inactive/enabled", &[7], true),
                &["disable k3s-agent", END],
            ),
            (json!({}), state("", "failed/disabled", &[7], true), &[END]),
            (json!({}), state("", "inactive/disabled", &[], false), &[]),
            (json!({}), state("", "", &[], false), &[]),
            (json!({}), state("", "", &[7], true), &[END]),
            (
                json!({"disabled": false}),
                state("", "active/enabled", &[], true),
                &["stop k3s-agent", END],
            ),
            (
                json!({"pods": "left"}),
                state("", "active/enabled", &[7], false),
                &["disable k3s-agent", "stop k3s-agent"],
            ),
            (
                json!({"unit": "k3s-agent"}),
                state("inactive/disabled", "active/enabled", &[], true),
                &["disable k3s-agent", "stop k3s-agent", END],
            ),
            (json!({"unit": "k3s"}), state("", "", &[], true), &[]),
        ];
        for (number, (options, state, expected)) in table.into_iter().enumerate() {
            assert_eq!(steps(options, &state).unwrap(), expected, "row {number}");
        }
    }

    #[test]
    fn what_is_refused() {
        let both = state("active/enabled", "active/enabled", &[], true);
        let table = [
            (json!({}), both.clone(), "give unit"),
            (json!({"unit": "k3s-agent"}), both, "k3s is in service here too"),
            (
                json!({}),
                state("", "active/enabled", &[7], false),
                "/opt/bin/k3s-killall.sh, which ends them, is not there",
            ),
            (json!({}), State::parse("systemctl=no\n"), "there is no systemctl"),
        ];
        for (options, state, words) in table {
            let error = steps(options, &state).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let both = state("active/enabled", "active/enabled", &[], true);
        let left = json!({"unit": "k3s-agent", "pods": "left"});
        assert_eq!(
            steps(left, &both).unwrap(),
            ["disable k3s-agent", "stop k3s-agent"]
        );
    }
}
