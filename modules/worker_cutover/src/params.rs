//! What the user asks for.

use ansible_module::defaults::{number, yes};
use cluster::{Kubectl, Owner, check_program, k3s_kubectl};
use host::Host;
use serde::Deserialize;
use std::time::Duration;

/// The options; see `worker_cutover.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub old: String,
    pub new: String,
    pub state: Wanted,
    pub steer: bool,
    pub accept: Vec<Accepted>,
    pub retirement: Retirement,
    pub workloads: Vec<Owner>,
    pub wait: Duration,
    pub kubectl: Vec<String>,
    pub request_timeout: Duration,
}

impl Params {
    pub(crate) fn kubectl<'a>(&'a self, host: &'a dyn Host) -> Kubectl<'a> {
        Kubectl {
            host,
            program: &self.kubectl,
            request_timeout: self.request_timeout,
        }
    }

    /// Whether pods may stay Pending, for whatever reason.
    pub fn lets_pods_wait(&self) -> bool {
        self.accept.iter().any(|accepted| *accepted != Accepted::Younger)
    }
}

/// What becomes of the old worker, and what is left to do for it on its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retirement {
    pub stop_agent: bool,
    pub delete_node: bool,
    /// What `k3s_service` would do to its agent; none: it was not asked.
    pub agent_actions: Option<Vec<String>>,
}

impl Retirement {
    pub(crate) fn retires(&self) -> bool {
        self.stop_agent || self.delete_node
    }

    pub(crate) fn agent_actions(&self) -> &[String] {
        self.agent_actions.as_deref().unwrap_or_default()
    }

    /// A Node that is to be deleted may be so already, but only while no agent can register it again.
    pub(crate) fn may_be_done(&self) -> bool {
        self.delete_node && self.agent_actions.as_ref().is_some_and(Vec::is_empty)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    #[default]
    Planned,
    Verified,
}

/// What is refused unless it is accepted by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accepted {
    LocalVolume,
    TooSmall,
    NoPlace,
    Younger,
}

impl Accepted {
    pub fn rule(self) -> &'static str {
        match self {
            Self::LocalVolume => "local_volume",
            Self::TooSmall => "too_small",
            Self::NoPlace => "no_place",
            Self::Younger => "younger",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "an option each, as the sidecar has them"
)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    old: String,
    new: String,
    #[serde(default)]
    state: Wanted,
    #[serde(default = "yes")]
    steer: bool,
    #[serde(default)]
    accept: Vec<Accepted>,
    #[serde(default)]
    stop_agent: bool,
    #[serde(default)]
    delete_node: bool,
    agent_actions: Option<Vec<String>>,
    #[serde(default)]
    workloads: Vec<Owner>,
    #[serde(default = "number::<300, _>")]
    wait: u32,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
    #[serde(default = "number::<10, _>")]
    request_timeout: u32,
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        check(&options)?;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Ok(Self {
            vmid: options.vmid,
            old: options.old,
            new: options.new,
            state: options.state,
            steer: options.steer,
            accept: options.accept,
            retirement: Retirement {
                stop_agent: options.stop_agent,
                delete_node: options.delete_node,
                agent_actions: options.agent_actions,
            },
            workloads: options.workloads,
            wait: seconds(options.wait),
            kubectl: options.kubectl,
            request_timeout: seconds(options.request_timeout),
        })
    }
}

fn check(options: &Options) -> Result<(), String> {
    for (option, name) in [("old", &options.old), ("new", &options.new)] {
        if name.is_empty() {
            return Err(format!("{option}: is empty; it is the name of a Kubernetes node"));
        }
    }
    if options.old == options.new {
        return Err(format!(
            "old and new are both {}: a worker cannot take over from itself",
            options.old
        ));
    }
    check_program(&options.kubectl)?;
    if options.request_timeout == 0 {
        return Err("request_timeout: must be at least 1 second".to_owned());
    }
    if !options.workloads.is_empty() && options.state != Wanted::Verified {
        return Err("workloads: is only for state: verified, which compares the cluster with it".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(more: Value) -> Result<Params, String> {
        let mut all = json!({"old": "w1", "new": "w3"});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).map_err(|error| error.to_string())
    }

    #[test]
    fn two_nodes_are_enough() {
        let params = read(json!({})).unwrap();
        assert_eq!((params.state, params.steer), (Wanted::Planned, true));
        assert!(!params.lets_pods_wait() && !params.retirement.may_be_done());
    }

    #[test]
    fn only_what_leaves_pods_pending_lets_them_wait() {
        for (accepted, waits) in [
            ("local_volume", true),
            ("too_small", true),
            ("no_place", true),
            ("younger", false),
        ] {
            let params = read(json!({"accept": [accepted]})).unwrap();
            assert_eq!(params.lets_pods_wait(), waits, "{accepted}");
            assert_eq!(params.accept[0].rule(), accepted);
        }
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let table = [
            (json!({"new": "w1"}), "old and new are both w1"),
            (json!({"old": ""}), "old: is empty"),
            (json!({"kubectl": []}), "kubectl: "),
            (json!({"request_timeout": 0}), "request_timeout: "),
            (json!({"accept": ["everything"]}), "unknown variant `everything`"),
            (
                json!({"workloads": [{"namespace": "a", "kind": "Deployment", "name": "b", "ready": 1}]}),
                "workloads: ",
            ),
        ];
        for (options, start) in table {
            let error = read(options.clone()).unwrap_err();
            assert!(error.starts_with(start), "{options}: {error}");
        }
    }
}
