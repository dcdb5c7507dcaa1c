//! The copy of the store that everything is read from, and the one way to write.
//!
//! A write goes to the store and is finished when the copy has seen it, so a reader on the same server sees its own
//! writes. A reader on another server asks the store for the newest revision first (`sync`), as a quorum read does.

use crate::json::{set, text};
use crate::log;
use crate::store::{Change, Entry, Revision, Store, StoreError};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// A client whose watch begins further back is refused: its version is too old.
const REMEMBERED: usize = 2048;
const ALL: &str = "/registry/";
const RELIST_PAUSE: Duration = Duration::from_millis(500);
/// etcd allows a write 7 s to spread; a copy that is later than that has lost its source.
const CATCH_UP: Duration = Duration::from_secs(7);

#[derive(Clone, Debug)]
pub struct Event {
    pub key: String,
    pub revision: Revision,
    pub old: Option<Arc<Value>>,
    pub new: Option<Arc<Value>>,
}

/// What a watch has missed, and what is to come.
pub type History = (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>);

pub struct Registry {
    store: Arc<dyn Store>,
    copy: Mutex<Copy>,
    applied: watch::Sender<Revision>,
    events: broadcast::Sender<Arc<Event>>,
}

#[derive(Default)]
struct Copy {
    objects: BTreeMap<String, Arc<Value>>,
    revision: Revision,
    past: VecDeque<Arc<Event>>,
}

impl Registry {
    pub async fn open(store: Arc<dyn Store>) -> Result<Arc<Self>, StoreError> {
        let (entries, revision) = store.list(ALL).await?;
        let objects = entries
            .into_iter()
            .map(|entry| (entry.key.clone(), Arc::new(object(entry))))
            .collect();
        let copy = Copy {
            objects,
            revision,
            past: VecDeque::new(),
        };
        let registry = Arc::new(Self {
            store,
            copy: Mutex::new(copy),
            applied: watch::channel(revision).0,
            events: broadcast::channel(REMEMBERED).0,
        });
        tokio::spawn(Arc::clone(&registry).follow());
        Ok(registry)
    }

    fn copy(&self) -> MutexGuard<'_, Copy> {
        self.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn revision(&self) -> Revision {
        self.copy().revision
    }

    pub fn get(&self, key: &str) -> Option<Arc<Value>> {
        self.copy().objects.get(key).cloned()
    }

    pub fn list(&self, prefix: &str) -> Vec<Arc<Value>> {
        self.list_at(prefix).0
    }

    pub fn list_at(&self, prefix: &str) -> (Vec<Arc<Value>>, Revision) {
        let copy = self.copy();
        let from = copy.objects.range(prefix.to_owned()..);
        let objects = from
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, o)| Arc::clone(o))
            .collect();
        (objects, copy.revision)
    }

    /// Waits until the copy holds all that the quorum agreed on before this call.
    pub async fn sync(&self) -> Result<(), StoreError> {
        let newest = self.store.revision().await?;
        self.wait_for(newest).await
    }

    async fn wait_for(&self, revision: Revision) -> Result<(), StoreError> {
        let mut applied = self.applied.subscribe();
        let reached = applied.wait_for(|now| *now >= revision);
        match tokio::time::timeout(CATCH_UP, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::Unavailable(
                "etcdserver: request timed out".to_owned(),
            )),
        }
    }

    pub async fn create(&self, key: &str, value: &Value) -> Result<Arc<Value>, StoreError> {
        self.put(key, value, 0).await
    }

    /// Writes over the version that `value` was made from.
    pub async fn update(&self, key: &str, value: &Value) -> Result<Arc<Value>, StoreError> {
        self.put(key, value, revision_of(value)).await
    }

    async fn put(&self, key: &str, value: &Value, expected: Revision) -> Result<Arc<Value>, StoreError> {
        let revision = self.store.put(key, value, expected).await?;
        self.wait_for(revision).await?;
        let entry = Entry {
            key: key.to_owned(),
            value: value.clone(),
            revision,
        };
        Ok(Arc::new(object(entry)))
    }

    pub async fn delete(&self, key: &str, value: &Value) -> Result<(), StoreError> {
        let revision = self.store.delete(key, revision_of(value)).await?;
        self.wait_for(revision).await
    }

    /// The events after a revision, and all that follow; nothing if they are no longer remembered.
    pub fn watch(&self, after: Revision) -> Option<History> {
        let copy = self.copy();
        let receiver = self.events.subscribe();
        let oldest = copy
            .past
            .front()
            .map_or(copy.revision + 1, |event| event.revision);
        let past = copy
            .past
            .iter()
            .filter(|event| event.revision > after)
            .cloned()
            .collect();
        (after + 1 >= oldest || after >= copy.revision).then_some((past, receiver))
    }

    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    async fn follow(self: Arc<Self>) {
        loop {
            let mut changes = self.store.watch(self.revision());
            while let Some(change) = changes.recv().await {
                self.apply(change);
            }
            log::warn("The watch of the datastore ended: listing again");
            while let Err(error) = self.relist().await {
                log::warn(&format!("Listing the datastore: {error}"));
                tokio::time::sleep(RELIST_PAUSE).await;
            }
        }
    }

    async fn relist(&self) -> Result<(), StoreError> {
        let (entries, revision) = self.store.list(ALL).await?;
        let listed: BTreeMap<String, Entry> = entries.into_iter().map(|e| (e.key.clone(), e)).collect();
        let known: Vec<(String, Arc<Value>)> = self
            .copy()
            .objects
            .iter()
            .map(|(key, value)| (key.clone(), Arc::clone(value)))
            .collect();
        for (key, value) in &known {
            if !listed.contains_key(key) {
                self.apply(Change::Delete {
                    key: key.clone(),
                    revision: revision_of(value),
                });
            }
        }
        let mut changed: Vec<Entry> = listed.into_values().collect();
        changed.retain(|entry| {
            self.get(&entry.key)
                .is_none_or(|old| revision_of(&old) < entry.revision)
        });
        changed.sort_by_key(|entry| entry.revision);
        for entry in changed {
            self.apply(Change::Put(entry));
        }
        self.copy().revision = revision;
        self.applied.send_replace(revision);
        Ok(())
    }

    fn apply(&self, change: Change) {
        let revision = change.revision();
        let mut copy = self.copy();
        let (key, old, new) = match change {
            Change::Put(entry) => {
                let key = entry.key.clone();
                let new = Arc::new(object(entry));
                (key.clone(), copy.objects.insert(key, Arc::clone(&new)), Some(new))
            }
            Change::Delete { key, .. } => {
                let old = copy.objects.remove(&key);
                (key, old, None)
            }
        };
        let event = Arc::new(Event {
            key,
            revision,
            old,
            new,
        });
        copy.revision = copy.revision.max(revision);
        copy.past.push_back(Arc::clone(&event));
        if copy.past.len() > REMEMBERED {
            copy.past.pop_front();
        }
        // Nobody may be listening. Sent under the lock: a new watch sees an event either here or in the past.
        let _ = self.events.send(event);
        let now = copy.revision;
        drop(copy);
        self.applied.send_replace(now);
    }
}

/// An entry as clients see it: its revision is the object's version.
fn object(entry: Entry) -> Value {
    let mut value = entry.value;
    set(
        &mut value,
        &["metadata", "resourceVersion"],
        Value::String(entry.revision.to_string()),
    );
    value
}

pub fn revision_of(value: &Value) -> Revision {
    text(value, "/metadata/resourceVersion")
        .parse()
        .unwrap_or_default()
}
