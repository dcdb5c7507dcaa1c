//! What to do about it: the steps. Pure.

use crate::params::{Params, Pods, Unit};
use crate::state::{Service, State, short};
use ansible_module::Plan;
use anyhow::{Result, bail};
use k3s_node::Role;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Of the unit of this name. First: a machine that starts anew in between must not start it.
    Disable(String),
    Stop(String),
    EndPods {
        script: String,
        data_dir: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disable(unit) => write!(f, "disable {}", short(unit)),
            Self::Stop(unit) => write!(f, "stop {}", short(unit)),
            Self::EndPods { script, .. } => write!(f, "end the pods that it leaves running, by {script}"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    if !state.has_systemd {
        bail!("there is no systemctl: only a k3s that systemd runs can be stopped here");
    }
    if let Some(name) = state.others.first()
        && (params.pods == Pods::Ended || params.unit.is_none())
    {
        bail!(
            "{name} starts a k3s here too, beside the one that is meant: run `systemctl disable --now {name}` there, and then this again"
        );
    }
    let service = service(params, state)?;
    let mut steps = Vec::new();
    if let Some(Service { name, show }) = service {
        if params.disabled && show.is_enabled() {
            steps.push(Step::Disable(name.clone()));
        }
        if !show.is_at_rest() {
            steps.push(Step::Stop(name.clone()));
        }
    }
    let runs = service.is_some_and(Service::runs);
    // A k3s that runs has pods nearly always, and what the look did not see would be left.
    if params.pods == Pods::Ended && (runs || !state.shims.is_empty()) {
        steps.push(end_pods(state)?);
    }
    Ok(Plan::of(steps))
}

/// The service that is meant; none where there is none any more.
pub(crate) fn service<'s>(params: &Params, state: &'s State) -> Result<Option<&'s Service>> {
    if let Some(unit) = params.unit {
        let other = state
            .service(unit.other())
            .filter(|other| other.show.is_in_service());
        if let Some(other) = other.filter(|_| params.pods == Pods::Ended) {
            let other = other.short();
            bail!(
                "{other} is in service here too, and the script that ends the pods of the {} stops it as well: say pods: left, or stop {other} first",
                Role::from(unit)
            );
        }
        return Ok(state.service(unit));
    }
    let found: Vec<&Service> = Unit::ALL.iter().filter_map(|unit| state.service(*unit)).collect();
    match found[..] {
        [] => Ok(None),
        [service] => Ok(Some(service)),
        [first, second, ..] => bail!(
            "there is a {} and a {}, and it is not clear which is meant: give unit",
            first.name,
            second.name
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
    Ok(Step::EndPods {
        script,
        data_dir: state.data_dir.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k3s_node::Show;
    use serde_json::{Value, json};

    /// `server` and `agent` as `active/enabled`; nothing: there is no such unit.
    fn state(server: &str, agent: &str, shims: &[u32], script: bool) -> State {
        let services = [(Unit::Server, server), (Unit::Agent, agent)]
            .into_iter()
            .filter(|(_, stands)| !stands.is_empty())
            .map(|(unit, stands)| (unit, service_of(Role::from(unit).unit(), stands)));
        State {
            has_systemd: true,
            services: services.collect(),
            data_dir: "/var/lib/rancher/k3s".to_owned(),
            script: "/opt/bin/k3s-killall.sh".to_owned(),
            script_is_there: script,
            shims: shims.to_vec(),
            ..State::default()
        }
    }

    fn service_of(name: &str, stands: &str) -> Service {
        let (active, enabled) = stands.split_once('/').unwrap();
        Service {
            name: name.to_owned(),
            show: Show {
                active: active.to_owned(),
                enabled: enabled.to_owned(),
                ..Show::default()
            },
        }
    }

    fn steps(options: Value, state: &State) -> Result<Vec<String>, String> {
        let plan = plan(&serde_json::from_value(options).unwrap(), state);
        let steps = |plan: Plan<Step>| plan.steps.iter().map(ToString::to_string).collect();
        plan.map(steps).map_err(|error| error.to_string())
    }

    #[test]
    fn a_worker_in_a_unit_of_another_name_is_taken_out_by_that_name() {
        let mut other = state("", "active/enabled", &[812], true);
        other
            .services
            .insert(Unit::Agent, service_of("k3s-node.service", "active/enabled"));
        for options in [json!({}), json!({"unit": "k3s-agent"})] {
            let steps = steps(options, &other).unwrap();
            assert_eq!(steps, ["disable k3s-node", "stop k3s-node", END]);
        }
        let plan = plan(&serde_json::from_value(json!({})).unwrap(), &other).unwrap();
        assert_eq!(plan.steps[1], Step::Stop("k3s-node.service".to_owned()));
    }

    #[test]
    fn a_further_k3s_in_service_is_named_and_its_pods_are_not_ended() {
        let two = State {
            others: vec!["edge.service".to_owned()],
            ..state("", "inactive/disabled", &[812], true)
        };
        let refused = steps(json!({}), &two).unwrap_err();
        assert!(
            refused.contains("`systemctl disable --now edge.service`"),
            "{refused}"
        );
        let left = json!({"unit": "k3s-agent", "pods": "left"});
        assert!(steps(left, &two).unwrap().is_empty());
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
            (json!({}), State::default(), "there is no systemctl"),
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
