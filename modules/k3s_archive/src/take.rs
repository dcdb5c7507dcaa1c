//! Taking the steps.

use crate::params::SNAPSHOT;
use crate::{Journal, Step, check, in_place};
use anyhow::{Context, Result, ensure};
use host::{Command, Host, Output, ourselves, run_ourselves};
use server_archive::{
    About, CHECK_SNAPSHOT, COPY_SQLITE, PACK, Paths, Verified, count, save_snapshot, save_snapshot_in_place,
};
use std::time::Duration;

/// Counting the objects asks the API for all of them; a backup does not wait longer for what is only reported.
const COUNTING: Duration = Duration::from_mins(2);

pub(crate) fn apply(host: &dyn Host, step: &Step, limit: Duration, journal: &mut Journal) -> Result<()> {
    match step {
        Step::Sweep { inside, outside } => {
            remove(host, inside)?;
            remove(host.outside(), outside)
        }
        Step::MakeFolder { folder } => {
            let make = "umask 077; mkdir -p -m 0700 -- \"$1\"";
            script(host.outside(), "making the folder for backups", make, &[folder])
        }
        Step::CopySqlite { source, folder } => copy_sqlite(host, source, folder, limit, journal),
        Step::SaveSnapshot { at, folder } => {
            make_work(host, folder, journal)?;
            let path = save_snapshot(host, at, SNAPSHOT, folder, limit)?;
            check_snapshot(host, path, limit, journal)
        }
        Step::Pack {
            path,
            about,
            files,
            binary,
            most,
        } => {
            let about = counted(host, about, binary);
            let packed = Packed {
                about: &about,
                files,
                most: *most,
            };
            pack(host, path, &packed, limit, journal)
        }
        Step::Tidy => {
            remove(host, journal.work.as_slice())?;
            journal.work = None;
            Ok(())
        }
        Step::CopyToken { source, folder } => {
            let copy = "umask 077; cp -- \"$1\" \"$2/token\" && chmod 600 \"$2/token\" && sync";
            script(host, "copying the server's token", copy, &[source, folder])
        }
        Step::Name { unfinished, folder } => name_copy(host, unfinished, folder, journal),
        Step::SaveInPlace { name, at } => save_in_place(host, at, name, limit, journal),
        Step::Remove { path, inside } => {
            let there = if *inside { host } else { host.outside() };
            remove(there, std::slice::from_ref(path))?;
            journal.removed.push(path.clone());
            Ok(())
        }
        Step::Delete { snapshot, at } => {
            in_place::delete(host, at, snapshot)?;
            journal.removed.push(snapshot.clone());
            Ok(())
        }
    }
}

fn copy_sqlite(
    host: &dyn Host,
    source: &str,
    folder: &str,
    limit: Duration,
    journal: &mut Journal,
) -> Result<()> {
    make_work(host, folder, journal)?;
    let target = format!("{folder}/state.db");
    let output = run_ourselves(host, &[COPY_SQLITE, source, &target], limit)?;
    note(host, output, "copying the SQLite datastore", target, journal)
}

fn name_copy(host: &dyn Host, unfinished: &str, folder: &str, journal: &mut Journal) -> Result<()> {
    name(host, unfinished, folder)?;
    journal.work = None;
    let file = journal
        .copy
        .as_ref()
        .and_then(|copy| copy.strip_prefix(unfinished));
    journal.path = file.map(|file| format!("{folder}{file}"));
    Ok(())
}

fn save_in_place(
    host: &dyn Host,
    at: &Paths,
    name: &str,
    limit: Duration,
    journal: &mut Journal,
) -> Result<()> {
    let path = save_snapshot_in_place(host, at, name, limit)?;
    check_snapshot(host, path.clone(), limit, journal)?;
    journal.path = Some(path.clone());
    in_place::see(host, at, &path)?;
    journal.listed = Some(true);
    Ok(())
}

/// With what the API has. A backup is made without an answer too.
fn counted(host: &dyn Host, about: &About, binary: &str) -> About {
    let counted = count(host, binary, COUNTING).ok().flatten();
    let (objects, nodes) = counted.unwrap_or_default();
    About {
        objects,
        nodes,
        ..about.clone()
    }
}

