//! The refusals of all nodes, and the message that they make. Pure.

use crate::params::{Answer, Node, Params, Refused};
use per_node::{Refusal, lines};

const SECOND_CLUSTER: &str = "start k3s on the installed controllers; or name the controller of the existing cluster with -e k3s_primary_controller_host=...; or, to discard that cluster, remove k3s from these nodes with k3s/playbook-uninstall-k3s.yaml";

pub(crate) fn all(params: &Params) -> Vec<Refusal> {
    let of_node = |node: &Node| -> Vec<Refusal> {
        let answers = node.answers.iter();
        answers
            .flat_map(|(what, answer)| of_answer(params, &node.host, what, answer))
            .collect()
    };
    let of_nodes = params.nodes.iter().flat_map(of_node);
    of_nodes.chain(second_cluster(params)).collect()
}

/// A cluster is begun only where no other node has k3s: its servers may be stopped.
fn second_cluster(params: &Params) -> Option<Refusal> {
    let first = params.first_server.as_deref()?;
    let installed = params.installed();
    let is_second = !installed.is_empty() && installed.iter().all(|host| host != first);
    is_second.then(|| Refusal {
        next: Some(SECOND_CLUSTER.to_owned()),
        ..Refusal::new(
            first,
            "second_cluster",
            format!(
                "no controller's API is ready. k3s is installed on {}, but not on {first}, which would become the first server of another cluster",
                installed.join(", ")
            ),
        )
    })
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
    fn refuses_to_begin_a_cluster_while_another_node_has_k3s() {
        let with = |first: Value, installed: [bool; 2]| {
            let node = |host: &str, installed: bool| json!({"host": host, "answers": {"configuration": {"changed": false, "installed": installed}}});
            let nodes = [node("c1", installed[0]), node("c2", installed[1])];
            let all = json!({"run": "The installation", "nodes": nodes, "first_server": first});
            lines(&self::all(&serde_json::from_value(all).unwrap()))
        };
        let refused = with(json!("c1"), [false, true]);
        assert!(
            refused[0].starts_with(
                "c1: second_cluster: no controller's API is ready. k3s is installed on c2, but not on c1,"
            ) && refused[0].contains("Next: start k3s on the installed controllers; or name"),
            "{refused:?}"
        );
        // A new cluster; its first server, of an interrupted run; and a node that joins a cluster.
        for (first, installed) in [
            (json!("c1"), [false, false]),
            (json!("c1"), [true, true]),
            (Value::Null, [false, true]),
        ] {
            assert_eq!(with(first, installed), [""; 0]);
        }
    }

    #[test]
    fn reports_a_refusal_of_a_module_once() {
        let mut answer = lacks("x");
        answer["msg"] = json!("pods cannot mount /proc (nesting)");
        assert_eq!(all(&params(json!([node("w1", answer)]))).len(), 1);
    }
}
