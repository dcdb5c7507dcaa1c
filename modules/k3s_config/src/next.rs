//! What is installed on the node after its configuration, for the playbook and in words. Pure.

use crate::params::Params;
use crate::state::State;
use k3s_node::Role;
use serde::Serialize;

/// What the node becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Becomes {
    FirstServer,
    Controller,
    Worker,
}

impl Becomes {
    pub(crate) fn of(params: &Params) -> Option<Self> {
        Some(match params.role? {
            Role::Agent => Self::Worker,
            Role::Server if params.first_server => Self::FirstServer,
            Role::Server => Self::Controller,
        })
    }
}

/// The last line of the installation's plan.
pub(crate) fn line(params: &Params, state: &State) -> String {
    if state.installed {
        return "nothing more: k3s is installed".to_owned();
    }
    match Becomes::of(params) {
        Some(Becomes::FirstServer) => match &params.version {
            Some(version) => format!("install k3s {version} as the first server"),
            None => "install k3s as the first server".to_owned(),
        },
        Some(Becomes::Controller) => "join the cluster as a server, at its version".to_owned(),
        Some(Becomes::Worker) => "join the cluster as a worker, at its version".to_owned(),
        None => "install k3s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k3s_node::Facts;
    use serde_json::{Value, json};

    fn next(options: Value) -> (Option<Becomes>, String) {
        let params: Params = serde_json::from_value(options).unwrap();
        let state = State::read(
            &Facts::parse(b"@end 0\n\n").unwrap(),
            "container 101 on pve1".to_owned(),
        );
        (Becomes::of(&params), line(&params, &state.unwrap()))
    }

    #[test]
    fn a_node_becomes_what_its_role_and_the_cluster_make_it() {
        let version = "v1.36.3+k3s1";
        for (options, becomes, words) in [
            (
                json!({"role": "server", "first_server": true, "version": version}),
                Some(Becomes::FirstServer),
                "install k3s v1.36.3+k3s1 as the first server",
            ),
            (
                json!({"role": "server", "first_server": true}),
                Some(Becomes::FirstServer),
                "install k3s as the first server",
            ),
            (
                json!({"role": "server", "version": version}),
                Some(Becomes::Controller),
                "join the cluster as a server, at its version",
            ),
            // An agent is never the first.
            (
                json!({"role": "agent", "first_server": true, "version": version}),
                Some(Becomes::Worker),
                "join the cluster as a worker, at its version",
            ),
            (json!({}), None, "install k3s"),
        ] {
            assert_eq!(next(options.clone()), (becomes, words.to_owned()), "{options}");
        }
    }
}
