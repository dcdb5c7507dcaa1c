//! The three patch formats of kubectl: merge (RFC 7386), strategic merge, JSON patch (RFC 6902).

use crate::api::status::{Outcome, Refusal};
use crate::json::{items, text};
use serde_json::{Map, Value};

pub fn apply(content_type: &str, target: &Value, patch: &Value) -> Outcome<Value> {
    match content_type.split(';').next().unwrap_or_default() {
        "application/json-patch+json" => json_patch(target, patch),
        "application/merge-patch+json" => Ok(merge(target, patch)),
        "application/strategic-merge-patch+json" => Ok(strategic(target, patch)),
        other => Err(Refusal::unsupported(other)),
    }
}

pub fn merge(target: &Value, patch: &Value) -> Value {
    let Some(changes) = patch.as_object() else {
        return patch.clone();
    };
    let mut result = target.as_object().cloned().unwrap_or_default();
    for (key, change) in changes {
        if change.is_null() {
            result.remove(key);
        } else {
            let old = result.get(key).cloned().unwrap_or_default();
            result.insert(key.clone(), merge(&old, change));
        }
    }
    Value::Object(result)
}

/// Lists that are merged by a key instead of being replaced; the first key that an item has is taken.
fn merge_keys(field: &str) -> &'static [&'static str] {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "volumeDevices"
        | "secrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        "ports" => &["containerPort", "port"],
        "conditions" | "addresses" => &["type"],
        "ownerReferences" => &["uid"],
        "hostAliases" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey"],
        _ => &[],
    }
}

const MERGED_TEXTS: &[&str] = &["finalizers"];

pub fn strategic(target: &Value, patch: &Value) -> Value {
    let Some(changes) = patch.as_object() else {
        return patch.clone();
    };
    let mut result = match text(patch, "/$patch") {
        "replace" => Map::new(),
        "delete" => return Value::Null,
        _ => target.as_object().cloned().unwrap_or_default(),
    };
    if let Some(kept) = changes.get("$retainKeys").and_then(Value::as_array) {
        result.retain(|key, _| kept.iter().any(|k| k.as_str() == Some(key)));
    }
    for (key, change) in changes {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            remove_texts(&mut result, field, change);
        } else if !key.starts_with('$') {
            set_field(&mut result, key, change);
        }
    }
    for (key, order) in changes {
        if let Some(field) = key.strip_prefix("$setElementOrder/") {
            sort_list(&mut result, field, order);
        }
    }
    Value::Object(result)
}

fn set_field(result: &mut Map<String, Value>, key: &str, change: &Value) {
    let old = result.get(key).cloned().unwrap_or_default();
    let new = match change {
        Value::Null => Value::Null,
        Value::Array(changes) if !merge_keys(key).is_empty() => merge_list(key, &old, changes),
        Value::Array(changes) if MERGED_TEXTS.contains(&key) => merge_texts(&old, changes),
        Value::Object(_) => strategic(&old, change),
        other => other.clone(),
    };
    if new.is_null() {
        result.remove(key);
    } else {
        result.insert(key.to_owned(), new);
    }
}

fn identity<'a>(field: &str, item: &'a Value) -> Option<(&'static str, &'a Value)> {
    merge_keys(field)
        .iter()
        .find_map(|key| Some((*key, item.get(*key)?)))
}

fn merge_list(field: &str, old: &Value, changes: &[Value]) -> Value {
    if changes.iter().any(|c| text(c, "/$patch") == "replace") {
        return changes
            .iter()
            .filter(|c| text(c, "/$patch") != "replace")
            .cloned()
            .collect();
    }
    let mut list = old.as_array().cloned().unwrap_or_default();
    for change in changes {
        let same = identity(field, change);
        let at = same.and_then(|same| list.iter().position(|item| identity(field, item) == Some(same)));
        match (at, text(change, "/$patch")) {
            (Some(at), "delete") => {
                list.remove(at);
            }
            (None, "delete") => {}
            (Some(at), _) => list[at] = strategic(&list[at], change),
            (None, _) => list.push(strategic(&Value::Null, change)),
        }
    }
    Value::Array(list)
}

fn merge_texts(old: &Value, changes: &[Value]) -> Value {
    let mut list = old.as_array().cloned().unwrap_or_default();
    let new: Vec<_> = changes.iter().filter(|c| !list.contains(c)).cloned().collect();
    list.extend(new);
    Value::Array(list)
}

fn remove_texts(result: &mut Map<String, Value>, field: &str, gone: &Value) {
    let gone = items(gone, "");
    if let Some(list) = result.get_mut(field).and_then(Value::as_array_mut) {
        list.retain(|item| !gone.contains(item));
    }
}

fn sort_list(result: &mut Map<String, Value>, field: &str, order: &Value) {
    let order = items(order, "");
    let rank = |item: &Value| {
        let same = |wanted: &Value| match identity(field, item) {
            Some((key, value)) => wanted.get(key) == Some(value),
            None => wanted == item,
        };
        order.iter().position(same).unwrap_or(order.len())
    };
    if let Some(list) = result.get_mut(field).and_then(Value::as_array_mut) {
        list.sort_by_key(rank);
    }
}

