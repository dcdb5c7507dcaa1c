//! The steps: each hands a program to the server, or asks our own binary there, and notes what came of it.

use crate::inside::{Compared, Copied, Member, Request};
use crate::left::Left;
use crate::params::Params;
use crate::plan::{Act, Step};
use crate::proof;
use crate::record::{CopySeen, Record, Stage};
use crate::report::{Journal, Phase};
use crate::script;
use crate::state::Paths;
use anyhow::{Result, bail};
use cluster::unless_passing;
use host::{Command, Host, ask_ourselves, stamp, wait_until};
use k3s_node::{Changes, Facts};
use std::time::{Duration, SystemTime};

/// Walking through a large cluster, page by page, on a busy server.
const COMPARE_LIMIT: Duration = Duration::from_mins(10);
/// An etcd whose disk is slow loses its leader for a moment, which does not justify undoing what it holds.
const COMPARE_AGAIN: Duration = Duration::from_mins(1);
const COMPARE_EVERY: Duration = Duration::from_secs(5);

pub(crate) fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
    let paths = &step.paths;
    let record = journal.record.get_or_insert_with(|| step.record.clone());
    match step.act {
        Act::Note => {
            keep(params, host, paths, record)?;
            journal.phase = Phase::Noted;
            Ok(())
        }
        Act::Stop => {
            journal.phase = Phase::Stopped;
            journal.stopped_at = Some(host.elapsed());
            stop(params, host, paths)
        }
        Act::PutBack => {
            journal.phase = Phase::Stopped;
            put_back(params, host, paths, record).map(|_| ())
        }
        Act::Copy { .. } => copy(params, host, paths, record),
        Act::Enable => {
            record.stage = Stage::Migrating;
            let since = record.migrating_since.unwrap_or_else(|| seconds(host));
            record.migrating_since = Some(since);
            journal.phase = Phase::Migrating;
            enable(params, host, paths, record)
        }
        Act::Start => {
            journal.started_at = Some(seconds(host));
            start(params, host, paths)
        }
        Act::Prove => prove(params, host, paths, journal),
        Act::Compare => compare(params, host, paths, journal),
        Act::Finish => finish(params, host, paths),
    }
}

