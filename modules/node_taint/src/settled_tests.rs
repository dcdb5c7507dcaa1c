//! What a run leaves, for two nodes with every set of taints and for every option: the taint that was asked for and all
//! others unchanged, and nothing for a second run to do.

use crate::plan::{patch, plan};
use crate::samples::{TAINT, node, options, state};
use crate::{Params, State};
use cluster::Node;
use serde_json::{Value, json};

/// The value of our taint, where the node has it; the softer one of the same key; somebody else's.
type Has = (Option<&'static str>, bool, bool);

fn all() -> Vec<Has> {
    let values = [None, Some(""), Some("no")];
    let with = |value| {
        [(false, false), (false, true), (true, false), (true, true)].map(|(soft, other)| (value, soft, other))
    };
    values.into_iter().flat_map(with).collect()
}

fn tainted(name: &str, (value, soft, other): Has) -> Value {
    let mut taints = Vec::new();
    if other {
        taints.push(
            json!({"key": "gpu", "value": "yes", "effect": "NoExecute", "timeAdded": "2026-09-01T11:40:45Z"}),
        );
    }
    if let Some(value) = value {
        taints.push(json!({"key": TAINT, "value": value, "effect": "NoSchedule"}));
    }
    if soft {
        taints.push(json!({"key": TAINT, "effect": "PreferNoSchedule"}));
    }
    json!({"metadata": {"name": name}, "spec": {"taints": taints}})
}

fn seen(nodes: &[Value]) -> State {
    let all = nodes.iter().map(|more| {
        node(
            more["metadata"]["name"].as_str().unwrap_or_default(),
            more.clone(),
        )
    });
    let open = node("w1", json!({}));
    state(all.chain([open]).collect(), Vec::new())
}

/// The nodes that are changed, by the rule in the sidecar: where no value is named, any will do.
fn is_changed((value, soft, _): Has, wanted: &Value) -> bool {
    let found = match wanted["effect"].as_str() {
        Some("NoSchedule") => value,
        _ => soft.then_some(""),
    };
    let fits = found.is_some_and(|found| wanted["value"].as_str().is_none_or(|named| named == found));
    fits == (wanted["state"] == "absent")
}

fn others(nodes: &[Node], params: &Params) -> Vec<Vec<Value>> {
    let of = |node: &Node| {
        let kept = node.taints.iter().filter(|taint| !params.means(taint));
        kept.map(|taint| json!(taint)).collect()
    };
    nodes.iter().map(of).collect()
}

fn check(has: [Has; 2], wanted: &Value) {
    let case = format!("{has:?} {wanted}");
    let params = options(wanted.clone()).unwrap();
    let mut nodes = [tainted("c1", has[0]), tainted("c2", has[1])];
    let before = seen(&nodes);
    let steps = plan(&params, &before).unwrap().steps;
    let changed: Vec<&str> = steps.iter().map(super::Step::node).collect();
    let expected = [("c1", has[0]), ("c2", has[1])];
    let expected = expected.iter().filter(|(_, has)| is_changed(*has, wanted));
    assert_eq!(
        changed,
        expected.map(|(name, _)| *name).collect::<Vec<_>>(),
        "{case}"
    );
    for step in &steps {
        // As the API server merges it: a list is replaced, and null removes it.
        let patched = patch(&params, before.node(step.node()).unwrap());
        let node = nodes
            .iter_mut()
            .find(|node| node["metadata"]["name"] == step.node())
            .unwrap();
        node["spec"]["taints"] = patched["spec"]["taints"].clone();
    }
    let after = seen(&nodes);
    assert_eq!(
        others(&after.nodes, &params),
        others(&before.nodes, &params),
        "{case}"
    );
    let second = plan(&params, &after).unwrap();
    assert_eq!((second.steps, second.diff.len()), (Vec::new(), 0), "{case}");
}

#[test]
fn sets_or_removes_one_taint_and_plans_nothing_after_that() {
    for first in all() {
        for second in all() {
            for effect in ["NoSchedule", "PreferNoSchedule"] {
                for value in [Value::Null, json!(""), json!("no")] {
                    for state in ["present", "absent"] {
                        let wanted = json!({"nodes": ["c1", "C2"], "effect": effect, "value": value, "state": state, "force": true});
                        check([first, second], &wanted);
                    }
                }
            }
        }
    }
}
