//! A `HelmChart`, which k3s installs by a Job.

use crate::object::{Condition, Meta, null_is_empty};
use serde::Deserialize;

/// Until 1.33 every field may be null: a manifest that names a key without a value is kept so.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Chart {
    pub metadata: Meta,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub spec: ChartSpec,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub status: ChartStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ChartSpec {
    /// What is installed; of a packaged chart the path of its archive.
    #[serde(deserialize_with = "null_is_empty")]
    pub chart: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub target_namespace: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub failure_policy: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub take_ownership: bool,
    /// Where Helm keeps its releases; an option since the summer of 2026.
    #[serde(deserialize_with = "null_is_empty")]
    pub driver: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ChartStatus {
    #[serde(deserialize_with = "null_is_empty")]
    pub job_name: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub conditions: Vec<Condition>,
}

impl Chart {
    /// The namespace of its release.
    pub fn target_namespace(&self) -> &str {
        match self.spec.target_namespace.as_str() {
            "" => &self.metadata.namespace,
            target => target,
        }
    }

    pub fn job_name(&self) -> String {
        match self.status.job_name.as_str() {
            "" => format!("helm-install-{}", self.metadata.name),
            name => name.to_owned(),
        }
    }

    /// Whether Helm keeps the revisions in Secrets, its default.
    pub fn keeps_secrets(&self) -> bool {
        matches!(self.spec.driver.as_str(), "" | "secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn chart(spec: &Value, status: &Value) -> Chart {
        let chart = json!({"metadata": {"namespace": "kube-system", "name": "traefik"}, "spec": spec, "status": status});
        serde_json::from_value(chart).unwrap()
    }

    #[test]
    fn reads_null_as_absent() {
        let null = json!({"chart": null, "targetNamespace": null, "takeOwnership": null, "driver": null});
        for (spec, status) in [
            (Value::Null, Value::Null),
            (null, json!({"jobName": null, "conditions": null})),
        ] {
            let chart = chart(&spec, &status);
            assert_eq!(chart.target_namespace(), "kube-system");
            assert_eq!(chart.job_name(), "helm-install-traefik");
            assert!(chart.keeps_secrets() && chart.status.conditions.is_empty());
        }
    }

    #[test]
    fn reads_namespace_job_and_driver() {
        let spec = json!({"targetNamespace": "edge", "driver": "configmap"});
        let chart = chart(&spec, &json!({"jobName": "helm-delete-traefik"}));
        assert_eq!(chart.target_namespace(), "edge");
        assert_eq!(chart.job_name(), "helm-delete-traefik");
        assert!(!chart.keeps_secrets());
    }
}
