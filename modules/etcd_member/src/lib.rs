//! `etcd_member`: manage members of k3s's embedded etcd.
//!
//! The module carries its own binary to the node and speaks to etcd on the loopback there, with the node's own
//! certificates: no key leaves the node, and it works on every k3s.

mod compare;
mod gate;
mod inside;
mod params;
mod plan;
#[cfg(test)]
mod removal_tests;
mod report;
#[cfg(test)]
mod samples;
mod state;

pub use answers::etcd::{Etcd as Returned, Stale};
pub use params::{Params, Require, Want, Which};
pub use plan::Step;
pub use state::{Datastore, State};

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result, bail};
use host::{Command, Host, Waited, ask_ourselves, wait_until};
use inside::Request;
use serde::de::DeserializeOwned;
use state::{Removal, Seen};
use std::process::ExitCode;
use std::time::Duration;

/// A learner is promoted within 15 s of catching up; a server is back in 10 to 25 s.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// A change of members that comes on the heels of another is never answered, and has to be asked for again.
const TRY_EVERY: Duration = Duration::from_secs(2);
/// What an election of k3s's etcd takes at most, and a server that restarts: a quorum that does not answer for so long is
/// lost, and only then is somebody asked to bring one back.
const ELECTION: Duration = Duration::from_secs(30);
/// An election of k3s's etcd takes more than 7 s, and until it is over a server that restarts may miss a removal.
const SETTLED: Duration = Duration::from_secs(10);

pub struct EtcdMember;

#[derive(Default)]
pub struct Journal {
    removed: Option<u64>,
    /// It was asked for, and nobody said what became of it.
    unanswered: bool,
    removed_at: Option<Duration>,
}

impl Module for EtcdMember {
    const NAME: &'static str = "etcd_member";
    const DOC: &'static str = include_str!("../etcd_member.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    /// Asking changes nothing and waits for nobody.
    fn target(params: &Params) -> Target {
        let changes = matches!(params.want, Want::Absent { .. });
        Target {
            vmid: params.vmid,
            lock_timeout: changes.then_some(params.lock_timeout),
        }
    }

    /// Looks until the state is as required, or the wait is over; the plan judges the last look.
    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        let wait = match params.want {
            Want::Query { wait, .. } => Duration::from_secs(wait),
            Want::Absent { .. } => ELECTION.min(Duration::from_secs(params.timeout)),
        };
        let mut seen = None;
        wait_until(host, wait, LOOK_EVERY, || {
            let state = seen.insert(look(params, host)?);
            Ok(match params.want {
                Want::Query { .. } => gate::judge(params, state).map(|_| ()),
                Want::Absent { .. } => gate::decides(&state.seen.etcd),
            })
        })?;
        let mut seen = seen.context("etcd was never read")?;
        if let Want::Query {
            nodes_wait: Some(seconds),
            ..
        } = params.want
        {
            await_nodes(params, host, seconds, &mut seen)?;
        }
        Ok(seen)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        match step {
            Step::Remove { id, title } => remove(params, host, *id, title, journal),
            Step::AwaitLeader { instead_of } => await_leader(params, host, *instead_of, journal),
        }
    }

    fn report(params: &Params, before: &State, after: &State, journal: &Journal) -> Returned {
        report::report(params, before, after, journal)
    }

    /// A refused removal changes nothing; one that got no answer may have.
    fn changed(_: &Params, journal: &Journal) -> bool {
        journal.removed.is_some() || journal.unanswered
    }

    /// The same binary is the module on the Proxmox host and, carried inside, the program that speaks to etcd.
    fn inside(arguments: &[String]) -> Option<ExitCode> {
        inside::asked(arguments)
    }
}

/// Looks again until the Nodes say what etcd says. A look that does not pass the gate any more, as in an election, is none of
/// this wait's business: what passed has passed.
fn await_nodes(params: &Params, host: &dyn Host, seconds: u64, seen: &mut State) -> Result<()> {
    let behind = |state: &State| gate::nodes_behind(state, seconds).map_or(Ok(()), Err);
    if gate::judge(params, seen).is_err() || behind(seen).is_ok() {
        return Ok(());
    }
    let mut first = true;
    wait_until(host, Duration::from_secs(seconds), LOOK_EVERY, || {
        if !std::mem::take(&mut first)
            && let Ok(state) = look(params, host)
            && gate::judge(params, &state).is_ok()
        {
            *seen = state;
        }
        Ok(behind(seen))
    })?;
    Ok(())
}

fn look(params: &Params, host: &dyn Host) -> Result<State> {
    let request = Request::Look {
        data_dir: params.data_dir.clone(),
        endpoint: params.endpoint.clone(),
        kubectl: params.kubectl.clone(),
    };
    let seen: Seen = ask(host, &request, "asking etcd")?;
    Ok(State {
        location: host.location(),
        seen,
    })
}

fn ask<T: DeserializeOwned>(host: &dyn Host, request: &Request, doing: &str) -> Result<T> {
    ask_ourselves(host, request, Command::USUAL_LIMIT, doing)
}

fn remove(params: &Params, host: &dyn Host, id: u64, title: &str, journal: &mut Journal) -> Result<()> {
    let request = Request::Remove {
        data_dir: params.data_dir.clone(),
        endpoint: params.endpoint.clone(),
        id,
    };
    let limit = Duration::from_secs(params.timeout);
    let waited = wait_until(host, limit, TRY_EVERY, || {
        match ask(host, &request, "removing the member")? {
            Removal::Gone => Ok(Ok(())),
            Removal::Again(why) => Ok(Err(why)),
            Removal::Refused(why) => bail!(
                "{}: removing the member {title}: etcd refused: {why}",
                host.location()
            ),
        }
    })?;
    if let Waited::GaveUp { missing, after } = waited {
        journal.unanswered = true;
        bail!(
            "{}: removing the member {title}: {missing}. It may still happen after these {} s: run the same again to see",
            host.location(),
            after.as_secs()
        );
    }
    journal.removed = Some(id);
    journal.removed_at = Some(host.elapsed());
    Ok(())
}

fn await_leader(params: &Params, host: &dyn Host, instead_of: u64, journal: &Journal) -> Result<()> {
    let removed_at = journal.removed_at.unwrap_or_default();
    let limit = SETTLED + Duration::from_secs(params.timeout);
    let waited = wait_until(host, limit, TRY_EVERY, || {
        let state = look(params, host)?;
        let cluster = state.seen.cluster();
        let leader = cluster.filter(|cluster| cluster.no_quorum.is_none());
        let leader = leader.and_then(state::Cluster::leader);
        let since = host.elapsed().saturating_sub(removed_at);
        Ok(match leader {
            None => Err("no member leads".to_owned()),
            Some(leader) if leader == instead_of => Err("the removed member still leads".to_owned()),
            Some(_) if since < SETTLED => Err("the election is too fresh".to_owned()),
            Some(_) => Ok(()),
        })
    })?;
    waited.or_fail(
        host,
        "a new leader of etcd after the former one was removed; restart no server before there is one",
    )
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::EtcdMember);
}
