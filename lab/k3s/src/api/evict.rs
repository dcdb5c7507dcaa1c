//! `pods/eviction`: a removal that asks the `PodDisruptionBudget`s first.

use crate::api::selectors::Labels;
use crate::api::status::{Outcome, Refusal};
use crate::clock;
use crate::cluster::{Cluster, DeleteOptions, Part};
use crate::json::{condition, is_terminating, name, namespace, number, set, text};
use crate::kinds;
use serde_json::{Value, json};

const BLOCKED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
const TWO_BUDGETS: &str =
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";

pub async fn evict(cluster: &Cluster, key: (&str, &str), options: &DeleteOptions) -> Outcome<()> {
    let pods = kinds::of("pods");
    let pod = cluster.find(&pods, key.0, key.1)?;
    if !is_free(&pod) {
        let budgets = cluster
            .registry
            .list(&kinds::of("poddisruptionbudgets").prefix(key.0));
        let guards: Vec<_> = budgets.iter().filter(|budget| guards(budget, &pod)).collect();
        match guards.as_slice() {
            [] => {}
            [budget] => spend(cluster, name(budget), &pod).await?,
            _ => return Err(Refusal::new(500, "InternalError", TWO_BUDGETS)),
        }
    }
    cluster.delete(&pods, key, options).await.map(drop)
}

/// Pods that no budget counts: not started, ended, or already going.
fn is_free(pod: &Value) -> bool {
    is_terminating(pod) || ["Pending", "Succeeded", "Failed"].contains(&text(pod, "/status/phase"))
}

pub fn guards(budget: &Value, pod: &Value) -> bool {
    namespace(budget) == namespace(pod)
        && budget["spec"]["selector"].is_object()
        && Labels::of(&budget["spec"]["selector"]).match_object(pod)
}

/// Takes one of the budget's allowed disruptions, in one write: two evictions cannot share it.
async fn spend(cluster: &Cluster, budget: &str, pod: &Value) -> Outcome<()> {
    let kind = kinds::of("poddisruptionbudgets");
    let change = |budget: &Value| {
        if !is_up_to_date(budget) {
            let message = format!(
                "The disruption budget {} is still being processed by the server.",
                name(budget)
            );
            return Err(Refusal::new(429, "TooManyRequests", BLOCKED)
                .caused_by("DisruptionBudget", &message)
                .retry_in(10));
        }
        if spares_broken_pod(budget, pod) {
            return Ok(None);
        }
        let allowed = number(budget, "/status/disruptionsAllowed");
        if allowed <= 0 {
            return Err(refusal(budget));
        }
        let mut spent = budget.clone();
        set(&mut spent, &["status", "disruptionsAllowed"], json!(allowed - 1));
        set(
            &mut spent,
            &["status", "disruptedPods", name(pod)],
            json!(clock::seconds()),
        );
        Ok(Some(spent))
    };
    cluster
        .modify(&kind, (namespace(pod), budget), Part::Status, change)
        .await
        .map(drop)
}

fn is_up_to_date(budget: &Value) -> bool {
    number(budget, "/status/observedGeneration") >= number(budget, "/metadata/generation")
}

/// A running pod that is not ready guards nothing while enough others are healthy.
fn spares_broken_pod(budget: &Value, pod: &Value) -> bool {
    let (healthy, desired) = (
        number(budget, "/status/currentHealthy"),
        number(budget, "/status/desiredHealthy"),
    );
    condition(pod, "Ready") != "True" && desired > 0 && healthy >= desired
}

fn refusal(budget: &Value) -> Refusal {
    let message = format!(
        "The disruption budget {} needs {} healthy pods and has {} currently",
        name(budget),
        number(budget, "/status/desiredHealthy"),
        number(budget, "/status/currentHealthy")
    );
    Refusal::new(429, "TooManyRequests", BLOCKED).caused_by("DisruptionBudget", &message)
}

pub fn delete_options(body: &Value) -> DeleteOptions {
    DeleteOptions {
        grace: body.get("gracePeriodSeconds").and_then(Value::as_i64),
        uid: text(body, "/preconditions/uid").to_owned(),
        version: text(body, "/preconditions/resourceVersion").to_owned(),
    }
}
