//! k3s's `SQLite` database as kine has it: every change of a key is a row, and the last row of a key is what it is.

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OpenFlags, Row, Statement};
use std::path::Path;
use std::time::Duration;

/// k3s holds the database for milliseconds, its compaction for a few seconds.
const BUSY_LIMIT: Duration = Duration::from_secs(30);

/// The objects of the API server, which alone are moved to etcd: k3s writes what else it keeps there anew. kine's
/// own query for a list at the newest revision, without its limit.
const LIVE: &str = "FROM kine WHERE deleted = 0 AND id IN
    (SELECT max(id) FROM kine WHERE name >= '/registry/' AND name < '/registry0' GROUP BY name)";

const READ: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

pub(crate) struct Kine {
    database: Connection,
}

/// One object.
pub(crate) struct Object {
    pub key: String,
    /// It would have gone by itself: an Event, or who serves the API.
    pub expires: bool,
    pub value: Vec<u8>,
}

impl Kine {
    /// One that may be in use. Reads only: even as the last one to close it, nobody of ours must fold the log into it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let database = Connection::open_with_flags(path, READ)
            .and_then(|database| database.busy_timeout(BUSY_LIMIT).map(|()| database))
            .with_context(|| format!("opening the database {}", path.display()))?;
        Ok(Self { database })
    }

    /// A copy, which nobody writes to. `SQLite` then keeps no index of a log beside it.
    pub(super) fn open_copy(path: &Path) -> Result<Self> {
        let name = path.to_string_lossy();
        let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let uri = format!("file:{name}?immutable=1");
        let database = Connection::open_with_flags(uri, READ | OpenFlags::SQLITE_OPEN_URI)
            .with_context(|| format!("opening the copy {}", path.display()))?;
        Ok(Self { database })
    }

    pub(super) fn check(&self) -> Result<()> {
        let verdict: String = self
            .database
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .context("having SQLite check the database")?;
        ensure!(verdict == "ok", "SQLite's integrity check says: {verdict}");
        Ok(())
    }

    pub(super) fn objects(&self) -> Result<u64> {
        let count: i64 = self
            .database
            .query_row(&format!("SELECT count(*) {LIVE}"), [], |row| row.get(0))
            .context("counting the objects in the database")?;
        Ok(count.unsigned_abs())
    }

    /// All objects in the order of their keys, byte by byte, as etcd has them.
    pub(super) fn ordered(&self) -> Result<Statement<'_>> {
        self.database
            .prepare(&format!("SELECT name, lease, value {LIVE} ORDER BY name"))
            .context("reading the objects in the database")
    }
}

impl Object {
    pub(super) fn of(row: &Row) -> rusqlite::Result<Self> {
        let lease: Option<i64> = row.get(1)?;
        let value: Option<Vec<u8>> = row.get(2)?;
        Ok(Self {
            key: row.get(0)?,
            expires: lease.is_some_and(|seconds| seconds > 0),
            value: value.unwrap_or_default(),
        })
    }
}
