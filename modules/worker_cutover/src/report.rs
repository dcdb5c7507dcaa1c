//! The return values.

use crate::params::{Params, Wanted};
use crate::place::{Fate, Move, obstacle, others, place};
use crate::plan::{is_done, refusals, steered};
use crate::state::{State, has_to_go};
use crate::{text, verified};
use ansible_module::Refusal;
use kubectl::Owner;
use serde::Serialize;
use workloads::{Node, PodId};

#[derive(Serialize)]
pub struct Returned {
    old: String,
    new: String,
    gone: bool,
    done: bool,
    refusals: Vec<Refusal>,
    moves: Vec<Moved>,
    steer: Vec<String>,
    reopen: Vec<String>,
    restore: Vec<String>,
    workloads: Vec<Owner>,
    missing: Vec<String>,
    text: Vec<String>,
}

#[derive(Serialize)]
struct Moved {
    #[serde(flatten)]
    pod: PodId,
    to: Option<String>,
    why: String,
}

/// The nodes by what happens to them.
pub(crate) struct Gates {
    /// To be closed for the time of the drain.
    pub steer: Vec<String>,
    /// Closed by a cutover that was cut off, and to be opened before this one begins.
    pub reopen: Vec<String>,
    /// To be opened in the end, whatever comes.
    pub restore: Vec<String>,
}

impl Gates {
    fn of(params: &Params, state: &State, moves: &[Move]) -> Self {
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

pub(crate) fn report(params: &Params, state: &State) -> Returned {
    let moves = if params.state == Wanted::Planned {
        place(params, state)
    } else {
        Vec::new()
    };
    let gates = Gates::of(params, state, &moves);
    Returned {
        old: params.old.clone(),
        new: params.new.clone(),
        gone: state.node(&params.old).is_none(),
        done: is_done(params, state),
        refusals: match params.state {
            Wanted::Planned => refusals(params, state, &moves),
            Wanted::Verified => Vec::new(),
        },
        missing: match params.state {
            Wanted::Planned => Vec::new(),
            Wanted::Verified => verified::missing(params, state),
        },
        text: text::lines(params, state, &moves, &gates),
        moves: moves.iter().map(moved).collect(),
        workloads: state.owners(),
        steer: gates.steer,
        reopen: gates.reopen,
        restore: gates.restore,
    }
}

fn moved(moved: &Move) -> Moved {
    let (to, why) = match &moved.fate {
        Fate::Goes(node) => (Some(node.clone()), String::new()),
        Fate::Stays(refused) => (None, workloads::join(refused)),
    };
    Moved {
        pod: moved.pod.id(),
        to,
        why,
    }
}

/// Pods on the old node that nothing starts again: a drain has its own word about them.
pub(crate) fn alone<'s>(params: &'s Params, state: &'s State) -> impl Iterator<Item = PodId> + 's {
    let alone = state
        .pods_on(&params.old)
        .filter(|pod| has_to_go(pod) && pod.metadata.controller().is_none());
    alone.map(workloads::Pod::id)
}
