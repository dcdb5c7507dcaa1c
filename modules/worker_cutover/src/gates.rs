//! Nodes that are closed and opened around a drain. Pure.

use crate::moves::{Move, obstacle, others};
use crate::params::Params;
use crate::plan::steered;
use crate::state::State;
use cluster::Node;

/// The nodes by what happens to them.
pub(crate) struct Gates {
    /// To be closed for the time of the drain.
    pub steer: Vec<String>,
    /// Closed by an interrupted cutover, and to be opened before this one begins.
    pub reopen: Vec<String>,
    /// To be opened in the end, whatever comes.
    pub restore: Vec<String>,
}

impl Gates {
    pub(crate) fn of(params: &Params, state: &State, moves: &[Move]) -> Self {
        let not_old = |node: &&Node| node.name != params.old;
        let names = |node: &Node| node.name.clone();
        // One that can take none of the pods is left alone. What has to be closed was not always drained before.
        let takes = |node: &&Node| {
            moves
                .iter()
                .any(|moved| obstacle(state, moved.pod, node).is_none())
        };
        let steer: Vec<String> = others(params, state)
            .filter(|node| params.steer && !node.unschedulable)
            .filter(takes)
            .map(names)
            .collect();
        let closed = || steered(state).filter(not_old);
        let mut restore: Vec<String> = closed().map(names).collect();
        restore.extend(steer.iter().cloned());
        restore.sort();
        Self {
            reopen: closed()
                .filter(|node| node.name == params.new || !params.steer)
                .map(names)
                .collect(),
            steer,
            restore,
        }
    }
}
