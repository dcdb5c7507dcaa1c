//! The Job that runs Helm, and its pods.

use kubectl::{Condition, Meta, null_is_empty};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The Job that runs Helm.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Job {
    pub metadata: Meta,
    #[serde(default)]
    pub spec: JobSpec,
    #[serde(default)]
    pub status: JobStatus,
    /// How often its container was started anew.
    #[serde(skip)]
    pub restarts: u64,
    /// Whether Helm is at work right now: ended half-way, it leaves a release that nobody finishes.
    #[serde(skip)]
    pub busy: bool,
    /// Its youngest pod.
    #[serde(skip)]
    pub pod: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JobSpec {
    template: Template,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: TemplateSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateSpec {
    #[serde(deserialize_with = "null_is_empty")]
    containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    #[serde(deserialize_with = "null_is_empty")]
    env: Vec<Variable>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct JobStatus {
    failed: u64,
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
}

impl Job {
    fn is(&self, condition: &str) -> bool {
        self.status
            .conditions
            .iter()
            .any(|one| one.r#type == condition && one.status == "True")
    }

    pub fn is_complete(&self) -> bool {
        self.is("Complete")
    }

    /// It has not succeeded, and not for want of trying.
    pub fn is_failing(&self) -> bool {
        !self.is_complete() && (self.is("Failed") || self.status.failed > 0 || self.restarts > 0)
    }

    /// What it was told to do about a release that has failed.
    pub fn policy(&self) -> &str {
        let containers = &self.spec.template.spec.containers;
        containers
            .iter()
            .flat_map(|container| &container.env)
            .find(|variable| variable.name == "FAILURE_POLICY")
            .map_or("", |variable| &variable.value)
    }

    /// Whether the controller that made it knows policies; it tells its Jobs since March 2022.
    pub fn knows_policies(&self) -> bool {
        !self.policy().is_empty()
    }

    /// In one word, for the answer.
    pub fn word(&self) -> &'static str {
        if self.is_complete() {
            "complete"
        } else if self.is_failing() {
            "failing"
        } else {
            "running"
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pod {
    pub(crate) metadata: Meta,
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    #[serde(deserialize_with = "null_is_empty")]
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    restart_count: u64,
    state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    running: Option<IgnoredAny>,
}

impl Pod {
    pub(crate) fn restarts(&self) -> u64 {
        let statuses = &self.status.container_statuses;
        statuses.iter().map(|one| one.restart_count).sum()
    }

    pub(crate) fn runs(&self) -> bool {
        let statuses = &self.status.container_statuses;
        statuses.iter().any(|one| one.state.running.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(status: serde_json::Value, restarts: u64) -> Job {
        let env = json!([{"name": "NAME", "value": "traefik"}, {"name": "FAILURE_POLICY", "value": "abort"}]);
        let spec = json!({"template": {"spec": {"containers": [{"env": env}]}}});
        let read = serde_json::from_value(json!({"metadata": {}, "spec": spec, "status": status}));
        Job {
            restarts,
            ..read.unwrap()
        }
    }

    #[test]
    fn a_job_is_judged_by_its_conditions_and_its_restarts() {
        let complete = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        let given_up = json!({"conditions": [{"type": "Failed", "status": "True"}]});
        let cases = [
            (job(complete.clone(), 0), "complete"),
            // It came right in the end.
            (job(complete, 3), "complete"),
            (job(given_up, 0), "failing"),
            (job(json!({"failed": 1}), 0), "failing"),
            (job(json!({"active": 1}), 2), "failing"),
            (job(json!({"active": 1}), 0), "running"),
        ];
        for (job, word) in cases {
            assert_eq!(job.word(), word, "{job:?}");
        }
        assert_eq!(job(json!({}), 0).policy(), "abort");
        assert!(job(json!({}), 0).knows_policies());
        let old: Job =
            serde_json::from_str(include_str!("../tests/recorded/k3s-v1.22.5-job-failing.json")).unwrap();
        assert!(!old.knows_policies());
    }

    #[test]
    fn what_a_real_k3s_shows_of_a_job_that_fails_is_understood() {
        let text = include_str!("../tests/recorded/k3s-v1.22.5-pods-failing.json");
        let pods: kubectl::List<Pod> = serde_json::from_str(text).unwrap();
        let pod = &pods.items[0];
        assert!(pod.restarts() > 0 && !pod.runs());
        assert_eq!(
            pod.metadata.controller().unwrap().name,
            "helm-install-traefik-crd"
        );
        let text = include_str!("../tests/recorded/k3s-v1.22.5-job-failing.json");
        let mut job: Job = serde_json::from_str(text).unwrap();
        // The Job's own status counts no failure: its one pod is started again and again.
        assert_eq!(job.word(), "running");
        job.restarts = pod.restarts();
        assert_eq!(job.word(), "failing");
    }

    #[test]
    fn a_job_of_a_real_server() {
        let jobs: kubectl::List<Job> =
            serde_json::from_str(&testbed::recorded("k3s-v1.22.5-jobs.json")).unwrap();
        let [job] = &jobs.items[..] else {
            panic!("{jobs:?}")
        };
        assert_eq!(job.word(), "complete", "a pod of it has failed before");
        // Helm was told nothing about failures yet.
        assert_eq!(job.policy(), "");
        // Since 2026 one is made suspended first.
        let suspended = json!({"conditions": [{"type": "Suspended", "status": "True"}], "ready": 0, "uncountedTerminatedPods": {}});
        let suspended: Job =
            serde_json::from_value(json!({"metadata": {}, "spec": {"suspend": true}, "status": suspended}))
                .unwrap();
        assert_eq!(suspended.word(), "running");
    }
}
