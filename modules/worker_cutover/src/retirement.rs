//! What becomes of the old worker after its pods have moved, for the playbook and in words. Pure.

use crate::params::{Params, Wanted};
use crate::plan::is_done;
use crate::state::State;
use serde::Serialize;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Rest {
    retires: bool,
    complete: bool,
    agent_stopped: bool,
    clean_up: Vec<String>,
    outcome: String,
}

pub(crate) fn rest(params: &Params, state: &State) -> Option<Rest> {
    let wanted = &params.retirement;
    (params.state == Wanted::Planned).then(|| Rest {
        retires: wanted.retires(),
        // The deletion is always checked: a run may have been interrupted before it.
        complete: is_done(params, state)
            && !wanted.delete_node
            && (!wanted.stop_agent || wanted.agent_actions().is_empty()),
        agent_stopped: wanted.retires()
            && wanted.agent_actions().is_empty()
            && state.node(&params.old).is_some()
            && is_done(params, state),
        clean_up: clean_up(params, state),
        outcome: outcome(params),
    })
}

/// What follows the move, as lines of the plan.
fn clean_up(params: &Params, state: &State) -> Vec<String> {
    let (wanted, old) = (&params.retirement, &params.old);
    let actions = wanted.agent_actions().join(", ");
    let agent = (wanted.retires() && !actions.is_empty()).then(|| format!("{old}: {actions}"));
    let node = (wanted.delete_node && state.node(old).is_some()).then(|| format!("remove the Node {old}"));
    agent.into_iter().chain(node).collect()
}

fn outcome(params: &Params) -> String {
    let (wanted, old) = (&params.retirement, &params.old);
    if wanted.delete_node {
        format!("the Node {old} is removed")
    } else if wanted.stop_agent {
        format!("{old} is cordoned, and its agent stopped and disabled")
    } else {
        format!(
            "{old} stays cordoned, and its agent runs: `kubectl uncordon {old}` undoes it; \
             -e k3s_canary_stop_old_agent=true -e k3s_canary_delete_old_node=true retires it"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{cordoned, node, params, pod, state};
    use serde_json::{Value, json};

    const STOP: &str = "stop k3s-agent";

    fn of(more: Value, state: &State) -> (Rest, Vec<String>) {
        let rest = rest(&params(more), state).unwrap();
        let lines = rest.clean_up.clone();
        (rest, lines)
    }

    /// The old worker still has a pod.
    fn before() -> State {
        let nodes = vec![node("w1"), node("w2"), node("w3")];
        state(nodes, vec![pod("web-1", "web", "w1", json!({}))])
    }

    /// It is cordoned by an operator, and empty.
    fn after() -> State {
        state(vec![cordoned(node("w1"), None), node("w3")], vec![])
    }

    #[test]
    fn the_old_worker_stays_unless_it_is_to_be_retired() {
        let (rest, lines) = of(json!({}), &before());
        assert_eq!((rest.retires, rest.complete, lines), (false, false, vec![]));
        assert!(
            rest.outcome
                .starts_with("w1 stays cordoned, and its agent runs: `kubectl uncordon w1` undoes it; -e")
        );
        let (rest, _) = of(json!({}), &after());
        // Without retirement nobody has looked at the agent.
        assert!(rest.complete && !rest.agent_stopped);
    }

    #[test]
    fn an_agent_that_runs_is_stopped_and_one_that_is_stopped_is_left() {
        let running = json!({"stop_agent": true, "agent_actions": [STOP]});
        let (rest, lines) = of(running, &after());
        assert_eq!(
            (rest.retires, rest.complete, rest.agent_stopped),
            (true, false, false)
        );
        assert_eq!(lines, ["w1: stop k3s-agent"]);
        assert_eq!(rest.outcome, "w1 is cordoned, and its agent stopped and disabled");
        let (rest, lines) = of(json!({"stop_agent": true}), &after());
        assert_eq!((rest.complete, lines), (true, vec![]));
        assert!(rest.agent_stopped);
        // The pods have to move first.
        let (rest, _) = of(json!({"stop_agent": true}), &before());
        assert!(!rest.complete && !rest.agent_stopped);
    }

    #[test]
    fn a_node_to_delete_is_named_until_it_is_gone_and_checked_always() {
        let wanted = json!({"stop_agent": true, "delete_node": true, "agent_actions": [STOP]});
        let (rest, lines) = of(wanted, &before());
        assert_eq!(
            (rest.complete, rest.outcome.as_str()),
            (false, "the Node w1 is removed")
        );
        assert_eq!(lines, ["w1: stop k3s-agent", "remove the Node w1"]);
        let gone = state(vec![node("w3")], vec![]);
        let (rest, lines) = of(json!({"delete_node": true, "agent_actions": []}), &gone);
        assert_eq!((rest.retires, rest.complete, lines), (true, false, vec![]));
        assert!(!rest.agent_stopped);
        let stopped = json!({"delete_node": true, "agent_actions": []});
        assert!(of(stopped, &after()).0.agent_stopped);
    }

    #[test]
    fn a_verification_has_no_rest() {
        assert_eq!(rest(&params(json!({"state": "verified"})), &after()), None);
    }
}
