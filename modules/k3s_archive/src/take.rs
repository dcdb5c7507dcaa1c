//! Taking the steps.

use crate::{Journal, Step, check, state};
use anyhow::{Context, Result, ensure};
use host::{Command, Host, Output, ourselves, run_ourselves};
use server_archive::{About, CHECK_SNAPSHOT, COPY_SQLITE, PACK, count, save_snapshot};
use std::time::Duration;

/// Counting the objects asks the API for all of them; a backup does not wait longer for what is only told.
const COUNTING: Duration = Duration::from_mins(2);

pub(crate) fn apply(host: &dyn Host, step: &Step, limit: Duration, journal: &mut Journal) -> Result<()> {
    match step {
        Step::Sweep { inside, outside } => {
            remove(host, inside)?;
            remove(host.outside(), outside)
        }
        Step::MakeFolder { folder } => {
            let make = "umask 077; mkdir -p -m 0700 -- \"$1\"";
            script(
                host.outside(),
                "making the folder for backups",
                make,
                &[folder],
                limit,
            )
            .map(|_| ())
        }
        Step::CopySqlite { source } => {
            let target = format!("{}/state.db", make_work(host, journal)?);
            let output = run_ourselves(host, &[COPY_SQLITE, source, &target], limit)?;
            output.succeed(&host.place(), "copying the SQLite datastore")?;
            journal.copy = Some(target);
            Ok(())
        }
        Step::SaveSnapshot { at } => {
            let work = make_work(host, journal)?;
            let copy = save_snapshot(host, at, state::SNAPSHOT, &work, limit)?;
            let output = run_ourselves(host, &[CHECK_SNAPSHOT, &copy], limit)?;
            output.succeed(&host.place(), "checking the etcd snapshot")?;
            journal.copy = Some(copy);
            Ok(())
        }
        Step::Pack {
            path,
            about,
            binary,
            most,
        } => {
            // An API that does not answer is no reason to have no backup.
            let counted = count(host, binary, COUNTING).ok().flatten();
            let (objects, nodes) = counted.unwrap_or_default();
            let about = About {
                objects,
                nodes,
                ..about.as_ref().clone()
            };
            pack(host, path, &about, *most, limit, journal)
        }
        Step::Tidy => {
            remove(host, journal.work.as_slice())?;
            journal.work = None;
            Ok(())
        }
        Step::Remove { path } => {
            remove(host.outside(), std::slice::from_ref(path))?;
            journal.removed.push(path.clone());
            Ok(())
        }
    }
}

fn script(host: &dyn Host, doing: &str, text: &str, arguments: &[&str], limit: Duration) -> Result<Output> {
    let argv = ["/bin/sh", "-c", text, "sh"]
        .into_iter()
        .chain(arguments.iter().copied());
    host.run(&Command::new(argv).within(limit))?
        .succeed(&host.place(), doing)
}

fn remove(host: &dyn Host, paths: &[String]) -> Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    let argv = ["rm", "-rf", "--"]
        .into_iter()
        .chain(paths.iter().map(String::as_str));
    let output = host.run(&Command::new(argv))?;
    output
        .succeed(&host.place(), &format!("removing {}", paths.join(", ")))
        .map(|_| ())
}

/// A fresh folder for the copy; its name is told, should it be left behind.
fn make_work(host: &dyn Host, journal: &mut Journal) -> Result<String> {
    let work = format!("{}.{}", state::WORK, host.unique());
    journal.work = Some(work.clone());
    let make = "umask 077; mkdir -p -- \"${1%/*}\" && mkdir -- \"$1\"";
    script(
        host,
        "making a folder for the copy",
        make,
        &[&work],
        Command::USUAL_LIMIT,
    )?;
    Ok(work)
}

/// The archive passes from the program inside straight into the file: neither an answer nor a list of processes sees it.
fn pack(
    host: &dyn Host,
    path: &str,
    about: &About,
    most: u64,
    limit: Duration,
    journal: &mut Journal,
) -> Result<()> {
    let copy = journal
        .copy
        .clone()
        .context("packing: nothing was copied before")?;
    let part = format!("{path}.part");
    journal.part = Some(part.clone());
    let described = serde_json::to_string(about)?;
    let packing = ourselves(host, &[PACK, &copy, &described])?.save(&part, most);
    let output = host.run(&packing.within(limit))?;
    let output = output.succeed(&host.place(), "packing the backup")?;
    let saved = output.saved.context("packing the backup: nothing has come")?;

    let checked = check(host, &part, limit)?;
    ensure!(
        checked.sha256 == saved.sha256 && checked.manifest.about == *about,
        "{}: {part} is not what the container has sent: is the disk sound?",
        host.outside().place()
    );
    settle(host.outside(), &part, path)?;
    journal.part = None;
    journal.path = Some(path.to_owned());
    journal.checked = Some(checked);
    Ok(())
}

/// Under its own name only now, and on disk with it. One of that name is never replaced.
fn settle(outside: &dyn Host, part: &str, path: &str) -> Result<()> {
    let name = "[ ! -e \"$2\" ] && mv -- \"$1\" \"$2\" && sync -- \"${2%/*}\"";
    let doing = format!("naming the backup {path}");
    script(outside, &doing, name, &[part, path], Command::USUAL_LIMIT).map(|_| ())
}

/// After a failure: what is whole, and that nothing unfinished is left, or where.
pub(crate) fn give_up(host: &dyn Host, journal: &mut Journal) -> Option<String> {
    let (work, part) = (journal.work.take(), journal.part.take());
    let begun = work.is_some() || part.is_some();
    let removed = [
        remove(host, work.as_slice()),
        remove(host.outside(), part.as_slice()),
    ];
    let faults: Vec<String> = removed
        .into_iter()
        .filter_map(|removed| removed.err().map(|error| format!("{error:#}")))
        .collect();
    let whole = journal
        .path
        .as_ref()
        .map(|path| format!("The backup itself is complete: {path}"));
    if !faults.is_empty() {
        let left = faults.join("; ");
        let whole = whole.map_or_else(String::new, |whole| format!("{whole}. "));
        return Some(format!(
            "{whole}Something is left behind, and is removed by the next run: {left}"
        ));
    }
    let nothing = "Nothing of the unfinished backup is left, and no older one was removed".to_owned();
    whole.or_else(|| begun.then_some(nothing))
}
