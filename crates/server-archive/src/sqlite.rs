//! A consistent copy of a `SQLite` database that somebody is writing to. `cp` of the live file misses what is
//! still in the write-ahead log, or takes half of it; the library's own backup interface does neither.
//!
//! The copy has its name only once it is complete, checked and on disk: until then it is `DST.part`.

use crate::Verified;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

/// How long another process may hold the database. A writer of k3s holds it for milliseconds, its
/// compaction for a few seconds.
const BUSY_LIMIT: Duration = Duration::from_secs(30);
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Copies the database `source` to the new file `target`, mode 0600, checked by `PRAGMA integrity_check`.
pub fn backup(source: &Path, target: &Path) -> anyhow::Result<Verified> {
    backup_within(source, target, BUSY_LIMIT)
}

/// As [`backup`], waiting no longer than `limit` for a database that others hold.
pub fn backup_within(source: &Path, target: &Path, limit: Duration) -> anyhow::Result<Verified> {
    ensure!(
        target.symlink_metadata().is_err(),
        "copying {} to {}: the target exists already, and a backup is never overwritten",
        source.display(),
        target.display()
    );
    let part = with_suffix(target, ".part");
    // Held to the end: the lock distinguishes a copy in the making from what a killed one left.
    let file = claim(&part)?;
    let copied = copy(source, &part, limit)
        .and_then(|()| measure(&file, &part))
        .and_then(|copied| publish(&part, target).map(|()| copied));
    remove_if_there(&part)?;
    copied
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// An empty file that is ours alone; a leftover of a killed run is emptied and used again.
fn claim(part: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(part)
        .with_context(|| format!("creating {}", part.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("creating {}: another backup is writing it", part.display()),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("locking {}", part.display()));
        }
    }
    file.set_len(0)
        .with_context(|| format!("emptying {}", part.display()))?;
    Ok(file)
}

fn copy(source: &Path, part: &Path, limit: Duration) -> anyhow::Result<()> {
    // Read-only: even as the last one to close it, we must not fold the log into the live file.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let from = Connection::open_with_flags(source, flags)
        .with_context(|| format!("opening the database {}", source.display()))?;
    from.busy_timeout(BUSY_PAUSE)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut to = Connection::open_with_flags(part, flags)
        .with_context(|| format!("opening the copy {}", part.display()))?;
    run(&from, &mut to, limit)
        .with_context(|| format!("copying {} to {}", source.display(), part.display()))?;
    check(&to).with_context(|| format!("checking the copy of {}", source.display()))?;
    to.close()
        .map_err(|(_, error)| error)
        .with_context(|| format!("closing the copy {}", part.display()))
}

/// All pages in one step, hence of one moment: in steps, every foreign write would start it over.
fn run(from: &Connection, to: &mut Connection, limit: Duration) -> anyhow::Result<()> {
    let copying = Backup::new(from, to)?;
    let start = Instant::now();
    loop {
        match copying.step(-1)? {
            // An empty file is a valid database, and no backup of anything.
            StepResult::Done if copying.progress().pagecount == 0 => {
                bail!("it is empty: nothing was ever written to it")
            }
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked if start.elapsed() >= limit => {
                bail!("another process held the database for {limit:?}; try again when it is quieter")
            }
            _ => thread::sleep(BUSY_PAUSE),
        }
    }
}

fn check(copy: &Connection) -> anyhow::Result<()> {
    let verdict: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    ensure!(verdict == "ok", "the integrity check says: {verdict}");
    Ok(())
}

fn measure(mut file: &File, part: &Path) -> anyhow::Result<Verified> {
    file.sync_all()
        .with_context(|| format!("writing {} to disk", part.display()))?;
    let mut hasher = Sha256::new();
    let bytes = io::copy(&mut file, &mut hasher).with_context(|| format!("reading {}", part.display()))?;
    Ok(Verified {
        bytes,
        sha256: format!("{:x}", hasher.finalize()),
    })
}

/// Sets the copy's name; a link, unlike a rename, fails if somebody else took it meanwhile.
fn publish(part: &Path, target: &Path) -> anyhow::Result<()> {
    fs::hard_link(part, target).with_context(|| format!("naming the copy {}", target.display()))?;
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("writing the folder {} to disk", folder.display()))
}

/// With the journals beside it, which only a failed copy leaves.
fn remove_if_there(part: &Path) -> anyhow::Result<()> {
    for suffix in ["-journal", "-wal", "-shm", ""] {
        let path = with_suffix(part, suffix);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
