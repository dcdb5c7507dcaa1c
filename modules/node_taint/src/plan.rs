//! Which nodes to patch, and why not. Pure.

use crate::outcome::{Judged, Outcome, is_as_wanted, is_new, judge};
use crate::params::{Params, Wanted};
use crate::state::State;
use ansible_module::{Diff, Plan};
use anyhow::{Result, bail};
use cluster::{Node, Taint};
use serde_json::{Value, json};
use std::fmt;

/// Enough names to begin with.
const NAMES: usize = 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Set { node: String, taint: Taint },
    Remove { node: String, taint: Taint },
}

impl Step {
    pub(crate) fn node(&self) -> &str {
        match self {
            Self::Set { node, .. } | Self::Remove { node, .. } => node,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { node, taint } => write!(f, "taint {node} with {taint}"),
            Self::Remove { node, taint } => write!(f, "take {taint} off {node}"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let nodes = params.nodes.iter().filter_map(|name| state.node(name));
    let nodes: Vec<&Node> = nodes.filter(|node| !is_as_wanted(params, node)).collect();
    let step = |node: &&Node| {
        let (node, taint) = (node.name.clone(), params.taint());
        match params.state {
            Wanted::Present => Step::Set { node, taint },
            Wanted::Absent => Step::Remove { node, taint },
        }
    };
    let mut plan = Plan::of(nodes.iter().map(step).collect());
    plan.diff = nodes.iter().map(|node| diff(params, node)).collect();
    if nodes.iter().any(|node| is_new(params, node)) {
        let judged = judge(params, state);
        let refusals = refusals(params, &judged);
        if params.force {
            plan.warnings = refusals;
        } else if !refusals.is_empty() {
            bail!(
                "tainting {} with {} is refused: {}. Uncordon or add a node, change what the workloads ask for, or set force (the playbook: -e k3s_controller_taint_force=true)",
                params.nodes.join(", "),
                params.taint(),
                refusals.join("; ")
            );
        }
        plan.warnings.extend(last_here(&judged));
    }
    Ok(plan)
}

/// `PreferNoSchedule` keeps nothing off, so it is never refused.
fn refusals(params: &Params, judged: &Judged) -> Vec<String> {
    if !params.taint().keeps_off() {
        return Vec::new();
    }
    let mut refusals = Vec::new();
    if judged.open.is_empty() {
        refusals.push(
            "no node would be left for pods that tolerate no taint, such as the helm-install jobs of k3s: all others are cordoned, not Ready or tainted"
                .to_owned(),
        );
    }
    let owners: Vec<String> = judged
        .unschedulable
        .iter()
        .map(|(owner, lost)| format!("{owner} (only on {})", lost.join(", ")))
        .collect();
    if !owners.is_empty() {
        refusals.push(format!("no other node takes the next pod of {}", few(&owners)));
    }
    refusals
}

fn last_here(judged: &Judged) -> Option<String> {
    let last = judged
        .staying
        .iter()
        .filter(|staying| staying.outcome == Outcome::LastHere);
    let last: Vec<String> = last
        .map(|staying| format!("{} on {}", staying.owner, staying.node))
        .collect();
    (!last.is_empty()).then(|| {
        format!(
            "these do not tolerate the taint and are not started there again once they end: {}",
            few(&last)
        )
    })
}

fn few(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMES)].join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The one patch of a node. A merge patch replaces the list, so it contains all other taints too, unchanged; the resource
/// version sees to it that they still are.
pub(crate) fn patch(params: &Params, node: &Node) -> Value {
    let taints = wanted(params, node);
    json!({
        "metadata": { "resourceVersion": node.resource_version },
        "spec": { "taints": (!taints.is_empty()).then_some(taints) },
    })
}

fn wanted(params: &Params, node: &Node) -> Vec<Taint> {
    let others = node.taints.iter().filter(|taint| !params.means(taint)).cloned();
    let ours = (params.state == Wanted::Present).then(|| params.taint());
    others.chain(ours).collect()
}

fn diff(params: &Params, node: &Node) -> Diff {
    let lines = |taints: Vec<Taint>| -> String {
        let lines = taints
            .iter()
            .flat_map(|taint| [taint.to_string(), "\n".to_owned()]);
        lines.collect()
    };
    Diff {
        before_header: node.name.clone(),
        after_header: node.name.clone(),
        before: lines(node.taints.clone()),
        after: lines(wanted(params, node)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{TAINT, node, options, pod, state};

    fn steps(more: Value, nodes: Vec<Node>) -> Result<Vec<String>> {
        let params = options(more).unwrap();
        let plan = plan(&params, &state(nodes, vec![pod("web-1", "c1", json!({}))]))?;
        assert_eq!(plan.steps.len(), plan.diff.len());
        Ok(plan.steps.iter().map(ToString::to_string).collect())
    }

    fn with(taints: Value) -> Value {
        json!({"spec": {"taints": taints}})
    }

    #[test]
    fn only_what_lacks_the_taint_gets_it() {
        let ours = || with(json!([{"key": TAINT, "value": "true", "effect": "NoSchedule"}]));
        let nodes = || vec![node("c1", json!({})), node("c2", ours()), node("w1", json!({}))];
        let both = json!(["c1", "c2"]);
        let set = format!("taint c1 with {TAINT}:NoSchedule");
        assert_eq!(steps(json!({"nodes": both}), nodes()).unwrap(), [set]);
        // Where a value is named, another one does not match.
        let named = steps(json!({"nodes": both, "value": "no"}), nodes()).unwrap();
        assert_eq!(
            named,
            [
                format!("taint c1 with {TAINT}=no:NoSchedule"),
                format!("taint c2 with {TAINT}=no:NoSchedule"),
            ]
        );
        let removed = steps(json!({"nodes": both, "state": "absent"}), nodes()).unwrap();
        assert_eq!(removed, [format!("take {TAINT}:NoSchedule off c2")]);
        let other = steps(json!({"nodes": both, "state": "absent", "value": "no"}), nodes()).unwrap();
        assert_eq!(other, [""; 0]);
        let soft = json!({"nodes": both, "effect": "PreferNoSchedule", "key": "a/b"});
        assert_eq!(
            steps(soft, nodes()).unwrap()[0],
            "taint c1 with a/b:PreferNoSchedule"
        );
    }

    #[test]
    fn a_cluster_that_could_run_nothing_is_refused_unless_forced() {
        let alone = || vec![node("c1", json!({}))];
        let error = steps(json!({"nodes": ["c1"]}), alone()).unwrap_err().to_string();
        for words in [
            "no node would be left for pods that tolerate no taint",
            "Deployment demo/web (only on c1)",
            "k3s_controller_taint_force",
        ] {
            assert!(error.contains(words), "{error}");
        }
        let params = options(json!({"nodes": ["c1"], "force": true})).unwrap();
        let plan = plan(&params, &state(alone(), vec![pod("web-1", "c1", json!({}))])).unwrap();
        assert_eq!((plan.steps.len(), plan.warnings.len()), (1, 2));
        let soft = json!({"nodes": ["c1"], "effect": "PreferNoSchedule"});
        assert_eq!(steps(soft, alone()).unwrap().len(), 1);
        // Where nothing is to be done, nothing is refused; nor where a taint goes.
        let done = vec![node("c1", with(json!([{"key": TAINT, "effect": "NoSchedule"}])))];
        assert!(steps(json!({"nodes": ["c1"]}), done).unwrap().is_empty());
        let absent = json!({"nodes": ["c1"], "state": "absent"});
        assert!(steps(absent, alone()).unwrap().is_empty());
    }

    #[test]
    fn warns_of_a_daemon_set_that_no_longer_runs_there() {
        let params = options(json!({"nodes": ["c1"]})).unwrap();
        let of_daemon_set = json!({"metadata": {"ownerReferences": [{"kind": "DaemonSet", "name": "logs", "controller": true}]}});
        let nodes = vec![node("c1", json!({})), node("w1", json!({}))];
        let plan = plan(&params, &state(nodes, vec![pod("logs-1", "c1", of_daemon_set)])).unwrap();
        assert!(
            plan.warnings[0].ends_with("once they end: DaemonSet demo/logs on c1"),
            "{:?}",
            plan.warnings
        );
    }

    #[test]
    fn what_others_have_written_goes_back_as_it_came() {
        let foreign =
            json!({"key": "gpu", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z", "new": 1});
        let old = json!({"key": TAINT, "value": "old", "effect": "NoSchedule"});
        let same_key = json!({"key": TAINT, "effect": "NoExecute"});
        let found = node("c1", with(json!([foreign, old, same_key])));
        let of = |more: Value| patch(&options(more).unwrap(), &found);
        let present = of(json!({"value": "new"}));
        assert_eq!(
            present,
            json!({"metadata": {"resourceVersion": "7"}, "spec": {"taints": [
                foreign, same_key, {"key": TAINT, "value": "new", "effect": "NoSchedule"},
            ]}})
        );
        let absent = of(json!({"state": "absent"}));
        assert_eq!(absent["spec"]["taints"], json!([foreign, same_key]));
        let ours = json!([{"key": TAINT, "effect": "NoSchedule"}]);
        let last = patch(
            &options(json!({"state": "absent"})).unwrap(),
            &node("c1", with(ours)),
        );
        assert_eq!(last["spec"]["taints"], Value::Null);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..12).map(|number| number.to_string()).collect();
        assert_eq!(few(&names), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
    }
}
