//! Whether a pod may run on a node.

use crate::controllers::world::World;
use crate::json::{flag, items, name, namespace, pairs, text};
use serde_json::Value;

const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Nothing, or why not, in the scheduler's words.
pub fn obstacle(world: &World, pod: &Value, node: &Value) -> Option<String> {
    if flag(node, "/spec/unschedulable") && !tolerates(pod, UNSCHEDULABLE, "", "NoSchedule") {
        return Some("node(s) were unschedulable".to_owned());
    }
    if let Some(taint) = items(node, "/spec/taints")
        .iter()
        .find(|taint| !suits_taint(pod, taint))
    {
        let (key, value) = (text(taint, "/key"), text(taint, "/value"));
        return Some(format!("node(s) had untolerated taint {{{key}: {value}}}"));
    }
    if !selects(pod, node) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    if !volumes_reach(world, pod, node) {
        return Some("node(s) had volume node affinity conflict".to_owned());
    }
    None
}

fn suits_taint(pod: &Value, taint: &Value) -> bool {
    let effect = text(taint, "/effect");
    effect == "PreferNoSchedule" || tolerates(pod, text(taint, "/key"), text(taint, "/value"), effect)
}

pub fn tolerates(pod: &Value, key: &str, value: &str, effect: &str) -> bool {
    items(pod, "/spec/tolerations")
        .iter()
        .any(|toleration| covers(toleration, key, value, effect))
}

pub fn covers(toleration: &Value, key: &str, value: &str, effect: &str) -> bool {
    let exists = text(toleration, "/operator") == "Exists";
    let own = text(toleration, "/key");
    let key_fits = own == key || own.is_empty() && exists;
    let value_fits = exists || text(toleration, "/value") == value;
    key_fits && value_fits && ["", effect].contains(&text(toleration, "/effect"))
}

/// `nodeSelector` and the required node affinity.
pub fn selects(pod: &Value, node: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let selector = pairs(pod, "/spec/nodeSelector").all(|(key, value)| labels[key].as_str() == Some(value));
    let required = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    selector
        && pod
            .pointer(required)
            .is_none_or(|affinity| any_term(affinity, node))
}

fn any_term(affinity: &Value, node: &Value) -> bool {
    items(affinity, "/nodeSelectorTerms").iter().any(|term| {
        let fields = items(term, "/matchFields")
            .iter()
            .all(|e| expression(e, Some(name(node))));
        let label = |e: &Value| {
            node["metadata"]["labels"][text(e, "/key")]
                .as_str()
                .map(str::to_owned)
        };
        fields
            && items(term, "/matchExpressions")
                .iter()
                .all(|e| expression(e, label(e).as_deref()))
    })
}

fn expression(expression: &Value, value: Option<&str>) -> bool {
    let listed = value.is_some_and(|value| {
        items(expression, "/values")
            .iter()
            .any(|v| v.as_str() == Some(value))
    });
    match text(expression, "/operator") {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

pub fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    let volumes = items(pod, "/spec/volumes").iter();
    volumes
        .map(|volume| text(volume, "/persistentVolumeClaim/claimName"))
        .filter(|claim| !claim.is_empty())
}

/// A local volume ties its pods to its node.
fn volumes_reach(world: &World, pod: &Value, node: &Value) -> bool {
    claims_of(pod).all(|claim| {
        let bound = world
            .claim(namespace(pod), claim)
            .map_or("", |claim| text(claim, "/spec/volumeName"));
        let volume = world
            .volumes
            .iter()
            .find(|volume| !bound.is_empty() && name(volume) == bound);
        let required = volume.and_then(|volume| volume.pointer("/spec/nodeAffinity/required"));
        required.is_none_or(|affinity| any_term(affinity, node))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tolerations_cover_by_key_value_and_effect() {
        let cases = [
            (json!({"operator": "Exists"}), true),
            (json!({"key": "k", "operator": "Exists"}), true),
            (json!({"key": "k", "value": "v"}), true),
            (json!({"key": "k", "value": "other"}), false),
            (
                json!({"key": "k", "operator": "Exists", "effect": "NoExecute"}),
                false,
            ),
        ];
        for (toleration, wanted) in cases {
            assert_eq!(
                covers(&toleration, "k", "v", "NoSchedule"),
                wanted,
                "{toleration}"
            );
        }
    }

    #[test]
    fn required_affinity_is_one_of_its_terms() {
        let node = json!({"metadata": {"name": "n1", "labels": {"tier": "work"}}});
        let pod = |operator: &str, values: Value| {
            let term = json!({"matchExpressions": [{"key": "tier", "operator": operator, "values": values}]});
            let never =
                json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n9"]}]});
            json!({"spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                {"nodeSelectorTerms": [never, term]}}}}})
        };
        assert!(selects(&pod("In", json!(["work"])), &node));
        assert!(!selects(&pod("NotIn", json!(["work"])), &node));
        assert!(!selects(
            &json!({"spec": {"nodeSelector": {"tier": "ctl"}}}),
            &node
        ));
    }
}
