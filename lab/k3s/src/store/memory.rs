//! The store of the tests: a map in memory, and a journal beside it when it should survive a restart.

use super::{Answer, Change, Entry, Revision, Store, StoreError};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A watcher that starts further back than this gets a closed channel and lists again.
const REMEMBERED: usize = 4096;

#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: BTreeMap<String, Entry>,
    revision: Revision,
    past: VecDeque<Change>,
    watchers: Vec<UnboundedSender<Change>>,
    journal: Option<File>,
}

impl MemoryStore {
    /// Reads the journal at `path`, then goes on writing to it.
    pub fn with_journal(path: &Path) -> Result<Self> {
        let mut inner = Inner::default();
        if let Ok(file) = File::open(path) {
            for line in BufReader::new(file).lines() {
                inner.replay(&line.with_context(|| format!("reading {}", path.display()))?);
            }
        }
        let journal = OpenOptions::new().create(true).append(true).open(path);
        inner.journal = Some(journal.with_context(|| format!("opening {}", path.display()))?);
        Ok(Self {
            inner: Mutex::new(inner),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A half-written last line (a killed process) is no JSON and is left out, as a database would do.
    fn replay(&mut self, line: &str) {
        let Ok(record) = serde_json::from_str::<Value>(line) else {
            return;
        };
        let (Some(key), Some(revision)) = (record["key"].as_str(), record["revision"].as_u64()) else {
            return;
        };
        self.revision = revision;
        match record.get("value") {
            Some(value) => {
                let entry = Entry {
                    key: key.to_owned(),
                    value: value.clone(),
                    revision,
                };
                self.entries.insert(key.to_owned(), entry);
            }
            None => {
                self.entries.remove(key);
            }
        }
    }

    fn check(&self, key: &str, expected: Revision) -> Result<(), StoreError> {
        let current = self.entries.get(key).map_or(0, |entry| entry.revision);
        if current == expected {
            Ok(())
        } else {
            Err(StoreError::Conflict)
        }
    }

    fn record(&mut self, change: Change) -> Result<(), StoreError> {
        if let Some(journal) = &mut self.journal {
            let line = match &change {
                Change::Put(e) => json!({"key": e.key, "revision": e.revision, "value": e.value}),
                Change::Delete { key, revision } => json!({"key": key, "revision": revision}),
            };
            writeln!(journal, "{line}")
                .map_err(|e| StoreError::Unavailable(format!("writing the journal: {e}")))?;
        }
        self.watchers
            .retain(|watcher| watcher.send(change.clone()).is_ok());
        self.past.push_back(change);
        if self.past.len() > REMEMBERED {
            self.past.pop_front();
        }
        Ok(())
    }

    fn put(&mut self, key: &str, value: &Value, expected: Revision) -> Result<Revision, StoreError> {
        self.check(key, expected)?;
        self.revision += 1;
        let entry = Entry {
            key: key.to_owned(),
            value: value.clone(),
            revision: self.revision,
        };
        self.entries.insert(key.to_owned(), entry.clone());
        self.record(Change::Put(entry))?;
        Ok(self.revision)
    }

    fn delete(&mut self, key: &str, expected: Revision) -> Result<Revision, StoreError> {
        self.check(key, expected)?;
        self.revision += 1;
        self.entries.remove(key);
        self.record(Change::Delete {
            key: key.to_owned(),
            revision: self.revision,
        })?;
        Ok(self.revision)
    }

    fn watch(&mut self, after: Revision) -> UnboundedReceiver<Change> {
        let (sender, receiver) = unbounded_channel();
        let oldest = self.past.front().map_or(self.revision + 1, Change::revision);
        if after + 1 < oldest {
            return receiver;
        }
        for change in self.past.iter().filter(|change| change.revision() > after) {
            // The receiver is still ours: it cannot be gone.
            let _ = sender.send(change.clone());
        }
        self.watchers.push(sender);
        receiver
    }
}

impl Store for MemoryStore {
    fn revision(&self) -> Answer<'_, Revision> {
        let revision = self.lock().revision;
        Box::pin(async move { Ok(revision) })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, (Vec<Entry>, Revision)> {
        let inner = self.lock();
        let from = inner.entries.range(prefix.to_owned()..);
        let entries = from
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, e)| e.clone())
            .collect();
        let revision = inner.revision;
        Box::pin(async move { Ok((entries, revision)) })
    }

    fn put<'a>(&'a self, key: &'a str, value: &'a Value, expected: Revision) -> Answer<'a, Revision> {
        let result = self.lock().put(key, value, expected);
        Box::pin(async move { result })
    }

    fn delete<'a>(&'a self, key: &'a str, expected: Revision) -> Answer<'a, Revision> {
        let result = self.lock().delete(key, expected);
        Box::pin(async move { result })
    }

    fn watch(&self, after: Revision) -> UnboundedReceiver<Change> {
        self.lock().watch(after)
    }
}