fn json_patch(target: &Value, patch: &Value) -> Outcome<Value> {
    let mut result = target.clone();
    for step in items(patch, "") {
        step_of(&mut result, step)?;
    }
    Ok(result)
}

fn step_of(result: &mut Value, step: &Value) -> Outcome<()> {
    let path = text(step, "/path");
    let value = step.get("value").cloned().unwrap_or_default();
    let refused = |why: &str| {
        Refusal::new(
            422,
            "Invalid",
            format!("the server rejected our request: {why}: {path}"),
        )
    };
    match text(step, "/op") {
        "add" => put_at(result, path, value, true).ok_or_else(|| refused("add operation does not apply")),
        "replace" => {
            put_at(result, path, value, false).ok_or_else(|| refused("replace operation does not apply"))
        }
        "remove" => take_at(result, path)
            .map(drop)
            .ok_or_else(|| refused("remove operation does not apply")),
        "test" if result.pointer(path).unwrap_or(&Value::Null) == &value => Ok(()),
        "test" => Err(refused("testing value failed")),
        "move" | "copy" => {
            let from = text(step, "/from");
            let moved = result
                .pointer(from)
                .cloned()
                .ok_or_else(|| refused("nothing at the source"))?;
            if text(step, "/op") == "move" {
                take_at(result, from);
            }
            put_at(result, path, moved, true).ok_or_else(|| refused("move operation does not apply"))
        }
        other => Err(Refusal::bad_request(format!("unexpected kind: {other}"))),
    }
}

fn parent<'a>(value: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((
        value.pointer_mut(parent)?,
        last.replace("~1", "/").replace("~0", "~"),
    ))
}

fn put_at(value: &mut Value, path: &str, new: Value, insert: bool) -> Option<()> {
    if path.is_empty() {
        *value = new;
        return Some(());
    }
    match parent(value, path)? {
        (Value::Object(map), key) => (insert || map.contains_key(&key)).then(|| drop(map.insert(key, new))),
        (Value::Array(list), key) if key == "-" => {
            list.push(new);
            Some(())
        }
        (Value::Array(list), key) => {
            let at: usize = key.parse().ok()?;
            if insert && at <= list.len() {
                list.insert(at, new);
                return Some(());
            }
            list.get_mut(at).map(|item| *item = new)
        }
        _ => None,
    }
}

fn take_at(value: &mut Value, path: &str) -> Option<Value> {
    match parent(value, path)? {
        (Value::Object(map), key) => map.remove(&key),
        (Value::Array(list), key) => {
            let at: usize = key.parse().ok()?;
            (at < list.len()).then(|| list.remove(at))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_removes_and_objects_merge() {
        let node = json!({"spec": {"unschedulable": true, "podCIDR": "x"}});
        for patched in [
            merge(&node, &json!({"spec": {"unschedulable": null}})),
            strategic(&node, &json!({"spec": {"unschedulable": null}})),
        ] {
            assert_eq!(patched, json!({"spec": {"podCIDR": "x"}}));
        }
    }

    #[test]
    fn strategic_lists_merge_by_their_key_and_taints_are_replaced() {
        let pod =
            json!({"containers": [{"name": "a", "image": "1"}, {"name": "b"}], "taints": [{"key": "x"}]});
        let patch = json!({"containers": [{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}, {"name": "c"}],
                           "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "taints": [{"key": "y"}]});
        let wanted =
            json!({"containers": [{"name": "c"}, {"name": "a", "image": "2"}], "taints": [{"key": "y"}]});
        assert_eq!(strategic(&pod, &patch), wanted);
    }

    #[test]
    fn strategic_finalizers_come_and_go_one_by_one() {
        let object = json!({"finalizers": ["a"]});
        let both = strategic(&object, &json!({"finalizers": ["b"]}));
        assert_eq!(both, json!({"finalizers": ["a", "b"]}));
        assert_eq!(
            strategic(&both, &json!({"$deleteFromPrimitiveList/finalizers": ["a"]})),
            json!({"finalizers": ["b"]})
        );
    }

    #[test]
    fn json_patch_tests_before_it_writes() {
        let object = json!({"metadata": {"annotations": {"a/b": "1"}}, "list": [1, 3]});
        let patch = json!([
            {"op": "test", "path": "/metadata/annotations/a~1b", "value": "1"},
            {"op": "remove", "path": "/metadata/annotations/a~1b"},
            {"op": "add", "path": "/list/1", "value": 2}
        ]);
        let patched = json_patch(&object, &patch).unwrap();
        assert_eq!(
            patched,
            json!({"metadata": {"annotations": {}}, "list": [1, 2, 3]})
        );
        let refused = json!([{"op": "test", "path": "/list/0", "value": 9}]);
        assert!(json_patch(&object, &refused).is_err());
        assert!(json_patch(&object, &json!([{"op": "remove", "path": "/nope"}])).is_err());
    }
}
