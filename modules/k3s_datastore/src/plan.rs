//! What to do about it. Pure: no host, no clock.

use crate::params::Params;
use crate::record::{self, Record, Stage};
use crate::refusals;
use crate::script;
use crate::state::{Datastore, Paths, State};
use ansible_module::{Plan, Refusal};
use anyhow::{Result, bail};
use std::fmt;

/// One thing to do, with all that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub(crate) act: Act,
    /// Its content before the first step.
    pub(crate) record: Record,
    pub(crate) paths: Paths,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The record is written.
    Note,
    Stop,
    PutBack,
    /// `objects`: as counted before, where they were.
    Copy {
        objects: Option<u64>,
    },
    Enable,
    Start,
    Prove,
    Compare,
    Finish,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = &self.paths.unit;
        let Record { backup, drop_in, .. } = &self.record;
        match &self.act {
            Act::Note => write!(f, "note in {} that a migration is under way", record::path()),
            Act::Stop => write!(
                f,
                "stop {unit}: until it is back there is no API server; pods keep running"
            ),
            Act::PutBack => f.write_str(
                "put SQLite back from its copy, and set aside what an interrupted migration has left of etcd",
            ),
            Act::Copy { objects } => {
                f.write_str("copy SQLite")?;
                if let Some(objects) = objects {
                    write!(f, " ({objects} objects)")?;
                }
                write!(f, " and the server's token to {backup}, and check the copy")
            }
            Act::Enable => write!(f, "write cluster-init into {drop_in}"),
            Act::Start => write!(f, "start {unit}, which moves every object to etcd"),
            Act::Prove => f.write_str("wait until SQLite is moved, etcd's member votes and the API is ready"),
            Act::Compare => write!(f, "compare etcd with the copy, object by object"),
            Act::Finish => f.write_str("remove the record, and let systemd restart k3s by itself again"),
        }
    }
}

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Road {
    Nothing,
    Fresh,
    /// An earlier run has not come as far as etcd: once more from the stop.
    Again,
    /// What it has left is not a complete etcd: `SQLite` first.
    Heal,
    /// k3s has moved everything, or is about to: what is left is to see that.
    Follow {
        start: bool,
    },
}

fn road(state: &State) -> Road {
    let Some(record) = state.record() else {
        return match state.datastore() {
            Datastore::Etcd => Road::Nothing,
            _ => Road::Fresh,
        };
    };
    let alive = state.show().is_alive();
    match (record.stage, state.wal, state.database.is_some()) {
        (Stage::GoingBack, ..) => Road::Heal,
        (_, true, false) => Road::Follow { start: !alive },
        // The API begins to serve when everything is moved: one that serves beside a live state.db has skipped that.
        (Stage::Migrating, _, true) if alive && !state.api_is_ready() => Road::Follow { start: false },
        (_, false, true) => Road::Again,
        _ => Road::Heal,
    }
}

const MIGRATE: [Act; 5] = [Act::Enable, Act::Start, Act::Prove, Act::Compare, Act::Finish];

fn acts(state: &State) -> Vec<Act> {
    let copy = Act::Copy {
        objects: state
            .objects
            .as_ref()
            .and_then(|objects| objects.as_ref().ok().copied()),
    };
    let before: &[Act] = match road(state) {
        Road::Nothing => return Vec::new(),
        Road::Follow { start: true } => &[],
        Road::Follow { start: false } => return MIGRATE[2..].to_vec(),
        Road::Fresh => &[Act::Note, Act::Stop, copy],
        Road::Again => &[Act::Stop, copy],
        Road::Heal => &[Act::Stop, Act::PutBack, copy],
    };
    [before, &MIGRATE].concat()
}

/// The steps, or the reasons why there are none.
pub(crate) fn decide(params: &Params, state: &State) -> (Vec<Act>, Vec<Refusal>) {
    let mut refusals = refusals::of_server(state);
    if refusals.is_empty() && road(state) == Road::Fresh {
        refusals = refusals::of_migration(params, state);
    }
    if refusals.is_empty() {
        (acts(state), refusals)
    } else {
        (Vec::new(), refusals)
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let (acts, refusals) = decide(params, state);
    if !refusals.is_empty() {
        bail!("nothing was touched. {}", Refusal::list(&refusals));
    }
    let fresh = || {
        Record::begun(
            params.run_id.clone(),
            state.now,
            &state.paths.data,
            format!("{}/{}", params.dest, state.backup),
            format!("{}.d/{}", state.paths.config, script::DROP_IN),
        )
    };
    let record = state.record().cloned().unwrap_or_else(fresh);
    let step = |act| Step {
        act,
        record: record.clone(),
        paths: state.paths.clone(),
    };
    let mut plan = Plan::of(acts.into_iter().map(step).collect());
    plan.warnings.extend(interrupted(state));
    Ok(plan)
}

fn interrupted(state: &State) -> Option<String> {
    let record = state.record()?;
    let run = record.run_id.as_deref().unwrap_or("without a name");
    let what = match road(state) {
        Road::Nothing | Road::Fresh => return None,
        Road::Again => "it had not begun to fill etcd, and is begun again",
        Road::Heal => "it left an incomplete etcd; SQLite is restored, and the migration starts again",
        Road::Follow { .. } => "it continues where it stopped",
    };
    Some(format!(
        "the migration of an earlier run ({run}) did not come to its end: {what}"
    ))
}

#[cfg(test)]
mod tests;
