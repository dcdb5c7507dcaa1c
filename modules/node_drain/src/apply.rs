//! Takes the steps: the cordon, the drain's loop, and putting back what a failure left.

use crate::cordon::{Change, CordonedBy, DesiredCordon, Record, cordoned_by};
use crate::evict::{Drain, Stage, Target};
use crate::observe;
use crate::params::{OnFailure, Params};
use crate::plan::Step;
use crate::requests;
use crate::state::State;
use crate::verdict::{judge_all, refuse};
use crate::{Journal, wait_workloads};
use anyhow::{Context, Result, bail};
use cluster::{Kubectl, Node, Pdb, unless_passing};
use host::{Host, Waited, wait_until};
use std::time::{Duration, SystemTime};

/// Pods end within seconds, and a look costs the controller two processes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn step(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
    let started = *journal.started.get_or_insert_with(|| host.elapsed());
    journal.began_at = journal.began_at.or_else(|| now(host));
    let done = match step {
        Step::SetCordon { desired, node, .. } => set_cordon(params, host, desired, Some(node), journal),
        Step::Evict { .. } => evict(params, host, journal),
        Step::WaitFor {
            owners,
            excuse_pinned,
        } => wait_workloads::wait(params, host, owners, *excuse_pinned),
    };
    journal.took = host.elapsed().saturating_sub(started);
    journal.ended_at = now(host);
    done
}

fn now(host: &dyn Host) -> Option<u64> {
    let since = host.now().duration_since(SystemTime::UNIX_EPOCH);
    since.ok().map(|since| since.as_secs())
}

/// Decides and patches; and looks again where the patch did not go through: somebody else may have written to the node (its
/// kubelet does all the time), or the answer was lost on its way. `seen` is the node a moment ago.
fn set_cordon(
    params: &Params,
    host: &dyn Host,
    desired: &DesiredCordon,
    mut seen: Option<&Node>,
    journal: &mut Journal,
) -> Result<()> {
    let kubectl = params.kubectl(host);
    let mut tried = None;
    let mut change = |node: Node| {
        let Some(change) = desired.change(&node) else {
            return Ok(node);
        };
        tried = Some(change);
        // Until its answer is there, the patch may have gone through or not.
        journal.cordoned |= change == Change::Cordon;
        kubectl.patch_node(&params.node, &desired.patch(&node))
    };
    let node = kubectl.patiently(&format!("changing the cordon of {}", params.node), || {
        if let Some(seen) = seen.take()
            && let Ok(node) = unless_passing(change(seen.clone()))?
        {
            return Ok(node);
        }
        change(observe::node(params, &kubectl)?)
    })?;
    if let Some(change) = desired.change(&node) {
        bail!(
            "{}: the API server accepted the patch, but would still have to {change} {}",
            host.location(),
            params.node
        );
    }
    // Tried and now true: it was us, unless an operator came between.
    let ours = |wanted: &Record| node.record.as_ref() == Some(wanted);
    let by_us = tried.is_some()
        && match desired {
            DesiredCordon::Cordoned(record) => ours(record),
            DesiredCordon::Uncordoned { .. } => true,
        };
    journal.changed |= by_us;
    journal.cordoned &= by_us;
    journal.left = Some(cordoned_by(&node));
    Ok(())
}

fn evict(params: &Params, host: &dyn Host, journal: &mut Journal) -> Result<()> {
    let kubectl = params.kubectl(host);
    // Pods that came while we cordoned; from now on the scheduler sends none.
    let mut state = observe::state(params, host).context("looking again after the cordon")?;
    refuse(params, &judge_all(&params.rules, &state)).context("looking again after the cordon")?;
    journal.drain = Some(Drain::new(params, &state));
    journal.looked = Some(state.clone());
    let Some(drain) = &mut journal.drain else {
        return Ok(());
    };
    let started = host.elapsed();
    let mut is_fresh = true;
    let waited = wait_until(host, params.timeout, LOOK_EVERY, || {
        let budgets_matter = drain.at(Stage::Here).next().is_some();
        if !std::mem::take(&mut is_fresh)
            // An API server that is away for a while does not stop it.
            && let Err(away) = unless_passing(observe::look(params, host, &kubectl, &mut state, budgets_matter))?
        {
            return Ok(Err(format!("{}; {away}", drain.left())));
        }
        drain.note(&state);
        if drain.done() {
            return Ok(Ok(()));
        }
        if drain.blocked().next().is_some() {
            bail!("{}", blocked(params, drain));
        }
        let at = host.elapsed().saturating_sub(started);
        ask(params, at, &kubectl, drain)?;
        Ok(Err(drain.left()))
    });
    journal.changed |= drain.went().next().is_some();
    match waited? {
        Waited::Done(()) => Ok(()),
        Waited::GaveUp { missing, after } => bail!("{}", stuck(params, &state.node, drain, &missing, after)),
    }
}

