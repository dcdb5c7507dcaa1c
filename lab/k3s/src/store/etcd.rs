//! The store in embedded etcd. Its revisions are ours, and so are its transactions and watches.

use super::{Answer, Change, Entry, Revision, Store, StoreError};
use crate::log;
use etcd_api::{Client, Error, Event, EventType, KeyValue};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const ALL: &str = "/registry/";
const EVERYTHING: &str = "";

pub struct EtcdStore {
    client: Client,
}

impl EtcdStore {
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

/// etcd counts with a sign, and never below nought.
fn revision(signed: i64) -> Revision {
    signed.unsigned_abs()
}

fn signed(revision: Revision) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn unavailable(error: Error) -> StoreError {
    match error {
        Error::TimedOut(_) => StoreError::Unavailable("etcdserver: request timed out".to_owned()),
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn entry(pair: &KeyValue) -> Option<Entry> {
    let key = String::from_utf8(pair.key.clone()).ok()?;
    let value = serde_json::from_slice(&pair.value).ok()?;
    Some(Entry {
        key,
        value,
        revision: revision(pair.mod_revision),
    })
}

/// A key that is none of ours moves the counter all the same: it shows as the removal of something unknown.
fn change(event: &Event) -> Option<Change> {
    let pair = event.kv.as_ref()?;
    let gone = event.r#type() == EventType::Delete;
    let written = entry(pair).filter(|entry| !gone && entry.key.starts_with(ALL));
    Some(written.map_or_else(|| removal(pair), Change::Put))
}

fn removal(pair: &KeyValue) -> Change {
    Change::Delete {
        key: String::from_utf8_lossy(&pair.key).into_owned(),
        revision: revision(pair.mod_revision),
    }
}

impl Store for EtcdStore {
    fn revision(&self) -> Answer<'_, Revision> {
        Box::pin(async { self.client.revision().await.map(revision).map_err(unavailable) })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, (Vec<Entry>, Revision)> {
        Box::pin(async move {
            let listing = self.client.list(prefix).await.map_err(unavailable)?;
            let entries = listing.entries.iter().filter_map(entry).collect();
            Ok((entries, revision(listing.revision)))
        })
    }

    fn put<'a>(&'a self, key: &'a str, value: &'a Value, expected: Revision) -> Answer<'a, Revision> {
        Box::pin(async move {
            let put = self
                .client
                .put_if(key, value.to_string(), signed(expected))
                .await
                .map_err(unavailable)?;
            put.map(revision).ok_or(StoreError::Conflict)
        })
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Revision) -> Answer<'a, Revision> {
        Box::pin(async move {
            let deleted = self
                .client
                .delete_if(key, signed(expected))
                .await
                .map_err(unavailable)?;
            deleted.map(revision).ok_or(StoreError::Conflict)
        })
    }

    fn watch(&self, after: Revision) -> UnboundedReceiver<Change> {
        let (sender, receiver) = unbounded_channel();
        let client = self.client.clone();
        tokio::spawn(async move {
            if let Err(error) = forward(&client, after, &sender).await {
                log::warn(&format!("Watching etcd: {error}"));
            }
        });
        receiver
    }
}

/// Ends when nobody listens any more; dropping the sender makes the reader list again.
async fn forward(client: &Client, after: Revision, sender: &UnboundedSender<Change>) -> Result<(), Error> {
    let mut watcher = client.watch(EVERYTHING, signed(after + 1)).await?;
    loop {
        for change in watcher.next().await?.iter().filter_map(change) {
            if sender.send(change).is_err() {
                return Ok(());
            }
        }
    }
}
