//! What to do about it. Pure.

use crate::params::{Params, What};
use crate::state::State;
use ansible_module::Plan;
use anyhow::Result;
use host::{Failure, Kind, pct};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Start { vmid: u32 },
    Run { vmid: u32, program: String },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { vmid } => write!(f, "start container {vmid}"),
            Self::Run { vmid, program } => write!(f, "run {program} in container {vmid}"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let vmid = params.vmid;
    if state.needless.is_some() {
        return Ok(Plan::default());
    }
    let starting = !state.status.running;
    if starting && !params.ensure_started {
        let detail = format!("it is stopped: start it with `pct start {vmid}`, or set ensure_started");
        return Err(Failure::new(Kind::ContainerStopped, &state.location, detail).into());
    }
    if let Some(lock) = state
        .status
        .lock
        .as_ref()
        .filter(|_| starting || params.refuse_locked)
    {
        return Err(pct::locked(&state.location, vmid, lock).into());
    }
    let run = Step::Run {
        vmid,
        program: program(&params.what).to_owned(),
    };
    Ok(Plan::of(if starting {
        vec![Step::Start { vmid }, run]
    } else {
        vec![run]
    }))
}

/// The arguments may hold what must not be repeated; the program's name does not.
fn program(what: &What) -> &str {
    match what {
        What::Program { argv, .. } => argv.first().map_or("", String::as_str),
        What::Script(_) => "a script",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::pct::Status;
    use serde_json::json;

    fn params(more: serde_json::Value) -> Params {
        let mut all = json!({"vmid": 101, "argv": ["k3s", "--version"]});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn state(running: bool, lock: Option<&str>) -> State {
        State {
            location: "container 101 on pve1".to_owned(),
            status: Status {
                running,
                lock: lock.map(str::to_owned),
            },
            needless: None,
        }
    }

    fn steps(more: serde_json::Value, state: &State) -> Result<Vec<String>, Option<Kind>> {
        match plan(&params(more), state) {
            Ok(plan) => Ok(plan.steps.iter().map(ToString::to_string).collect()),
            Err(error) => Err(Failure::of(&error).map(|failure| failure.kind)),
        }
    }

    #[test]
    fn a_running_container_is_only_run_in() {
        assert_eq!(
            steps(json!({}), &state(true, None)).unwrap(),
            ["run k3s in container 101"]
        );
    }

    #[test]
    fn a_stopped_container_is_refused_unless_it_may_be_started() {
        assert_eq!(
            steps(json!({}), &state(false, None)).unwrap_err(),
            Some(Kind::ContainerStopped)
        );
        let started = steps(json!({"ensure_started": true}), &state(false, None)).unwrap();
        assert_eq!(started, ["start container 101", "run k3s in container 101"]);
    }

    #[test]
    fn a_locked_container_cannot_be_started() {
        let refused = steps(json!({"ensure_started": true}), &state(false, Some("backup"))).unwrap_err();
        assert_eq!(refused, Some(Kind::ContainerLocked));
    }

    #[test]
    fn a_lock_does_not_stop_a_command_unless_asked_to() {
        assert!(steps(json!({}), &state(true, Some("backup"))).is_ok());
        let refused = steps(json!({"refuse_locked": true}), &state(true, Some("backup"))).unwrap_err();
        assert_eq!(refused, Some(Kind::ContainerLocked));
    }

    #[test]
    fn what_is_already_there_is_not_made_again() {
        let state = State {
            needless: Some("/x exists".to_owned()),
            ..state(true, None)
        };
        assert_eq!(
            steps(json!({"creates": "/x"}), &state).unwrap(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_script_is_not_repeated_in_the_actions() {
        let params: Params = serde_json::from_value(json!({"vmid": 101, "script": "echo s3cr3t"})).unwrap();
        let plan = plan(&params, &state(true, None)).unwrap();
        assert_eq!(plan.steps[0].to_string(), "run a script in container 101");
    }
}
