//! Budgets, and which pods they select.

use super::Api;
use kubectl::{LabelSelector, Meta};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BudgetObject {
    metadata: Meta,
    #[serde(default)]
    spec: BudgetSpec,
    #[serde(default)]
    status: Headroom,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BudgetSpec {
    selector: Option<LabelSelector>,
}

/// What a budget leaves for evictions. The names are the API's, read and told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all(deserialize = "camelCase"))]
pub struct Headroom {
    pub disruptions_allowed: i64,
    pub current_healthy: i64,
    pub desired_healthy: i64,
    pub expected_pods: i64,
}

/// A `PodDisruptionBudget`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BudgetObject")]
pub struct Budget {
    pub namespace: String,
    pub name: String,
    selector: Option<LabelSelector>,
    pub headroom: Headroom,
}

impl From<BudgetObject> for Budget {
    fn from(object: BudgetObject) -> Self {
        Self {
            namespace: object.metadata.namespace,
            name: object.metadata.name,
            selector: object.spec.selector,
            headroom: object.status,
        }
    }
}

impl Budget {
    /// An empty selector means all pods of the namespace in policy/v1, and none in v1beta1.
    pub fn selects(&self, pod: &Meta, api: &Api) -> bool {
        let Some(selector) = self.selector.as_ref().filter(|_| self.namespace == pod.namespace) else {
            return false;
        };
        if selector.is_empty() {
            return api.budgets != "policy/v1beta1";
        }
        selector.selects(&pod.labels)
    }
}
