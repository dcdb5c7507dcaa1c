//! Pods, with the states of their containers.

use kubectl::{Condition, Meta, Time, null_is_empty};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// All pods as numbers, and those that may be in trouble.
#[derive(Clone, Debug, Default)]
pub struct Pods {
    /// How many are in each phase.
    pub phases: BTreeMap<String, usize>,
    pub suspect: Vec<Pod>,
}

impl Pods {
    /// `recent`: a crash after it counts.
    pub fn add(&mut self, pods: Vec<Pod>, recent: SystemTime) {
        for pod in pods {
            *self.phases.entry(pod.status.phase.clone()).or_default() += 1;
            if !pod.is_well(recent) {
                self.suspect.push(pod);
            }
        }
    }

    pub fn total(&self) -> usize {
        self.phases.values().sum()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Meta,
    pub spec: PodSpec,
    pub status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    pub node_name: String,
    pub restart_policy: String,
    #[serde(deserialize_with = "null_is_empty")]
    init_containers: Vec<ContainerSpec>,
    #[serde(deserialize_with = "null_is_empty")]
    containers: Vec<ContainerSpec>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerSpec {
    name: String,
    restart_policy: String,
    #[serde(deserialize_with = "null_is_empty")]
    restart_policy_rules: Vec<RestartRule>,
}

/// Since 1.35: after an end with one of these codes it is started again, whatever the policy says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RestartRule {
    exit_codes: ExitCodes,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ExitCodes {
    operator: String,
    #[serde(deserialize_with = "null_is_empty")]
    values: Vec<i32>,
}

impl RestartRule {
    fn applies(&self, exit_code: i32) -> bool {
        let ExitCodes { operator, values } = &self.exit_codes;
        match operator.as_str() {
            "In" => values.contains(&exit_code),
            "NotIn" => !values.contains(&exit_code),
            _ => false,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    pub phase: String,
    pub reason: String,
    pub message: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "null_is_empty")]
    pub init_container_statuses: Vec<Container>,
    #[serde(deserialize_with = "null_is_empty")]
    pub container_statuses: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    pub name: String,
    pub restart_count: u32,
    pub state: States,
    pub last_state: States,
}

/// One of the three is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct States {
    pub waiting: Option<Waiting>,
    pub running: Option<Running>,
    pub terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Waiting {
    pub reason: String,
    pub message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Running {
    pub started_at: Option<Time>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Terminated {
    pub reason: String,
    pub exit_code: i32,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
}

impl Pod {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status
            .conditions
            .iter()
            .find(|condition| condition.r#type == kind)
    }

    pub fn is_ready(&self) -> bool {
        self.condition("Ready")
            .is_some_and(|ready| ready.status == "True")
    }

    pub fn is_mirror(&self) -> bool {
        self.metadata
            .annotations
            .contains_key("kubernetes.io/config.mirror")
    }

    /// Whether it is an init container that runs on beside the others, as there are since 1.28.
    pub fn is_sidecar(&self, container: &str) -> bool {
        let mut init = self.spec.init_containers.iter();
        init.any(|own| own.name == container && own.restart_policy == "Always")
    }

    /// Whether a container that has ended so is started once more. It may say so itself; else the pod does.
    pub fn starts_again(&self, container: &str, exit_code: i32) -> bool {
        let PodSpec {
            init_containers,
            containers,
            restart_policy,
            ..
        } = &self.spec;
        let mut all = init_containers.iter().chain(containers);
        let own = all.find(|own| own.name == container);
        if own.is_some_and(|own| {
            own.restart_policy_rules
                .iter()
                .any(|rule| rule.applies(exit_code))
        }) {
            return true;
        }
        let own = own
            .map(|own| own.restart_policy.as_str())
            .filter(|own| !own.is_empty());
        if exit_code == 0 && own.is_none() && init_containers.iter().any(|init| init.name == container) {
            return false;
        }
        match own.unwrap_or(restart_policy) {
            "Never" => false,
            "OnFailure" => exit_code != 0,
            _ => true,
        }
    }

    /// Init containers first: while one fails, the others wait.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.status
            .init_container_statuses
            .iter()
            .chain(&self.status.container_statuses)
    }

    /// Whether nothing about it needs a closer look.
    fn is_well(&self, recent: SystemTime) -> bool {
        if self.metadata.deletion_timestamp.is_some() {
            return false;
        }
        let crashed_lately = |container: &Container| {
            let crash = container.last_state.terminated.as_ref();
            crash.is_some_and(|crash| crash.finished_at.is_none_or(|at| SystemTime::from(at) > recent))
        };
        match self.status.phase.as_str() {
            "Succeeded" => true,
            "Running" => self.is_ready() && !self.containers().any(crashed_lately),
            _ => false,
        }
    }
}
