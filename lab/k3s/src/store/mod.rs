//! Where a cluster's objects live: a map from key to JSON with one revision counter, as etcd sees the
//! world. A backend has no idea of Kubernetes; `registry` keeps the copy that the API is served from.
//!
//! What a backend promises:
//! - There is one counter for all of the store. Each successful write takes the next number, and that number
//!   is the key's revision from then on (etcd's `mod_revision`, SQLite's row id). It never goes back.
//! - `revision` is answered only with the consent of the quorum: the API asks it before each read.
//! - `watch` delivers every change after the given revision, in order, this server's own ones among them.

pub mod etcd;
pub mod sqlite;

use serde_json::Value;
use std::fmt;
use std::pin::Pin;
use tokio::sync::mpsc::UnboundedReceiver;

/// The counter of the store. No key has revision 0, so it stands for "does not exist".
pub type Revision = u64;

/// Boxed, so that the store can be chosen at run time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub value: Value,
    pub revision: Revision,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Put(Entry),
    Delete { key: String, revision: Revision },
}

#[derive(Clone, Debug, PartialEq)]
pub enum StoreError {
    /// The key's revision is not the expected one: somebody else wrote first.
    Conflict,
    /// The datastore did not answer. The text goes to the client unchanged (`etcdserver: request timed out`).
    Unavailable(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("the key has another revision than expected"),
            Self::Unavailable(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StoreError {}

pub trait Store: Send + Sync + 'static {
    /// The newest revision.
    fn revision(&self) -> Answer<'_, Revision>;

    /// All entries whose key begins with `prefix`, and the revision at which this was true.
    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, (Vec<Entry>, Revision)>;

    /// Writes if the key's revision is still `expected` (0: the key must not exist). Returns the new revision.
    fn put<'a>(&'a self, key: &'a str, value: &'a Value, expected: Revision) -> Answer<'a, Revision>;

    /// Removes the key if its revision is still `expected`. Returns the revision of the removal.
    fn delete<'a>(&'a self, key: &'a str, expected: Revision) -> Answer<'a, Revision>;

    /// Every change after `after`; one of a key that is not the API's shows as the removal of an unknown key, for
    /// the counter's sake. The channel closes when the backend lost the thread (compaction, broken
    /// connection): the reader then lists and watches again.
    fn watch(&self, after: Revision) -> UnboundedReceiver<Change>;
}

impl Change {
    pub fn revision(&self) -> Revision {
        match self {
            Self::Put(entry) => entry.revision,
            Self::Delete { revision, .. } => *revision,
        }
    }
}

/// A single server's datastore.
pub fn open(folder: &std::path::Path) -> anyhow::Result<std::sync::Arc<dyn Store>> {
    Ok(std::sync::Arc::new(sqlite::SqliteStore::open(
        &folder.join("state.db"),
    )?))
}

/// That of a server with embedded etcd.
pub fn open_etcd(server_dir: &std::path::Path) -> anyhow::Result<std::sync::Arc<dyn Store>> {
    let client = crate::etcd::own_client(server_dir)?;
    Ok(std::sync::Arc::new(etcd::EtcdStore::new(client)))
}
