//! observe → plan → apply → observe → report, once for all modules.

use crate::answer::bounded;
use crate::{Answer, Call, Module, Plan, loose};
use anyhow::{Context, Result, anyhow};
use host::{Failure, Held, Host, InContainer, LocalHost, LockRequest};
use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The ids of containers and machines.
const VMIDS: RangeInclusive<u32> = 100..=999_999_999;

/// Answers a call on the machine that we run on, or in the container that the arguments name.
pub(crate) fn on_this_machine<M: Module>(json: &[u8]) -> Answer {
    let read = Call::parse(json).and_then(|call| Ok((params::<M>(&call)?, call)));
    let (params, call) = match read {
        Ok(read) => read,
        Err(error) => return Answer::failure(format!("{error:#}")),
    };
    let host = this_machine(M::NAME);
    match M::target(&params).vmid {
        Some(vmid) => run::<M>(&params, &call, &InContainer::new(host, vmid)),
        None => run::<M>(&params, &call, &host),
    }
}

#[cfg(not(feature = "crash"))]
fn this_machine(_module: &'static str) -> impl Host {
    LocalHost::new()
}

#[cfg(feature = "crash")]
fn this_machine(module: &'static str) -> impl Host {
    host::Crashing::new(LocalHost::new(), module)
}

/// The typed options of a call.
pub fn params<M: Module>(call: &Call) -> Result<M::Params> {
    let params = loose::from_arguments(call.arguments.clone())
        .map_err(anyhow::Error::new)
        .context(M::NAME)?;
    match M::target(&params).vmid {
        Some(vmid) if !VMIDS.contains(&vmid) => Err(not_an_id(vmid)).context(M::NAME),
        _ => Ok(params),
    }
}

/// Not tried: `pct` refuses such a number in words that name no option.
fn not_an_id(vmid: u32) -> anyhow::Error {
    anyhow!(
        "vmid: {vmid} is not the id of a container: Proxmox VE numbers them from {} to {}",
        VMIDS.start(),
        VMIDS.end()
    )
}

/// All steps of a run, on any host.
pub fn run<M: Module>(params: &M::Params, call: &Call, host: &dyn Host) -> Answer {
    let mut answer = Answer::default();
    if let Err(error) = travel::<M>(params, call, host, &mut answer) {
        answer.failed = true;
        let left = answer
            .left
            .as_ref()
            .map_or_else(String::new, |left| format!(". {left}"));
        answer.msg = Some(format!("{error:#}{left}"));
        if let Some(failure) = Failure::of(&error) {
            let Failure {
                kind,
                location,
                detail,
                ..
            } = failure;
            answer.returned.insert(
                "failure".to_owned(),
                json!({ "kind": kind, "place": location, "detail": bounded(detail.clone()) }),
            );
        }
    }
    answer
}

fn travel<M: Module>(params: &M::Params, call: &Call, host: &dyn Host, answer: &mut Answer) -> Result<()> {
    let _held = lock::<M>(params, call, host)?;
    let (before, planned) = look::<M>(params, call, host)?;
    let mut journal = M::Journal::default();
    // The answer of a refusal holds the observed numbers too.
    let plan = planned.inspect_err(|_| answer.returned = report::<M>(params, &before, &before, &journal))?;
    let Plan {
        steps,
        diff,
        warnings,
    } = plan;
    answer.changed = !steps.is_empty() && M::would_change(params, &steps);
    answer.warnings = warnings;
    answer.diff = call.diff.then_some(diff);
    if steps.is_empty() || call.check_mode {
        answer.actions = steps.iter().map(ToString::to_string).collect();
        answer.returned = report::<M>(params, &before, &before, &journal);
        return Ok(());
    }
    let done = apply::<M>(params, host, &steps, &mut journal, &mut answer.actions);
    // A step that failed half-way may have changed something: only the module can know that it did not.
    answer.changed = M::changed(params, &journal);
    match done.and_then(|()| look_again::<M>(params, host, &before, &journal)) {
        Ok(after) => {
            answer.returned = report::<M>(params, &before, after.as_ref().unwrap_or(&before), &journal);
            Ok(())
        }
        Err(error) => {
            answer.left = M::recover(params, host, &before, &mut journal);
            answer.returned = report::<M>(params, &before, &before, &journal);
            Err(error)
        }
    }
}

/// What was observed, and the plan or the refusal that follows from it.
type Seen<M> = (<M as Module>::State, Result<Plan<<M as Module>::Step>>);

/// In check mode another module may be changing what is read, such as one that a killed run has left at work: what is wrong
/// then is read again after its end.
fn look<M: Module>(params: &M::Params, call: &Call, host: &dyn Host) -> Result<Seen<M>> {
    let once = || {
        let state = M::observe(params, host)?;
        let planned = M::plan(params, &state);
        Ok((state, planned))
    };
    let found = once();
    let is_fine = matches!(found, Ok((_, Ok(_))));
    match lock_request::<M>(params).filter(|_| call.check_mode && !is_fine) {
        Some(request) if host.wait_for_holder(&request)? => once(),
        _ => found,
    }
}

fn apply<M: Module>(
    params: &M::Params,
    host: &dyn Host,
    steps: &[M::Step],
    journal: &mut M::Journal,
    actions: &mut Vec<String>,
) -> Result<()> {
    for step in steps {
        M::apply(params, host, step, journal)?;
        actions.push(step.to_string());
    }
    Ok(())
}

fn look_again<M: Module>(
    params: &M::Params,
    host: &dyn Host,
    before: &M::State,
    journal: &M::Journal,
) -> Result<Option<M::State>> {
    if !M::OBSERVE_AGAIN {
        return Ok(None);
    }
    M::look_again(params, host, before, journal)
        .context("looking again after the last step")
        .map(Some)
}

/// The return values as JSON; a module whose values are not a dictionary has none.
fn report<M: Module>(
    params: &M::Params,
    before: &M::State,
    after: &M::State,
    journal: &M::Journal,
) -> Map<String, Value> {
    match serde_json::to_value(M::report(params, before, after, journal)) {
        Ok(Value::Object(returned)) => returned,
        _ => Map::new(),
    }
}

/// The lock of the container or host, for modules that change it; check mode changes nothing and takes none.
fn lock<M: Module>(params: &M::Params, call: &Call, host: &dyn Host) -> Result<Option<Held>> {
    let request = lock_request::<M>(params).filter(|_| !call.check_mode);
    request.map(|request| host.lock(&request)).transpose()
}

fn lock_request<M: Module>(params: &M::Params) -> Option<LockRequest> {
    let target = M::target(params);
    let limit = Duration::from_secs(target.lock_timeout?);
    let name = match (M::lock_name(params), target.vmid) {
        (Some(name), _) => name,
        (None, Some(vmid)) => format!("container-{vmid}"),
        (None, None) => "host".to_owned(),
    };
    let holder = format!("{}, process {}", M::NAME, std::process::id());
    Some(LockRequest { name, holder, limit })
}

#[cfg(test)]
mod tests;