fn ask(params: &Params, at: Duration, kubectl: &Kubectl, drain: &mut Drain) -> Result<()> {
    let due = drain.due(at);
    if due.is_empty() {
        return Ok(());
    }
    let said = match unless_passing(requests::send(kubectl, &due, params.grace_period))? {
        Ok(said) => said,
        Err(away) => (0..due.len()).map(|index| (index, away.clone())).collect(),
    };
    for (index, said) in said {
        let target = drain
            .targets
            .iter_mut()
            .find(|target| due.get(index).is_some_and(|request| request.pod == target.pod));
        if let Some(target) = target {
            target.said = said;
        }
    }
    Ok(())
}

fn blocked(params: &Params, drain: &Drain) -> String {
    let pods: Vec<String> = drain.blocked().map(Target::why_here).collect();
    let advice = match params.pdb {
        _ if !drain.blocked().any(Target::is_held_by_budgets) => {
            "see to what the API server says of them: its load, or an admission webhook"
        }
        Pdb::Respect => {
            "scale the workload up or correct its budget, or run again with `pdb: respect_then_bypass` or `bypass` (the playbooks: -e k3s_drain_pdb=bypass), for some pods only with bypass_selector"
        }
        Pdb::Bypass | Pdb::RespectThenBypass => {
            "scale the workload up or correct its budget, or let bypass_selector select the pods"
        }
    };
    format!(
        "draining {}: not evicted within {} s: {}. What to do: {advice}",
        params.node,
        params.evict_timeout.as_secs(),
        pods.join("; ")
    )
}

fn stuck(params: &Params, node: &Node, drain: &Drain, missing: &str, after: Duration) -> String {
    let terminating = drain.at(Stage::Terminating).next().is_some();
    let advice = match node.trouble() {
        _ if !terminating => String::new(),
        Some(trouble) => format!(
            ". The node is not Ready ({trouble}), so nothing confirms that its pods ended: start it, or give skip_wait_for_delete_timeout"
        ),
        None => ". What to do: see `kubectl describe pod`, give the pods more time with timeout, or less with grace_period"
            .to_owned(),
    };
    format!(
        "draining {} took longer than {} s; left: {missing}{advice}",
        params.node,
        after.as_secs()
    )
}

/// Restores the node's former state, or says what is left and how to undo it.
pub(crate) fn recover(
    params: &Params,
    host: &dyn Host,
    before: &State,
    journal: &mut Journal,
) -> Option<String> {
    let name = &params.node;
    if !journal.cordoned {
        let ours = cordoned_by(&before.node) == CordonedBy::Ours && journal.left == Some(CordonedBy::Ours);
        return ours.then(|| {
            format!(
                "{name} was found cordoned by an earlier run of ours, and stays so; running again resumes it"
            )
        });
    }
    let undo = {
        let program = params.kubectl.join(" ");
        format!("`{program} uncordon {name}` in {} undoes it", host.location())
    };
    if params.on_failure == OnFailure::Keep {
        return Some(format!(
            "{name} stays cordoned by us, as on_failure: keep says; {undo}"
        ));
    }
    let undone = set_cordon(
        params,
        host,
        &DesiredCordon::Uncordoned { force: false },
        None,
        journal,
    );
    match (undone, journal.left) {
        (Ok(()), Some(CordonedBy::Operator)) => Some(format!(
            "{name} stays cordoned: meanwhile somebody else cordoned it"
        )),
        (Ok(()), _) => {
            journal.cordoned = false;
            Some(format!("{name} is schedulable again, as before"))
        }
        (Err(error), left) => {
            let is = if left == Some(CordonedBy::Ours) {
                "is still"
            } else {
                "may be"
            };
            Some(format!("{name} {is} cordoned by us: {error:#}; {undo}"))
        }
    }
}
