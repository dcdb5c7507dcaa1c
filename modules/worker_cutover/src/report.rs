//! The return values.

use crate::gates::Gates;
use crate::moves::{Move, Outcome, plan_moves};
use crate::params::{Params, Wanted};
use crate::plan::{is_done, refusals};
use crate::retirement::{self, Rest};
use crate::state::State;
use crate::{text, verified};
use ansible_module::Refusal;
use cluster::{Owner, PodId};
use serde::Serialize;

#[derive(Serialize)]
pub struct Returned {
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
    #[serde(flatten)]
    rest: Option<Rest>,
}

#[derive(Serialize)]
struct Moved {
    #[serde(flatten)]
    pod: PodId,
    to: Option<String>,
    why: String,
}

pub(crate) fn report(params: &Params, state: &State) -> Returned {
    let moves = if params.state == Wanted::Planned {
        plan_moves(params, state)
    } else {
        Vec::new()
    };
    let gates = Gates::of(params, state, &moves);
    Returned {
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
        rest: retirement::rest(params, state),
        moves: moves.iter().map(moved).collect(),
        workloads: state.owners(),
        steer: gates.steer,
        reopen: gates.reopen,
        restore: gates.restore,
    }
}

fn moved(moved: &Move) -> Moved {
    let (to, why) = match &moved.outcome {
        Outcome::Goes(node) => (Some(node.clone()), String::new()),
        Outcome::Stays(refused) => (None, cluster::join(refused)),
    };
    Moved {
        pod: moved.pod.id(),
        to,
        why,
    }
}
