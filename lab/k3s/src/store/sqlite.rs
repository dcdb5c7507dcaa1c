//! The store of a single server: `state.db`, with a table in the shape of kine's, so that the file is what an
//! operator's backup would meet. Every change is a row; the row's number is the revision.

use super::{Answer, Change, Entry, Revision, Store, StoreError};
use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde_json::Value;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Rows that later ones replaced are thrown away this far behind the newest revision, as kine does.
const REMEMBERED: i64 = 1000;
/// kine's own row: up to where history was thrown away stands in its `prev_revision`.
const COMPACTED: &str = "compact_rev_key";
/// Nobody but a backup reads the file beside us, and that does not stop writers.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS kine (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT,
        created INTEGER,
        deleted INTEGER,
        create_revision INTEGER,
        prev_revision INTEGER,
        lease INTEGER,
        value BLOB,
        old_value BLOB
    );
    CREATE INDEX IF NOT EXISTS kine_name_id_index ON kine (name, id);
    CREATE UNIQUE INDEX IF NOT EXISTS kine_name_prev_revision_uindex ON kine (name, prev_revision);";

pub struct SqliteStore {
    inner: Mutex<Inner>,
}

struct Inner {
    db: Connection,
    watchers: Vec<UnboundedSender<Change>>,
}

/// The newest row of a key.
#[derive(Default)]
struct Latest {
    id: i64,
    deleted: bool,
    create_revision: i64,
    value: Option<Vec<u8>>,
}