fn seconds(host: &dyn Host) -> u64 {
    host.now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Runs a program that must succeed, and returns what it printed.
fn done(host: &dyn Host, command: &Command, doing: &str) -> Result<String> {
    let output = host.run(command)?.succeed(&host.location(), doing)?;
    Ok(output.text().trim().to_owned())
}

fn keep(params: &Params, host: &dyn Host, paths: &Paths, record: &Record) -> Result<()> {
    let command = script::keep(params, paths, record);
    done(host, &command, "saving the record of the migration").map(|_| ())
}

pub(crate) fn stop(params: &Params, host: &dyn Host, paths: &Paths) -> Result<()> {
    let doing = format!("stopping {}", paths.unit);
    done(host, &script::stop(params, paths), &doing)?;
    proof::stopped(host, paths)
}

pub(crate) fn start(params: &Params, host: &dyn Host, paths: &Paths) -> Result<()> {
    let doing = format!("starting {}", paths.unit);
    done(host, &script::start(params, paths), &doing).map(|_| ())
}

fn enable(params: &Params, host: &dyn Host, paths: &Paths, record: &Record) -> Result<()> {
    let doing = "preparing the start that migrates";
    let command = script::enable(params, paths, record);
    let output = host.run(&command)?.succeed(&host.location(), doing)?;
    match script::restarts(paths, &Facts::parse(&output.stdout)?) {
        None => Ok(()),
        Some(why) => bail!("{}: {doing}: {why}", host.location()),
    }
}

/// Makes `SQLite` the datastore again, with k3s stopped, and answers whether the original had to serve instead of the copy.
/// At every moment there is one complete datastore, and a start at whatever moment finds it: the guard moves an etcd aside that
/// lies beside state.db.
pub(crate) fn put_back(params: &Params, host: &dyn Host, paths: &Paths, record: &mut Record) -> Result<bool> {
    let doing = "putting SQLite back";
    done(host, &script::begin_return(params, paths, record), doing)?;
    let output = host
        .run(&script::left(paths, record))?
        .succeed(&host.location(), doing)?;
    let left = Left::read(&Facts::parse(&output.stdout)?);
    let mut changes = Changes::new();
    let mut is_original = false;
    if !left.is_untouched(record.stage) {
        let stamp = stamp::stamped("at", host.now())?;
        let copy = bring_copy(params, host, paths, record, &left)?;
        is_original = copy.is_err();
        changes = match copy {
            Ok(()) => script::put_copy_in_place(paths),
            Err(why) => match left.original(record, paths) {
                Ok(original) => script::put_original_in_place(paths, original),
                Err(nothing) => bail!("{}: {doing}: {nothing} ({why})", host.location()),
            },
        };
        changes = script::etcd_aside(changes, paths, &left, stamp.trim_start_matches("at-"));
    }
    done(host, &script::end_return(params, paths, record, changes), doing)?;
    record.stage = Stage::Begun;
    Ok(is_original)
}

/// Brings the copy beside the database; the inner error says why the original has to serve.
fn bring_copy(
    params: &Params,
    host: &dyn Host,
    paths: &Paths,
    record: &Record,
    left: &Left,
) -> Result<Result<(), String>> {
    let Some(sha256) = left.usable_copy(record) else {
        return Ok(Err("the copy is not the one that was taken".to_owned()));
    };
    let output = host.run(&script::bring_copy(params, paths, record, sha256))?;
    Ok(if output.ok() {
        Ok(())
    } else {
        Err(output.error_text().trim().to_owned())
    })
}

fn copy(params: &Params, host: &dyn Host, paths: &Paths, record: &mut Record) -> Result<()> {
    let request = Request::Copy {
        database: paths.database().into(),
        token: format!("{}/token", paths.server()).into(),
        folder: record.backup.clone().into(),
    };
    let copied: Copied = ask_ourselves(host, &request, script::COPY_LIMIT, "copying SQLite")?;
    record.copy = Some(CopySeen {
        sha256: copied.sha256,
        objects: copied.objects,
    });
    record.stage = Stage::Begun;
    keep(params, host, paths, record)
}

fn prove(params: &Params, host: &dyn Host, paths: &Paths, journal: &mut Journal) -> Result<()> {
    journal.phase = Phase::Migrating;
    let since = journal.started_at.unwrap_or(0);
    let limit = Duration::from_secs(params.timeout);
    let request = Request::Member {
        server: paths.server().into(),
        endpoint: params.etcd_endpoint.clone(),
    };
    let member = || -> Result<Member> {
        ask_ourselves(
            host,
            &request,
            Command::USUAL_LIMIT,
            "asking etcd whether it votes",
        )
    };
    journal.member = Some(proof::migrated(host, paths, since, limit, member)?);
    journal.back_at = Some(host.elapsed());
    Ok(())
}

fn compare(params: &Params, host: &dyn Host, paths: &Paths, journal: &mut Journal) -> Result<()> {
    let record = journal.record.as_ref();
    let request = Request::Compare {
        copy: record.map(Record::database).unwrap_or_default().into(),
        server: paths.server().into(),
        endpoint: params.etcd_endpoint.clone(),
    };
    let doing = "comparing etcd with the copy of SQLite";
    let waited = wait_until(host, COMPARE_AGAIN, COMPARE_EVERY, || {
        unless_passing(ask_ourselves(host, &request, COMPARE_LIMIT, doing))
    })?;
    let compared: Compared = waited.or_fail(host, "etcd to be compared with the copy of SQLite")?;
    let differences = differences(&compared);
    journal.compared = Some(compared);
    if !differences.is_empty() {
        bail!(
            "{}: etcd does not hold what SQLite held: {}",
            host.location(),
            differences.join("; ")
        );
    }
    journal.phase = Phase::Proven;
    Ok(())
}

/// Where etcd has thrown that part of its history away, nothing is compared.
fn differences(compared: &Compared) -> Vec<String> {
    let Compared {
        missing,
        different,
        added,
        before,
        after,
        ..
    } = compared;
    let kinds = [
        (missing, "are missing"),
        (different, "have another content"),
        (added, "were not there before"),
    ];
    kinds
        .iter()
        .filter(|(keys, _)| keys.count > 0)
        .map(|(keys, what)| {
            let (count, names) = (keys.count, keys.names.join(", "));
            format!("{count} objects {what} ({before} before, {after} after), such as {names}")
        })
        .collect()
}

pub(crate) fn finish(params: &Params, host: &dyn Host, paths: &Paths) -> Result<()> {
    done(
        host,
        &script::finish(params, paths),
        "removing the record of the migration",
    )
    .map(|_| ())
}
