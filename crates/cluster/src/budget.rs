//! Budgets, and which pods they select.

use crate::object::Meta;
use crate::pod::Pod;
use crate::selector::LabelSelector;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a drain treats budgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pdb {
    #[default]
    Respect,
    Bypass,
    RespectThenBypass,
}

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
#[serde(default, rename_all = "camelCase")]
struct BudgetSpec {
    selector: Option<LabelSelector>,
    /// `IfHealthyBudget`, which is also what holds where it is not said, or `AlwaysAllow`.
    unhealthy_pod_eviction_policy: Option<String>,
}

/// What a budget leaves for evictions. The names are the API's, read and written.
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
    /// Whether a pod that is not ready may go whatever the others are.
    lets_unhealthy_go: bool,
    pub headroom: Headroom,
}

impl From<BudgetObject> for Budget {
    fn from(object: BudgetObject) -> Self {
        Self {
            namespace: object.metadata.namespace,
            name: object.metadata.name,
            selector: object.spec.selector,
            lets_unhealthy_go: object.spec.unhealthy_pod_eviction_policy.as_deref() == Some("AlwaysAllow"),
            headroom: object.status,
        }
    }
}

impl Budget {
    /// An empty selector means all pods of the namespace, and none means no pod.
    pub fn selects(&self, pod: &Meta) -> bool {
        let selector = self.selector.as_ref();
        self.namespace == pod.namespace && selector.is_some_and(|selector| selector.selects(&pod.labels))
    }

    /// Whether it keeps this pod, which it selects, from going now. A pod that has not started is nobody's loss; one that
    /// is not ready takes nothing from those that are.
    pub fn keeps(&self, pod: &Pod) -> bool {
        let Headroom {
            disruptions_allowed,
            current_healthy,
            desired_healthy,
            ..
        } = self.headroom;
        let enough = current_healthy >= desired_healthy && desired_healthy > 0;
        let unhealthy_goes = !pod.is_ready() && (self.lets_unhealthy_go || enough);
        disruptions_allowed <= 0 && !pod.is_pending() && !unhealthy_goes
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headroom = self.headroom;
        write!(
            f,
            "budget {} allows {} disruptions ({} healthy, {} needed, {} expected)",
            self.name,
            headroom.disruptions_allowed,
            headroom.current_healthy,
            headroom.desired_healthy,
            headroom.expected_pods
        )
    }
}
