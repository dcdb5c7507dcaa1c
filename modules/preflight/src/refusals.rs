//! The refusals of all nodes, and the message that they make. Pure.

use crate::params::{Answer, Node, Params, Refused};
use per_node::{Refusal, lines};

pub(crate) fn all(params: &Params) -> Vec<Refusal> {
    let of_node = |node: &Node| -> Vec<Refusal> {
        let answers = node.answers.iter();
        answers
            .flat_map(|(what, answer)| of_answer(params, &node.host, what, answer))
            .collect()
    };
    params.nodes.iter().flat_map(of_node).collect()
}

/// What a module refuses it also fails with, in other words.
fn of_answer(params: &Params, host: &str, what: &str, answer: &Answer) -> Vec<Refusal> {
    if answer.task.skipped {
        return Vec::new();
    }
    if answer.refusals.is_empty() {
        let fault = answer.task.fault();
        return fault
            .map(|fault| Refusal::new(host, what, fault))
            .into_iter()
            .collect();
    }
    let refusal = |refused: &Refused| Refusal {
        lifted_by: refused
            .r#override
            .as_deref()
            .map(|option| variable(&params.variables, option)),
        next: refused.next.clone(),
        ..Refusal::new(host, &refused.rule, &refused.evidence)
    };
    answer.refusals.iter().map(refusal).collect()
}

/// `allow: [proc_sys]` is `-e k3s_prereqs_allow=proc_sys` to who runs a playbook.
fn variable(prefix: &str, option: &str) -> String {
    let (name, value) = option.split_once(": ").unwrap_or((option, "true"));
    format!("-e {prefix}{name}={}", value.trim_matches(['[', ']']))
}

/// The message of a failed task; none where nothing is refused.
pub(crate) fn refused(params: &Params) -> Option<String> {
    let refusals = all(params);
    let stopped = params
        .nodes
        .iter()
        .filter(|node| refusals.iter().any(|refusal| refusal.host == node.host))
        .count();
    (stopped > 0).then(|| {
        format!(
            "{} does not begin, because of {stopped} of {} nodes; nothing was changed on any.\n{}",
            params.run,
            params.nodes.len(),
            lines(&refusals).join("\n")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn params(nodes: Value) -> Params {
        serde_json::from_value(
            json!({"run": "Preparing the nodes", "nodes": nodes, "variables": "k3s_prereqs_"}),
        )
        .unwrap()
    }

    fn node(host: &str, prereqs: Value) -> Value {
        json!({"host": host, "answers": {"prereqs": prereqs}})
    }

    fn lacks(file: &str) -> Value {
        json!({"changed": false, "failed": false, "refusals": [{
            "rule": "nesting", "evidence": "pods cannot mount /proc",
            "next": format!("give {file} on pve1 the line `features: nesting=1`"), "override": "allow: [nesting]",
        }]})
    }

    #[test]
    fn reports_a_rule_of_several_nodes_once_with_the_variable_that_lifts_it() {
        let nodes = json!([
            node("w1", lacks("/etc/pve/lxc/111.conf")),
            node("w2", lacks("/etc/pve/lxc/112.conf")),
            node("w3", json!({"changed": false, "refusals": []})),
        ]);
        assert_eq!(
            refused(&params(nodes)).unwrap().lines().collect::<Vec<_>>(),
            [
                "Preparing the nodes does not begin, because of 2 of 3 nodes; nothing was changed on any.",
                "w1, w2: nesting: pods cannot mount /proc. Next: give … on pve1 the line `features: nesting=1` (w1: /etc/pve/lxc/111.conf; w2: /etc/pve/lxc/112.conf). To do it all the same: -e k3s_prereqs_allow=nesting"
            ]
        );
    }

    #[test]
    fn a_look_that_failed_is_a_refusal_and_one_that_was_skipped_is_none() {
        let nodes = json!([
            node(
                "w1",
                json!({"changed": false, "failed": false, "msg": "container 111 on pve1 is stopped"})
            ),
            node(
                "w2",
                json!({"changed": false, "msg": "container 112 on pve1 is stopped"})
            ),
            node("w3", json!({"changed": false, "skipped": true, "msg": "no"})),
        ]);
        let printed = lines(&all(&params(nodes)));
        assert_eq!(
            printed,
            ["w1, w2: prereqs: container … on pve1 is stopped (w1: 111; w2: 112)"]
        );
        assert_eq!(
            refused(&params(json!([node("w1", json!({"changed": false}))]))),
            None
        );
    }

    #[test]
    fn reports_a_refusal_of_a_module_once() {
        let mut answer = lacks("x");
        answer["msg"] = json!("pods cannot mount /proc (nesting)");
        assert_eq!(all(&params(json!([node("w1", answer)]))).len(), 1);
    }
}