fn script(host: &dyn Host, doing: &str, text: &str, arguments: &[&str]) -> Result<()> {
    let argv = ["/bin/sh", "-c", text, "sh"]
        .into_iter()
        .chain(arguments.iter().copied());
    let output = host.run(&Command::new(argv))?;
    output.succeed(&host.location(), doing).map(|_| ())
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
        .succeed(&host.location(), &format!("removing {}", paths.join(", ")))
        .map(|_| ())
}

/// A new folder for the copy. It is noted, so that a failure removes it or names it.
fn make_work(host: &dyn Host, folder: &str, journal: &mut Journal) -> Result<()> {
    let make = "umask 077; mkdir -p -- \"${1%/*}\" && mkdir -- \"$1\"";
    script(host, "making a folder for the copy", make, &[folder])?;
    journal.work = Some(folder.to_owned());
    Ok(())
}

fn check_snapshot(host: &dyn Host, path: String, limit: Duration, journal: &mut Journal) -> Result<()> {
    let output = run_ourselves(host, &[CHECK_SNAPSHOT, &path], limit)?;
    note(host, output, "checking the etcd snapshot", path, journal)
}

/// A copy that was made, as the one who made or checked it measured it.
fn note(host: &dyn Host, output: Output, doing: &str, copy: String, journal: &mut Journal) -> Result<()> {
    let output = output.succeed(&host.location(), doing)?;
    let verified: Verified = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{}: {doing}: reading its size and SHA-256", host.location()))?;
    journal.verified = Some(verified);
    journal.copy = Some(copy);
    Ok(())
}

struct Packed<'a> {
    about: &'a About,
    /// The files of the machine that its settings name.
    files: &'a [String],
    most: u64,
}

/// The archive passes from the program inside straight into the file: neither an answer nor a list of processes sees it.
fn pack(host: &dyn Host, path: &str, packed: &Packed, limit: Duration, journal: &mut Journal) -> Result<()> {
    let Packed { about, files, most } = *packed;
    let copy = journal
        .copy
        .clone()
        .context("packing: nothing was copied before")?;
    let part = format!("{path}.part");
    journal.part = Some(part.clone());
    let described = serde_json::to_string(about)?;
    let files = serde_json::to_string(files)?;
    let packing = ourselves(host, &[PACK, &copy, &described, &files])?.save(&part, most);
    let output = host.run(&packing.within(limit))?;
    let output = output.succeed(&host.location(), "packing the backup")?;
    let saved = output.saved.context("packing the backup: nothing has come")?;

    let checked = check(host, &part, limit)?;
    ensure!(
        checked.sha256 == saved.sha256 && checked.manifest.about == *about,
        "{}: {part} is not what the container has sent: is the disk sound?",
        host.outside().location()
    );
    name(host.outside(), &part, path)?;
    journal.part = None;
    journal.path = Some(path.to_owned());
    journal.checked = Some(checked);
    Ok(())
}

/// Under its own name only now, and on disk with it. One of that name is never replaced.
fn name(host: &dyn Host, unfinished: &str, path: &str) -> Result<()> {
    let name = "[ ! -e \"$2\" ] && mv -- \"$1\" \"$2\" && { sync -- \"${2%/*}\" 2>/dev/null || sync; }";
    script(
        host,
        &format!("naming the backup {path}"),
        name,
        &[unfinished, path],
    )
}

/// After a failure: what is complete, and that nothing unfinished is left, or where.
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
    let complete = journal
        .path
        .as_ref()
        .map(|path| format!("The backup itself is complete: {path}"));
    if !faults.is_empty() {
        let left = faults.join("; ");
        let complete = complete.map_or_else(String::new, |complete| format!("{complete}. "));
        return Some(format!(
            "{complete}Something is left behind, and is removed by the next run: {left}"
        ));
    }
    let nothing = "Nothing of the unfinished backup is left, and no older one was removed".to_owned();
    complete.or_else(|| begun.then_some(nothing))
}
