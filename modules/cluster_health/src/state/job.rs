//! Jobs, and the add-ons and charts that k3s installs by them.

use cluster::{Condition, Labels, Meta, Time, null_is_empty};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct JobObject {
    metadata: Meta,
    #[serde(default)]
    spec: JobSpec,
    #[serde(default)]
    status: JobStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JobSpec {
    template: Template,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: TemplateSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateSpec {
    #[serde(deserialize_with = "null_is_empty")]
    containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    #[serde(deserialize_with = "null_is_empty")]
    env: Vec<Variable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Variable {
    name: String,
    value: String,
}

/// What k3s writes into the Job of a chart, and on the release that the Job deploys.
const CONFIG_HASH: &str = "CONFIG_HASH";

impl JobSpec {
    fn config_hash(self) -> String {
        let containers = self.template.spec.containers.into_iter();
        let mut variables = containers.flat_map(|container| container.env);
        let found = variables.find(|variable| variable.name == CONFIG_HASH);
        found.map(|variable| variable.value).unwrap_or_default()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JobStatus {
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
    start_time: Option<Time>,
    failed: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(from = "JobObject")]
pub struct Job {
    pub namespace: String,
    pub name: String,
    pub labels: Labels,
    /// The `CronJob` that made it.
    pub cron_job: Option<String>,
    pub started: Option<Time>,
    /// How many of its pods have failed.
    pub failures: u32,
    pub conditions: Vec<Condition>,
    /// Of the Job of a chart, what it is made of; empty before mid-2026.
    pub config_hash: String,
}

impl From<JobObject> for Job {
    fn from(object: JobObject) -> Self {
        let owner = object
            .metadata
            .controller()
            .filter(|owner| owner.kind == "CronJob");
        Self {
            cron_job: owner.map(|owner| owner.name.clone()),
            namespace: object.metadata.namespace,
            name: object.metadata.name,
            labels: object.metadata.labels,
            started: object.status.start_time.or(object.metadata.creation_timestamp),
            failures: object.status.failed,
            conditions: object.status.conditions,
            config_hash: object.spec.config_hash(),
        }
    }
}

impl Job {
    /// The condition of this type, where it holds.
    pub fn is(&self, kind: &str) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.r#type == kind && condition.status == "True")
    }
}

/// Until 1.33 every field may be null: a manifest that names a key and says nothing is kept so.
#[derive(Debug, Deserialize)]
struct ChartObject {
    metadata: Meta,
    #[serde(default, deserialize_with = "null_is_empty")]
    spec: ChartSpec,
    #[serde(default, deserialize_with = "null_is_empty")]
    status: ChartStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ChartSpec {
    #[serde(deserialize_with = "null_is_empty")]
    target_namespace: String,
    #[serde(deserialize_with = "null_is_empty")]
    driver: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ChartStatus {
    #[serde(deserialize_with = "null_is_empty")]
    job_name: String,
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
}

/// A `HelmChart`, which a Job installs.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "ChartObject")]
pub struct Chart {
    pub namespace: String,
    pub name: String,
    pub target_namespace: String,
    /// Whether Helm keeps its revisions in Secrets, as it does unless the chart names another driver.
    pub keeps_secrets: bool,
    pub job: String,
    pub conditions: Vec<Condition>,
}

impl From<ChartObject> for Chart {
    fn from(object: ChartObject) -> Self {
        let Meta { namespace, name, .. } = object.metadata;
        let or = |text: String, otherwise: String| if text.is_empty() { otherwise } else { text };
        Self {
            target_namespace: or(object.spec.target_namespace, namespace.clone()),
            keeps_secrets: matches!(object.spec.driver.as_str(), "" | "secret"),
            job: or(object.status.job_name, format!("helm-install-{name}")),
            conditions: object.status.conditions,
            namespace,
            name,
        }
    }
}
