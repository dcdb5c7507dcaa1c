//! What is removed, and when nothing is. Pure.

use crate::params::Params;
use crate::state::State;
use ansible_module::{Plan, Refusal};
use anyhow::{Result, bail};
use k3s_node::Role;
use serde::Serialize;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Run { script: String },
    Forget,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { script } => write!(
                f,
                "run {script}, which ends the pods and removes k3s with its data"
            ),
            Self::Forget => f.write_str("remove the records of interrupted runs"),
        }
    }
}

/// What stays, and why it may matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    pub path: String,
    pub what: &'static str,
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let refusals = refusals(params, state);
    if !refusals.is_empty() {
        bail!("nothing was touched. {}", Refusal::list(&refusals));
    }
    let mut steps = Vec::new();
    // Where the unit is gone and the script is not, an earlier run was interrupted.
    if state.scripts.contains(&params.role) {
        steps.push(Step::Run {
            script: state.script(params.role),
        });
    }
    if !state.records.is_empty() {
        steps.push(Step::Forget);
    }
    Ok(Plan::of(steps))
}

fn refusals(params: &Params, state: &State) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let location = &state.location;
    if let Some(name) = state.other_units.first() {
        refusals.push(Refusal::new(
            "other_unit",
            format!("{location}: there is another unit, {name}, for whose sake the uninstall script would leave most in place"),
            "remove that one first, or this k3s by hand",
        ));
    }
    let other = if params.role == Role::Server {
        Role::Agent
    } else {
        Role::Server
    };
    if state.units.contains(&other) {
        refusals.push(Refusal::new(
            "role",
            format!(
                "{location}: there is {}, and a {} was expected",
                state.unit(other),
                params.role
            ),
            "check pct_id and the group of this node in the inventory",
        ));
    }
    if state.units.contains(&params.role) && !state.scripts.contains(&params.role) {
        refusals.push(Refusal::new(
            "no_script",
            format!(
                "{location}: {} is there, and {} is not",
                state.unit(params.role),
                state.script(params.role)
            ),
            "upgrade k3s on it with playbook-upgrade-k3s.yaml, which writes it, or run k3s' install script for its present version once more; then run this again",
        ));
    }
    refusals
}

/// What k3s' script is known to leave, and what is ours.
pub(crate) fn leftovers(state: &State) -> Vec<Leftover> {
    let what = |path: &str| match path {
        "/etc/rancher/node" => {
            "the node's password: whoever has it may register under this node's name again"
        }
        "/var/lib/homelab-k3s" => {
            "backups and files that were kept; a backup holds every secret of the cluster"
        }
        "/etc/rancher/k3s" => "configuration, perhaps with a token or passwords of registries",
        "/var/lib/rancher/k3s" => "data of k3s: certificates, perhaps the datastore, images, local volumes",
        "/var/lib/kubelet" => "data of pods; see that nothing is mounted there before it is removed",
        "/run/k3s" => {
            "mounts of pods that k3s' script could not unmount; they are in nobody's way, and end when the container is restarted"
        }
        _ => "a service that makes /dev/kmsg, written for k3s",
    };
    let left = state.left.iter();
    left.map(|path| Leftover {
        path: path.clone(),
        what: what(path),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn params(role: &str) -> Params {
        serde_json::from_value(json!({"vmid": 111, "role": role})).unwrap()
    }

    fn agent() -> State {
        State {
            location: "container 111 on pve1".into(),
            bin: "/usr/local/bin".into(),
            units: vec![Role::Agent],
            scripts: vec![Role::Agent],
            binary: true,
            ..State::default()
        }
    }

    fn steps(role: &str, state: &State) -> Result<Vec<String>, String> {
        let plan = plan(&params(role), state).map_err(|error| error.to_string())?;
        Ok(plan.steps.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn k3s_own_script_removes_it() {
        let run =
            "run /usr/local/bin/k3s-agent-uninstall.sh, which ends the pods and removes k3s with its data";
        assert_eq!(steps("agent", &agent()).unwrap(), [run]);
        let mut interrupted = agent();
        interrupted.units.clear();
        interrupted.records = vec!["install-record.json".into()];
        assert_eq!(
            steps("agent", &interrupted).unwrap(),
            [run, "remove the records of interrupted runs"]
        );
    }

    #[test]
    fn a_worker_under_another_name_goes_by_the_script_of_that_name() {
        let mut node = agent();
        node.names = [(Role::Agent, "k3s-node.service".to_owned())].into();
        let run =
            "run /usr/local/bin/k3s-node-uninstall.sh, which ends the pods and removes k3s with its data";
        assert_eq!(steps("agent", &node).unwrap(), [run]);
        node.scripts.clear();
        let refused = steps("agent", &node).unwrap_err();
        assert!(
            refused.contains("k3s-node.service is there, and /usr/local/bin/k3s-node-uninstall.sh is not")
        );
    }

    #[test]
    fn where_nothing_is_nothing_is_done() {
        assert_eq!(steps("server", &State::default()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_what_was_expected_is_left_alone() {
        let refused = steps("server", &agent()).unwrap_err();
        assert!(
            refused.contains("there is k3s-agent.service, and a server was expected (role)"),
            "{refused}"
        );
        let mut other = agent();
        other.other_units = vec!["k3s-lab.service".into()];
        other.scripts.clear();
        let refused = steps("agent", &other).unwrap_err();
        assert!(refused.starts_with("nothing was touched. "), "{refused}");
        assert!(
            refused.contains("(other_unit)")
                && refused.contains("/usr/local/bin/k3s-agent-uninstall.sh is not (no_script)")
        );
    }

    #[test]
    fn reports_leftovers_with_their_meaning() {
        let left = [
            "/etc/rancher/node",
            "/var/lib/homelab-k3s",
            "/etc/systemd/system/conf-kmsg.service",
            "/run/k3s",
            "/etc/rancher/k3s",
            "/var/lib/rancher/k3s",
            "/var/lib/kubelet",
        ];
        let gone = State {
            left: left.map(str::to_owned).into(),
            ..State::default()
        };
        let names: Vec<_> = leftovers(&gone).into_iter().map(|left| left.what).collect();
        assert!(
            names[0].contains("password") && names[1].contains("backup") && names[2].contains("/dev/kmsg")
        );
        assert!(names[3].contains("mounts of pods"));
        assert!(
            names[4].contains("token")
                && names[5].contains("the datastore")
                && names[6].contains("data of pods")
        );
    }
}
