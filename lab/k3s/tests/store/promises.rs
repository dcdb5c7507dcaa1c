//! What `store` promises of every backend.

use k3s_standin::store::{Change, Entry, Revision, Store, StoreError};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) const NODE: &str = "/registry/nodes/n1";

pub(crate) async fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    let (entries, _) = store.list(prefix).await.unwrap();
    entries.into_iter().map(|entry| entry.key).collect()
}

pub(crate) async fn seen(changes: &mut UnboundedReceiver<Change>, count: usize) -> Vec<Change> {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.push(changes.recv().await.expect("the watch ended early"));
    }
    seen
}

fn put(key: &str, value: Value, revision: Revision) -> Change {
    Change::Put(Entry {
        key: key.to_owned(),
        value,
        revision,
    })
}

/// For a store that has nothing in it yet.
pub(crate) async fn are_kept(store: &dyn Store) {
    writes_are_counted_and_guarded(store).await;
    lists_are_by_prefix_and_sorted(store).await;
    watches_report_past_and_future_events(store).await;
    values_come_back_as_they_went(store).await;
}

async fn writes_are_counted_and_guarded(store: &dyn Store) {
    assert_eq!(keys(store, "/registry/").await, [""; 0]);
    let before = store.revision().await.unwrap();
    let created = store.put(NODE, &json!({"v": 1}), 0).await.unwrap();
    assert_eq!(created, before + 1);
    assert_eq!(
        store.put(NODE, &json!({"v": 2}), 0).await,
        Err(StoreError::Conflict),
        "it exists"
    );
    assert_eq!(
        store.put("/registry/x", &json!({}), created).await,
        Err(StoreError::Conflict),
        "it does not"
    );
    let changed = store.put(NODE, &json!({"v": 2}), created).await.unwrap();
    assert_eq!(changed, created + 1);
    assert_eq!(
        store.delete(NODE, created).await,
        Err(StoreError::Conflict),
        "changed meanwhile"
    );
    let deleted = store.delete(NODE, changed).await.unwrap();
    assert_eq!(deleted, changed + 1);
    assert_eq!(
        store.delete(NODE, changed).await,
        Err(StoreError::Conflict),
        "gone"
    );
    assert_eq!(
        store.put(NODE, &json!({}), deleted).await,
        Err(StoreError::Conflict),
        "gone is revision 0"
    );
    let again = store.put(NODE, &json!({"v": 3}), 0).await.unwrap();
    assert_eq!(again, deleted + 1, "a refused write takes no number");
    assert_eq!(store.revision().await.unwrap(), again);
}

async fn lists_are_by_prefix_and_sorted(store: &dyn Store) {
    for key in [
        "/registry/pods/b/1",
        "/registry/pods/a/2",
        "/registry/pods/a/1",
        "/registry/podsets/z",
    ] {
        store.put(key, &json!({"name": key}), 0).await.unwrap();
    }
    assert_eq!(
        keys(store, "/registry/pods/").await,
        ["/registry/pods/a/1", "/registry/pods/a/2", "/registry/pods/b/1"]
    );
    assert_eq!(keys(store, "/registry/pods/a/").await.len(), 2);
    assert_eq!(keys(store, "/registry/pods/%").await, [""; 0]);
    let (entries, revision) = store.list("/registry/pods/a/1").await.unwrap();
    assert_eq!(entries[0].value, json!({"name": "/registry/pods/a/1"}));
    assert_eq!(entries[0].revision, revision - 1);
}

async fn watches_report_past_and_future_events(store: &dyn Store) {
    let start = store.revision().await.unwrap();
    let first = store.put("/registry/w/a", &json!(1), 0).await.unwrap();
    let mut early = store.watch(start);
    let mut late = store.watch(first);
    let second = store.put("/registry/w/b", &json!(2), 0).await.unwrap();
    let gone = store.delete("/registry/w/a", first).await.unwrap();
    let all = [
        put("/registry/w/a", json!(1), first),
        put("/registry/w/b", json!(2), second),
        Change::Delete {
            key: "/registry/w/a".to_owned(),
            revision: gone,
        },
    ];
    assert_eq!(seen(&mut early, 3).await, all);
    assert_eq!(seen(&mut late, 2).await, all[1..]);
    // One that begins when all is over.
    assert_eq!(seen(&mut store.watch(start), 3).await, all);
}

async fn values_come_back_as_they_went(store: &dyn Store) {
    let value =
        json!({"text": "é\n\0\"", "big": 9_007_199_254_740_993_u64, "none": null, "list": [1.5, true]});
    store.put("/registry/v", &value, 0).await.unwrap();
    let (entries, _) = store.list("/registry/v").await.unwrap();
    assert_eq!(entries[0].value, value);
}
