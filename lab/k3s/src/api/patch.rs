//! The patch formats that the scenarios send: merge (RFC 7386), and as much of a strategic merge as kubectl and the kubelet use.

use crate::api::status::{Outcome, Refusal};
use serde_json::Value;

pub fn apply(content_type: &str, target: &Value, patch: &Value) -> Outcome<Value> {
    match content_type.split(';').next().unwrap_or_default() {
        "application/merge-patch+json" => Ok(merge(target, patch, &replace)),
        "application/strategic-merge-patch+json" => Ok(merge(target, patch, &strategic)),
        other => Err(Refusal::unsupported(other)),
    }
}

/// What becomes of a list in the field of this name: the old one and the one in the patch.
type Lists<'a> = &'a dyn Fn(&str, &Value, &[Value]) -> Value;

fn merge(target: &Value, patch: &Value, lists: Lists<'_>) -> Value {
    let Some(changes) = patch.as_object() else {
        return patch.clone();
    };
    let mut result = target.as_object().cloned().unwrap_or_default();
    for (key, change) in changes {
        let old = result.get(key).cloned().unwrap_or_default();
        match change {
            Value::Null => drop(result.remove(key)),
            // The order of a list is nobody's concern here.
            _ if key.starts_with("$setElementOrder/") => {}
            Value::Array(items) => drop(result.insert(key.clone(), lists(key, &old, items))),
            _ => drop(result.insert(key.clone(), merge(&old, change, lists))),
        }
    }
    Value::Object(result)
}

fn replace(_: &str, _: &Value, new: &[Value]) -> Value {
    Value::Array(new.to_vec())
}

/// Items with the same key are merged, new ones added. Lists without a key are replaced.
fn strategic(field: &str, old: &Value, new: &[Value]) -> Value {
    let key = match field {
        "conditions" => "type",
        "containers" | "initContainers" => "name",
        _ => return Value::Array(new.to_vec()),
    };
    let mut list = old.as_array().cloned().unwrap_or_default();
    for item in new {
        let same = list.iter_mut().find(|old| old[key] == item[key]);
        match same {
            Some(same) => *same = merge(same, item, &strategic),
            None => list.push(merge(&Value::Null, item, &strategic)),
        }
    }
    Value::Array(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_removes_and_objects_merge() {
        let node = json!({"spec": {"unschedulable": true, "podCIDR": "x"}});
        let patch = json!({"spec": {"unschedulable": null}});
        for kind in ["merge-patch", "strategic-merge-patch"] {
            let patched = apply(&format!("application/{kind}+json"), &node, &patch).unwrap();
            assert_eq!(patched, json!({"spec": {"podCIDR": "x"}}));
        }
    }

    #[test]
    fn strategic_lists_merge_by_their_key_and_taints_are_replaced() {
        let old =
            json!({"containers": [{"name": "a", "image": "1"}, {"name": "b"}], "taints": [{"key": "x"}]});
        let patch = json!({"containers": [{"name": "a", "image": "2"}], "taints": [{"key": "y"}],
                           "$setElementOrder/containers": [{"name": "b"}]});
        let wanted =
            json!({"containers": [{"name": "a", "image": "2"}, {"name": "b"}], "taints": [{"key": "y"}]});
        assert_eq!(merge(&old, &patch, &strategic), wanted);
    }
}
