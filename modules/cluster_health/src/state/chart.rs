//! The charts that k3s installs by Jobs.

use cluster::{Condition, Meta, null_is_empty};
use serde::Deserialize;

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
