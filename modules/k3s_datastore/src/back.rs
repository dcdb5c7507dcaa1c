//! The way back after a failed step: `SQLite` serves again, as before.

use crate::params::Params;
use crate::proof;
use crate::record::{self, Record, Stage};
use crate::report::{Journal, Phase};
use crate::state::{Paths, State};
use crate::steps;
use anyhow::Result;
use host::Host;
use std::time::Duration;

/// What k3s writes to etcd from its first moment on is lost by going back. In the first minutes that is what controllers
/// write anew; later it is somebody's work.
const RETURN_WITHIN: u64 = 30 * 60;

pub(crate) fn recover(
    params: &Params,
    host: &dyn Host,
    before: &State,
    journal: &mut Journal,
) -> Option<String> {
    let paths = &before.paths;
    match journal.phase {
        Phase::Untouched => None,
        Phase::Noted => Some(forget(params, host, paths)),
        Phase::Stopped | Phase::Migrating => Some(match served_for(before) {
            Some(seconds) if seconds > RETURN_WITHIN => stay(before, seconds),
            _ => go_back(params, host, paths, journal),
        }),
        Phase::Proven => Some(
            "etcd is the datastore, and holds what SQLite held; only the clean-up is left, which the same command does"
                .to_owned(),
        ),
    }
}

fn forget(params: &Params, host: &dyn Host, paths: &Paths) -> String {
    match steps::finish(params, host, paths) {
        Ok(()) => "nothing was changed".to_owned(),
        Err(error) => format!(
            "nothing was changed, but the record {} stays ({error:#})",
            record::path()
        ),
    }
}

/// How long ago k3s began to migrate, where it had moved everything when this run began.
fn served_for(before: &State) -> Option<u64> {
    let since = before.record()?.migrating_since?;
    (before.wal && before.database.is_none()).then(|| before.now.saturating_sub(since))
}

fn stay(before: &State, seconds: u64) -> String {
    format!(
        "k3s was set to move to etcd {} min ago and had done so: what was written since would be lost by going back, so nothing was put back. See what {} says (`journalctl -u {}`), fix that, and run the same again. The SQLite database from before is in {}",
        seconds / 60,
        before.location,
        before.paths.unit,
        before.record().map(Record::database).unwrap_or_default()
    )
}

fn go_back(params: &Params, host: &dyn Host, paths: &Paths, journal: &mut Journal) -> String {
    let Some(mut record) = journal.record.clone() else {
        return "nothing was changed".to_owned();
    };
    let copy = record.copy.is_some().then(|| record.backup.clone());
    let outcome = serve_from_sqlite(params, host, paths, &mut record);
    journal.record = Some(record);
    match outcome {
        Ok(original) => {
            journal.went_back = true;
            journal.back_at = Some(host.elapsed());
            let mut parts = vec![
                "SQLite is the datastore as before: k3s was started from it, and its API answers".to_owned(),
            ];
            parts.extend(copy.map(|folder| format!("the copy and the token are in {folder}")));
            if original {
                parts.push("the database is the original, since the copy was not usable".to_owned());
            }
            if let Err(error) = steps::finish(params, host, paths) {
                parts.push(format!("the record {} stays ({error:#})", record::path()));
            }
            parts.join("; ")
        }
        Err(error) => format!(
            "going back to SQLite failed too ({error:#}): k3s may be stopped. Run the same again, which goes on from {}{}",
            record::path(),
            copy.map(|folder| format!("; the database from before is {folder}/state.db"))
                .unwrap_or_default()
        ),
    }
}

fn serve_from_sqlite(params: &Params, host: &dyn Host, paths: &Paths, record: &mut Record) -> Result<bool> {
    // Before a migrating start its files are nobody's but k3s's own, stopped or not.
    if record.stage != Stage::Begun {
        steps::stop(params, host, paths)?;
    }
    let original = steps::put_back(params, host, paths, record)?;
    steps::start(params, host, paths)?;
    proof::is_back(host, paths, Duration::from_secs(params.timeout))?;
    Ok(original)
}
