//! From one to the other.

use crate::promises::keys;
use etcd_api::testing::Cluster;
use k3s_standin::etcd::migrate::move_all;
use k3s_standin::faults::Trouble;
use k3s_standin::store::Store;
use k3s_standin::store::etcd::EtcdStore;
use k3s_standin::store::sqlite::SqliteStore;
use serde_json::json;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Three objects, of which one was changed, and one that is gone.
async fn sqlite(folder: &Path) -> PathBuf {
    let path = folder.join("state.db");
    let store = SqliteStore::open(&path).unwrap();
    let key = |name: &str| format!("/registry/pods/default/{name}");
    let mut created = Vec::new();
    for name in ["a", "b", "c", "gone"] {
        created.push(store.put(&key(name), &json!({"v": 1}), 0).await.unwrap());
    }
    store.put(&key("a"), &json!({"v": 2}), created[0]).await.unwrap();
    store.delete(&key("gone"), created[3]).await.unwrap();
    store.put("/bootstrap/1", &json!("secret"), 0).await.unwrap();
    path
}

#[tokio::test]
async fn every_live_object_is_moved_once_and_the_file_gets_another_name() {
    let folder = TempDir::new().unwrap();
    let path = sqlite(folder.path()).await;
    let cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    move_all(&path, &etcd, None).await.unwrap();
    let store = EtcdStore::new(cluster.client(0));
    let moved = ["b", "c", "a"].map(|name| format!("/registry/pods/default/{name}"));
    let (entries, _) = store.list("/registry/").await.unwrap();
    let values: Vec<_> = entries.iter().map(|entry| &entry.value["v"]).collect();
    assert_eq!(values, [2, 1, 1]);
    let mut by_age = entries.clone();
    by_age.sort_by_key(|entry| entry.revision);
    let by_age: Vec<_> = by_age.into_iter().map(|entry| entry.key).collect();
    assert_eq!(by_age, moved, "in the order of their last changes");
    assert_eq!(keys(&store, "/bootstrap/").await, [""; 0], "k3s writes that anew");
    // As the real one leaves them.
    let mut left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["state.db-shm", "state.db-wal", "state.db.migrated"]);
    let log = std::fs::metadata(folder.path().join("state.db-wal")).unwrap();
    assert_eq!(log.len(), 0);
}

#[tokio::test]
async fn one_that_fails_half_way_leaves_a_part_and_the_file() {
    let folder = TempDir::new().unwrap();
    let path = sqlite(folder.path()).await;
    let cluster = Cluster::start(1).await;
    let trouble = Trouble {
        after: 2,
        hang: false,
    };
    move_all(&path, &cluster.client(0), Some(trouble))
        .await
        .unwrap_err();
    let store = EtcdStore::new(cluster.client(0));
    assert_eq!(keys(&store, "/registry/").await.len(), 2);
    assert!(path.exists());
}
