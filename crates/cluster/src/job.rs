//! Jobs.

use crate::object::{Condition, Labels, Meta, Time, null_is_empty};
use serde::Deserialize;

#[derive(Deserialize)]
struct JobObject {
    #[serde(default)]
    metadata: Meta,
    #[serde(default)]
    spec: JobSpec,
    #[serde(default)]
    status: JobStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JobSpec {
    template: Template,
}

impl JobSpec {
    /// A variable of its containers; empty if there is none. The others are a user's, and may be secret.
    fn variable(&self, name: &str) -> String {
        let containers = self.template.spec.containers.iter();
        let mut variables = containers.flat_map(|container| &container.env);
        let found = variables.find(|variable| variable.name == name);
        found.map(|variable| variable.value.clone()).unwrap_or_default()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: TemplateSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateSpec {
    #[serde(deserialize_with = "null_is_empty")]
    containers: Vec<Container>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    #[serde(deserialize_with = "null_is_empty")]
    env: Vec<Variable>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JobStatus {
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
    start_time: Option<Time>,
    failed: u32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "JobObject")]
pub struct Job {
    pub uid: String,
    pub namespace: String,
    pub name: String,
    pub labels: Labels,
    /// The `CronJob` that made it.
    pub cron_job: Option<String>,
    pub started: Option<Time>,
    /// How many of its pods have failed.
    pub failures: u32,
    pub conditions: Vec<Condition>,
    /// The hash of what k3s made the Job of a chart from. Helm's release gets it as a label. Empty before mid-2026.
    pub config_hash: String,
    /// What the Job of a chart does about a release that has failed.
    pub failure_policy: String,
}

impl From<JobObject> for Job {
    fn from(object: JobObject) -> Self {
        let JobObject {
            metadata,
            spec,
            status,
        } = object;
        let owner = metadata.controller().filter(|owner| owner.kind == "CronJob");
        Self {
            cron_job: owner.map(|owner| owner.name.clone()),
            uid: metadata.uid,
            namespace: metadata.namespace,
            name: metadata.name,
            labels: metadata.labels,
            started: status.start_time.or(metadata.creation_timestamp),
            failures: status.failed,
            conditions: status.conditions,
            config_hash: spec.variable("CONFIG_HASH"),
            failure_policy: spec.variable("FAILURE_POLICY"),
        }
    }
}

impl Job {
    /// The condition of this type, if it is true.
    pub fn is(&self, kind: &str) -> Option<&Condition> {
        Condition::find(&self.conditions, kind).filter(|condition| condition.is_true())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::object::List;
    use serde_json::json;

    #[test]
    fn reads_the_jobs_of_a_real_k3s() {
        let list: List<Job> = serde_json::from_str(&testbed::recorded("k3s-v1.36.3-jobs.json")).unwrap();
        assert_eq!(list.items.len(), 2);
        for job in &list.items {
            assert!(job.is("Complete").is_some() && job.is("Failed").is_none());
            assert_eq!(job.failure_policy, "retry");
            assert_eq!(job.config_hash.len(), 63);
            assert!(job.cron_job.is_none() && !job.uid.is_empty());
        }
    }

    #[test]
    fn takes_the_first_of_two_variables_and_the_cron_job_for_its_owner() {
        let env = |value: &str| json!({"env": [{"name": "CONFIG_HASH", "value": value}]});
        let job: Job = serde_json::from_value(json!({
            "metadata": {"name": "backup-1", "ownerReferences": [{"kind": "CronJob", "name": "backup", "controller": true}]},
            "spec": {"template": {"spec": {"containers": [env("A1"), {"env": null}, env("B2")]}}},
        }))
        .unwrap();
        assert_eq!(
            (job.config_hash.as_str(), job.cron_job.as_deref()),
            ("A1", Some("backup"))
        );
    }
}
