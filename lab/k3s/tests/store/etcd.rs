//! Embedded etcd, as several servers use it.

use crate::promises::{self, NODE, keys, seen};
use etcd_api::testing::Cluster;
use k3s_standin::store::etcd::EtcdStore;
use k3s_standin::store::{Change, Store, StoreError};
use serde_json::json;
use std::time::{Duration, Instant};

/// As the servers have it.
const LIMIT: Duration = Duration::from_secs(7);

fn store(cluster: &Cluster, number: usize) -> EtcdStore {
    EtcdStore::new(cluster.client_within(number, LIMIT))
}

#[tokio::test]
async fn the_promises_are_kept() {
    let cluster = Cluster::start(1).await;
    promises::are_kept(&store(&cluster, 0)).await;
}

#[tokio::test]
async fn servers_see_each_others_writes_at_once() {
    let cluster = Cluster::start(3).await;
    let (one, two) = (store(&cluster, 0), store(&cluster, 1));
    let start = one.revision().await.unwrap();
    let mut changes = two.watch(start);
    // A read of one's own right after is enough to know that the watch stands.
    let start = Instant::now();
    let created = one.put(NODE, &json!({"v": 1}), 0).await.unwrap();
    let output = seen(&mut changes, 1).await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(output[0].revision(), created);
    assert!(two.revision().await.unwrap() >= created);
    assert_eq!(keys(&two, "/registry/").await, [NODE]);
    // Keys that are not the API's show only as steps of the counter, which readers wait for.
    cluster.client(0).put("/bootstrap/1", "secret").await.unwrap();
    let gone = two.delete(NODE, created).await.unwrap();
    let removal = |key: &str, revision| Change::Delete {
        key: key.to_owned(),
        revision,
    };
    let wanted = [removal("/bootstrap/1", created + 1), removal(NODE, gone)];
    assert_eq!(seen(&mut changes, 2).await, wanted);
}

#[tokio::test]
async fn without_a_quorum_everything_times_out_as_recorded_and_then_goes_on() {
    let mut cluster = Cluster::start(3).await;
    let store = store(&cluster, 0);
    let created = store.put(NODE, &json!(1), 0).await.unwrap();
    cluster.kill(1);
    cluster.kill(2);
    let timed_out = StoreError::Unavailable("etcdserver: request timed out".to_owned());
    let start = Instant::now();
    let value = json!(2);
    let (read, written) = tokio::join!(store.revision(), store.put(NODE, &value, created));
    assert_eq!((read, written), (Err(timed_out.clone()), Err(timed_out)));
    assert!(
        start.elapsed() < LIMIT + Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    cluster.restart(1).await;
    assert!(store.revision().await.unwrap() >= created);
}

#[tokio::test]
async fn a_watch_is_closed_when_its_member_goes_and_the_next_one_has_all() {
    let mut cluster = Cluster::start(1).await;
    let store = store(&cluster, 0);
    let created = store.put(NODE, &json!(1), 0).await.unwrap();
    let mut watch = store.watch(created);
    let changed = store.put(NODE, &json!(2), created).await.unwrap();
    assert_eq!(seen(&mut watch, 1).await[0].revision(), changed);
    cluster.kill(0);
    assert_eq!(watch.recv().await, None);
    assert!(matches!(store.revision().await, Err(StoreError::Unavailable(_))));
    cluster.restart(0).await;
    let again = store.put(NODE, &json!(3), changed).await.unwrap();
    let seen = seen(&mut store.watch(created), 2).await;
    assert_eq!(
        seen.iter().map(Change::revision).collect::<Vec<_>>(),
        [changed, again]
    );
}
