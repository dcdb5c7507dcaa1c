//! Whether the cutover has done what it was for. Pure.

use crate::moves::obstacle;
use crate::params::Params;
use crate::state::State;
use cluster::Pod;

/// What is still missing; nothing: the new node has taken over.
pub(crate) fn missing(params: &Params, state: &State) -> Vec<String> {
    let mut missing: Vec<String> = (0..state.workloads.len())
        .filter_map(|workload| less_than_before(params, state, workload))
        .collect();
    missing.extend(nothing_on_the_new_one(params, state));
    missing
}

fn less_than_before(params: &Params, state: &State, workload: usize) -> Option<String> {
    let waiting = if params.lets_pods_wait() {
        state
            .pods_of(workload)
            .filter(|pod| pod.is_unschedulable())
            .count()
    } else {
        0
    };
    state.workloads[workload].missing_besides(u32::try_from(waiting).unwrap_or(u32::MAX))
}

/// A worker that takes none of what it could take is none that one would want to be left with.
fn nothing_on_the_new_one(params: &Params, state: &State) -> Option<String> {
    let new = state.node(&params.new)?;
    let ready = |pod: &&Pod| pod.is_ready() && pod.metadata.deletion_timestamp.is_none();
    let theirs = || {
        (0..state.workloads.len())
            .flat_map(|workload| state.pods_of(workload))
            .filter(ready)
    };
    let takes = theirs().any(|pod| pod.node_name() == params.new);
    let mut elsewhere =
        theirs().filter(|pod| pod.node_name() != params.old && obstacle(state, pod, new).is_none());
    let could = elsewhere.next()?;
    (!takes).then(|| {
        format!(
            "{} runs none of the pods that had to move, although it could ({} is on {})",
            params.new,
            could.id(),
            could.node_name()
        )
    })
}