impl SqliteStore {
    pub fn open(path: &Path) -> Result<Self> {
        let db = prepare(path).with_context(|| format!("opening the datastore {}", path.display()))?;
        let inner = Inner {
            db,
            watchers: Vec::new(),
        };
        Ok(Self {
            inner: Mutex::new(inner),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prepare(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY_LIMIT)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    // Consistent after a kill at any moment; only a power cut could lose the last writes.
    db.pragma_update(None, "synchronous", "normal")?;
    db.execute_batch(SCHEMA)?;
    db.execute(
        "INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease, value, old_value)
         SELECT ?1, 1, 0, 0, 0, 0, x'', NULL WHERE NOT EXISTS (SELECT 1 FROM kine WHERE name = ?1)",
        [COMPACTED],
    )?;
    Ok(db)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Row numbers begin at 1 and never come near the end of either type.
fn revision(id: i64) -> Revision {
    id.unsigned_abs()
}

fn parsed(key: &str, value: Option<&[u8]>) -> Result<Value, StoreError> {
    serde_json::from_slice(value.unwrap_or_default())
        .map_err(|error| StoreError::Unavailable(format!("reading {key} from the datastore: {error}")))
}

impl Inner {
    fn revision(&self) -> rusqlite::Result<i64> {
        self.db
            .query_row("SELECT max(id) FROM kine", [], |row| row.get(0))
    }

    fn compacted(&self) -> rusqlite::Result<i64> {
        self.db.query_row(
            "SELECT prev_revision FROM kine WHERE name = ?1",
            [COMPACTED],
            |row| row.get(0),
        )
    }

    fn list(&self, prefix: &str) -> Result<(Vec<Entry>, Revision), StoreError> {
        let mut query = self.db.prepare_cached(
            "SELECT name, id, value FROM kine WHERE deleted = 0 AND name <> ?2 AND id IN
             (SELECT max(id) FROM kine WHERE name >= ?1 AND substr(name, 1, length(?1)) = ?1 GROUP BY name)
             ORDER BY name",
        )?;
        let entries = query
            .query_and_then(params![prefix, COMPACTED], entry)?
            .collect::<Result<_, _>>()?;
        Ok((entries, revision(self.revision()?)))
    }

    /// One row more, if the key's newest is still the expected one; a deletion repeats the last value.
    fn write(
        &mut self,
        key: &str,
        value: Option<&Value>,
        expected: Revision,
    ) -> Result<Revision, StoreError> {
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let latest = latest(&tx, key)?;
        let current = if latest.deleted { 0 } else { revision(latest.id) };
        // Nothing can be removed that is not there.
        if current != expected || (value.is_none() && current == 0) {
            return Err(StoreError::Conflict);
        }
        let created = current == 0;
        let create_revision = if created { 0 } else { latest.create_revision };
        let new = value.map_or_else(
            || latest.value.clone(),
            |value| Some(value.to_string().into_bytes()),
        );
        tx.prepare_cached(
            "INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease, value, old_value)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
        )?
        .execute(params![key, created, value.is_none(), create_revision, latest.id, new, latest.value])?;
        let id = tx.last_insert_rowid();
        tx.commit()?;
        self.notify(&changed(key, value, id));
        if id % REMEMBERED == 0 {
            self.compact(id - REMEMBERED)?;
        }
        Ok(revision(id))
    }

    fn notify(&mut self, change: &Change) {
        self.watchers
            .retain(|watcher| watcher.send(change.clone()).is_ok());
    }

    fn compact(&mut self, until: i64) -> rusqlite::Result<()> {
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute(
            "DELETE FROM kine WHERE id <= ?1 AND name <> ?2
             AND (deleted = 1 OR EXISTS (SELECT 1 FROM kine later WHERE later.name = kine.name AND later.id > kine.id))",
            params![until, COMPACTED],
        )?;
        tx.execute(
            "UPDATE kine SET prev_revision = ?1 WHERE name = ?2",
            params![until, COMPACTED],
        )?;
        tx.commit()
    }

    fn watch(&mut self, after: Revision) -> Result<UnboundedReceiver<Change>, StoreError> {
        let (sender, receiver) = unbounded_channel();
        if after < revision(self.compacted()?) {
            return Ok(receiver);
        }
        let mut query = self.db.prepare_cached(
            "SELECT name, id, value, deleted FROM kine WHERE id > ?1 AND name <> ?2 ORDER BY id",
        )?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let past = query.query_and_then(params![after, COMPACTED], change)?;
        for change in past {
            // The receiver is still ours: it cannot be gone.
            let _ = sender.send(change?);
        }
        drop(query);
        self.watchers.push(sender);
        Ok(receiver)
    }
}

fn latest(db: &Connection, key: &str) -> rusqlite::Result<Latest> {
    let found = db
        .prepare_cached(
            "SELECT id, deleted, create_revision, value FROM kine WHERE name = ?1 ORDER BY id DESC LIMIT 1",
        )?
        .query_row([key], |row| {
            let id = row.get(0)?;
            // A key's first row says 0 for itself.
            let create_revision = Some(row.get(2)?).filter(|&first| first != 0).unwrap_or(id);
            Ok(Latest {
                id,
                deleted: row.get(1)?,
                create_revision,
                value: row.get(3)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

fn entry(row: &Row<'_>) -> Result<Entry, StoreError> {
    let key: String = row.get(0)?;
    let value: Option<Vec<u8>> = row.get(2)?;
    Ok(Entry {
        value: parsed(&key, value.as_deref())?,
        key,
        revision: revision(row.get(1)?),
    })
}

fn change(row: &Row<'_>) -> Result<Change, StoreError> {
    if row.get(3)? {
        return Ok(Change::Delete {
            key: row.get(0)?,
            revision: revision(row.get(1)?),
        });
    }
    entry(row).map(Change::Put)
}

fn changed(key: &str, value: Option<&Value>, id: i64) -> Change {
    let (key, revision) = (key.to_owned(), revision(id));
    match value {
        Some(value) => Change::Put(Entry {
            key,
            value: value.clone(),
            revision,
        }),
        None => Change::Delete { key, revision },
    }
}

impl Store for SqliteStore {
    fn revision(&self) -> Answer<'_, Revision> {
        let newest = self.lock().revision().map(revision).map_err(StoreError::from);
        Box::pin(async move { newest })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, (Vec<Entry>, Revision)> {
        let listed = self.lock().list(prefix);
        Box::pin(async move { listed })
    }

    fn put<'a>(&'a self, key: &'a str, value: &'a Value, expected: Revision) -> Answer<'a, Revision> {
        let written = self.lock().write(key, Some(value), expected);
        Box::pin(async move { written })
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Revision) -> Answer<'a, Revision> {
        let written = self.lock().write(key, None, expected);
        Box::pin(async move { written })
    }

    fn watch(&self, after: Revision) -> UnboundedReceiver<Change> {
        // A channel whose sender is gone already says that the thread is lost.
        self.lock().watch(after).unwrap_or_else(|_| unbounded_channel().1)
    }
}
