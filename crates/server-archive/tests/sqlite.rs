//! Copies of real databases, with a writer at work in another process.

// The tests are the outside world.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use server_archive::sqlite::{backup, backup_within};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const WRITER: &str = "SERVER_ARCHIVE_TEST_WRITER";

fn open(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.busy_timeout(Duration::from_secs(30)).unwrap();
    db
}

fn make(path: &Path, journal: &str) -> Connection {
    let db = open(path);
    db.pragma_update(None, "journal_mode", journal).unwrap();
    db.execute_batch("CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER, pad BLOB)")
        .unwrap();
    for id in 0..200 {
        db.execute("INSERT INTO account VALUES (?1, 100, zeroblob(4000))", [id])
            .unwrap();
    }
    db
}

fn total(path: &Path) -> (i64, i64) {
    open(path)
        .query_row("SELECT count(*), sum(amount) FROM account", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// This test program again, as a second process that moves amounts about until it is killed.
fn start_writer(path: &Path) -> Writer {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer_process", "--nocapture"])
        .env(WRITER, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    out.lines()
        .find(|line| line.as_ref().unwrap().contains("writing"))
        .unwrap()
        .unwrap();
    Writer(child)
}

/// Nothing on its own; the body of the second process when the variable is there.
#[test]
fn writer_process() {
    let Some(path) = std::env::var_os(WRITER) else {
        return;
    };
    let mut db = open(Path::new(&path));
    let mut said = false;
    for round in 0_i64.. {
        let tx = db.transaction().unwrap();
        for step in 0..20 {
            let (from, to) = ((round * 7 + step) % 200, (round * 13 + step * 3 + 1) % 200);
            tx.execute(
                "UPDATE account SET amount = amount - 1, pad = randomblob(4000) WHERE id = ?1",
                [from],
            )
            .unwrap();
            tx.execute(
                "UPDATE account SET amount = amount + 1, pad = randomblob(4000) WHERE id = ?1",
                [to],
            )
            .unwrap();
        }
        tx.commit().unwrap();
        if !said {
            println!("writing");
            said = true;
        }
    }
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let source = folder.path().join("state.db");
    (folder, source)
}

#[test]
fn copies_consistently_while_another_process_writes() {
    let (folder, source) = folder();
    drop(make(&source, "wal"));
    let writer = start_writer(&source);
    let mut sums = Vec::new();
    for round in 0..10 {
        let target = folder.path().join(format!("copy-{round}"));
        let copied = backup(&source, &target).unwrap();
        assert_eq!(copied.bytes, fs::metadata(&target).unwrap().len());
        sums.push(copied.sha256);
    }
    drop(writer);
    for round in 0..10 {
        // Every transfer is a transaction: a torn copy would not add up.
        assert_eq!(total(&folder.path().join(format!("copy-{round}"))), (200, 20_000));
    }
    sums.sort();
    sums.dedup();
    assert!(sums.len() > 1, "the writer wrote nothing meanwhile");
}

#[test]
fn copies_what_is_only_in_the_log_and_leaves_the_source_unchanged() {
    let (folder, source) = folder();
    let db = make(&source, "wal");
    db.pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    db.execute("UPDATE account SET amount = 5 WHERE id = 0", [])
        .unwrap();
    let log = folder.path().join("state.db-wal");
    let before = (fs::read(&source).unwrap(), fs::read(&log).unwrap());
    let target = folder.path().join("copy");
    backup(&source, &target).unwrap();
    assert_eq!(total(&target), (200, 199 * 100 + 5));
    assert_eq!((fs::read(&source).unwrap(), fs::read(&log).unwrap()), before);
}

/// k3s was killed: nobody has the database open, and the log still holds the last writes.
#[test]
fn the_log_of_a_dead_writer_is_copied_and_stays() {
    let (folder, source) = folder();
    let db = make(&source, "wal");
    drop(db);
    drop(start_writer(&source));
    let log = folder.path().join("state.db-wal");
    let before = (fs::read(&source).unwrap(), fs::read(&log).unwrap());
    assert!(!before.1.is_empty());
    backup(&source, &folder.path().join("copy")).unwrap();
    assert_eq!((fs::read(&source).unwrap(), fs::read(&log).unwrap()), before);
    assert_eq!(total(&folder.path().join("copy")), (200, 20_000));
}

#[test]
fn the_copy_is_one_private_file_of_the_size_and_sum_that_are_returned() {
    let (folder, source) = folder();
    let _db = make(&source, "wal");
    let target = folder.path().join("copy");
    let copied = backup(&source, &target).unwrap();
    let copy = fs::read(&target).unwrap();
    assert_eq!(copied.bytes, copy.len() as u64);
    assert_eq!(copied.sha256, format!("{:x}", Sha256::digest(&copy)));
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        names(folder.path()),
        ["copy", "state.db", "state.db-shm", "state.db-wal"]
    );
}

fn refused(source: &Path, target: &Path) -> String {
    format!("{:#}", backup(source, target).unwrap_err())
}

#[test]
fn what_cannot_be_copied_is_said_and_leaves_nothing() {
    let (folder, source) = folder();
    let target = folder.path().join("copy");
    assert!(refused(&source, &target).contains("opening the database"));
    fs::write(
        &source,
        "not a database, but long enough to be taken for one: ".repeat(100),
    )
    .unwrap();
    assert!(refused(&source, &target).contains("file is not a database"));
    fs::write(&source, "").unwrap();
    assert!(refused(&source, &target).contains("nothing was ever written"));
    assert_eq!(names(folder.path()), ["state.db"]);
    let missing = folder.path().join("no-such-folder/copy");
    assert!(refused(&source, &missing).contains("creating"));
}

#[test]
fn a_damaged_database_fails_the_integrity_check() {
    let (folder, source) = folder();
    drop(make(&source, "delete"));
    let mut bytes = fs::read(&source).unwrap();
    // The second page is the table's root: its type byte becomes nonsense.
    let half = bytes.len() / 2;
    bytes[4096..4196].fill(0xee);
    bytes[half..half + 50].fill(0xee);
    fs::write(&source, bytes).unwrap();
    let said = refused(&source, &folder.path().join("copy"));
    assert!(said.contains("checking the copy"), "{said}");
    assert_eq!(names(folder.path()), ["state.db"]);
}

#[test]
fn an_existing_target_is_never_touched() {
    let (folder, source) = folder();
    drop(make(&source, "wal"));
    let target = folder.path().join("copy");
    fs::write(&target, "yesterday's").unwrap();
    assert!(refused(&source, &target).contains("never overwritten"));
    assert_eq!(fs::read_to_string(&target).unwrap(), "yesterday's");
    // A dangling link is a name that is taken, too.
    std::os::unix::fs::symlink("/nonexistent", folder.path().join("link")).unwrap();
    assert!(refused(&source, &folder.path().join("link")).contains("never overwritten"));
}

#[test]
fn the_rest_of_a_killed_run_is_used_again_but_not_a_living_one() {
    let (folder, source) = folder();
    drop(make(&source, "wal"));
    let target = folder.path().join("copy");
    let part = folder.path().join("copy.part");
    fs::write(&part, "half a copy").unwrap();
    let held = fs::File::open(&part).unwrap();
    held.try_lock().unwrap();
    assert!(refused(&source, &target).contains("another backup is writing it"));
    assert_eq!(fs::read_to_string(&part).unwrap(), "half a copy");
    drop(held);
    backup(&source, &target).unwrap();
    assert_eq!(total(&target), (200, 20_000));
    assert!(!part.exists());
}

#[test]
fn a_database_held_by_others_is_waited_for_and_then_given_up() {
    let (folder, source) = folder();
    let db = make(&source, "delete");
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let target = folder.path().join("copy");
    let error = backup_within(&source, &target, Duration::from_millis(200)).unwrap_err();
    assert!(
        format!("{error:#}").contains("another process held the database"),
        "{error:#}"
    );
    assert_eq!(names(folder.path()), ["state.db"]);
    db.execute_batch("COMMIT").unwrap();
    backup_within(&source, &target, Duration::from_millis(200)).unwrap();
}
