//! Against real etcd over mutual TLS.

use std::time::Duration;

use etcd_api::proto::AlarmType;
use etcd_api::testing::Cluster;
use etcd_api::{Alarm, Client, Code, Error, EventType, Tls};

fn etcd_said(error: Error) -> String {
    match error {
        Error::Etcd { message, .. } => message,
        other => format!("not from etcd: {other:?}"),
    }
}

/// etcd ignores a change of members that comes on the heels of another, and never answers it: the asker has to
/// ask again.
async fn persistently<T>(
    change: impl AsyncFn(Client) -> Result<T, Error>,
    cluster: &Cluster,
) -> Result<T, Error> {
    loop {
        match change(cluster.client_within(0, Duration::from_secs(2))).await {
            Err(Error::TimedOut(_)) => {}
            answer => return answer,
        }
    }
}

/// A disk without room.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_past_is_counted_and_read_in_pages_until_it_is_thrown_away() {
    let cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    let mut revision = 0;
    for key in ["/registry/a", "/registry/b", "/registry/c"] {
        revision = etcd.put(key, "then").await.unwrap();
    }
    etcd.put("/registry/b", "now").await.unwrap();
    etcd.put("/registry/d", "now").await.unwrap();
    assert_eq!(etcd.count_at("/registry/", revision).await.unwrap(), 3);
    assert_eq!(etcd.count_at("/registry/", revision - 1).await.unwrap(), 2);
    let page = etcd
        .page_at("/registry/b", "/registry/", 2, revision)
        .await
        .unwrap();
    let page: Vec<_> = page
        .iter()
        .map(|entry| (entry.key.as_slice(), entry.value.as_slice()))
        .collect();
    assert_eq!(
        page,
        [
            (&b"/registry/b"[..], &b"then"[..]),
            (&b"/registry/c"[..], &b"then"[..])
        ]
    );
    etcd.compact(revision + 1).await.unwrap();
    let gone = etcd.count_at("/registry/", revision).await.unwrap_err();
    assert!(
        matches!(
            gone,
            Error::Etcd {
                code: Code::OutOfRange,
                ..
            }
        ),
        "{gone:?}"
    );
}

#[tokio::test]
async fn keys_are_written_listed_and_removed() {
    let cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    let first = etcd.put("/registry/a", "1").await.unwrap();
    let second = etcd.put("/registry/b", b"\x00\xff".to_vec()).await.unwrap();
    etcd.put("/registryz", "not ours").await.unwrap();
    assert_eq!(second, first + 1);
    let listing = etcd.list("/registry/").await.unwrap();
    assert_eq!(listing.revision, second + 1);
    assert_eq!(etcd.revision().await.unwrap(), listing.revision);
    let keys: Vec<_> = listing
        .entries
        .iter()
        .map(|e| (e.key.as_slice(), e.mod_revision))
        .collect();
    assert_eq!(
        keys,
        [(&b"/registry/a"[..], first), (&b"/registry/b"[..], second)]
    );
    assert_eq!(listing.entries[1].value, b"\x00\xff");

    let again = etcd.put("/registry/a", "2").await.unwrap();
    let a = etcd.get("/registry/a").await.unwrap().unwrap();
    assert_eq!(
        (a.value.as_slice(), a.create_revision, a.mod_revision, a.version),
        (&b"2"[..], first, again, 2)
    );
    assert_eq!(etcd.get("/registry/c").await.unwrap(), None);
    assert_eq!(etcd.delete_all("/registry/").await.unwrap(), 2);
    assert_eq!(etcd.list("/registry/").await.unwrap().entries, []);
    assert_eq!(
        etcd.list("").await.unwrap().entries.len(),
        1,
        "no prefix means everything"
    );
}

#[tokio::test]
async fn a_change_is_made_only_on_the_revision_expected() {
    let cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    let created = etcd.put_if("/k", "1", 0).await.unwrap().unwrap();
    assert_eq!(etcd.put_if("/k", "2", 0).await.unwrap(), None, "it exists");
    assert_eq!(
        etcd.put_if("/other", "2", created).await.unwrap(),
        None,
        "it does not"
    );
    let changed = etcd.put_if("/k", "2", created).await.unwrap().unwrap();
    assert_eq!(changed, created + 1);
    assert_eq!(etcd.delete_if("/k", created).await.unwrap(), None);
    assert_eq!(etcd.delete_if("/k", changed).await.unwrap(), Some(changed + 1));
    assert_eq!(etcd.get("/k").await.unwrap(), None);
}

#[tokio::test]
async fn watches_past_and_future_changes() {
    let cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    let first = etcd.put("/w/a", "1").await.unwrap();
    let mut watch = etcd.watch("/w/", first).await.unwrap();
    etcd.put("/x", "not watched").await.unwrap();
    etcd.put("/w/b", "2").await.unwrap();
    let gone = etcd.delete_if("/w/a", first).await.unwrap().unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        for event in watch.next().await.unwrap() {
            let kv = event.kv.clone().unwrap();
            seen.push((
                event.r#type(),
                String::from_utf8(kv.key).unwrap(),
                kv.mod_revision,
            ));
        }
    }
    assert_eq!(
        seen,
        [
            (EventType::Put, "/w/a".to_owned(), first),
            (EventType::Put, "/w/b".to_owned(), first + 2),
            (EventType::Delete, "/w/a".to_owned(), gone),
        ]
    );
}

#[tokio::test]
async fn a_watch_of_history_that_is_gone_says_so() {
    let cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    for round in 0..5 {
        etcd.put("/w/a", round.to_string()).await.unwrap();
    }
    let newest = etcd.revision().await.unwrap();
    etcd.compact(newest).await.unwrap();
    let mut watch = etcd.watch("/w/", 2).await.unwrap();
    let error = watch.next().await.unwrap_err();
    assert!(
        matches!(error, Error::Compacted { oldest } if oldest == newest),
        "{error}"
    );
}

#[tokio::test]
async fn a_watch_ends_with_its_member() {
    let mut cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    let mut watch = etcd.watch("/", 1).await.unwrap();
    etcd.put("/a", "1").await.unwrap();
    assert_eq!(watch.next().await.unwrap().len(), 1);
    cluster.kill(0);
    watch.next().await.unwrap_err();
    // The same client finds the member again.
    cluster.restart(0).await;
    assert!(etcd.get("/a").await.unwrap().is_some());
}

#[tokio::test]
async fn a_member_joins_as_learner_and_is_promoted() {
    let mut cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    let [only] = etcd.members().await.unwrap().try_into().unwrap();
    assert_eq!((only.name.as_str(), only.is_learner), ("m0", false));
    assert_eq!(only.client_urls, [cluster.endpoint(0)]);

    let (number, peer_url) = cluster.prepare_another();
    let learner = etcd.add_learner(&peer_url).await.unwrap();
    assert!(learner.is_learner && learner.name.is_empty() && learner.peer_urls == [peer_url.as_str()]);
    // Within the same second etcd makes the same id of it, and stumbles over that first.
    let twice = etcd_said(etcd.add_learner(&peer_url).await.unwrap_err());
    let known = [
        "etcdserver: Peer URLs already exists",
        "etcdserver: member ID already exist",
    ];
    assert!(known.contains(&twice.as_str()), "{twice}");
    let early = etcd.promote(learner.id).await.unwrap_err();
    assert_eq!(
        etcd_said(early),
        "etcdserver: can only promote a learner member which is in sync with leader"
    );
    assert_eq!(etcd.members_known_here().await.unwrap().len(), 2);

    cluster.spawn(number);
    while let Err(error) = etcd.promote(learner.id).await {
        assert!(etcd_said(error).contains("in sync with leader"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let members = etcd.members().await.unwrap();
    assert!(
        members.len() == 2 && members.iter().all(|m| !m.is_learner),
        "{members:?}"
    );
}

#[tokio::test]
async fn a_member_that_never_came_is_removed_by_its_id() {
    let mut cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    assert_eq!(
        etcd_said(etcd.remove(1).await.unwrap_err()),
        "etcdserver: member not found"
    );
    let (_, peer_url) = cluster.prepare_another();
    let learner = persistently(async |etcd| etcd.add_learner(&peer_url).await, &cluster)
        .await
        .unwrap();
    let left = persistently(async |etcd| etcd.remove(learner.id).await, &cluster)
        .await
        .unwrap();
    assert!(left.len() == 1 && left[0].name == "m0", "{left:?}");
}

#[tokio::test]
async fn reads_the_state_of_a_member() {
    let cluster = Cluster::start(3).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let status = cluster.client(number).status().await.unwrap();
        assert!(status.version.starts_with("3."), "{status:?}");
        assert!(
            status.db_size >= status.db_size_in_use && status.db_size_in_use > 0,
            "{status:?}"
        );
        assert!(
            status.raft_index >= status.raft_applied_index && status.raft_term > 0,
            "{status:?}"
        );
        assert!(!status.is_learner && status.errors.is_empty(), "{status:?}");
        ids.push((status.member_id, status.leader));
    }
    assert!(
        ids.iter().all(|(_, leader)| *leader == ids[0].1),
        "one leader: {ids:?}"
    );
    assert!(
        ids.iter().any(|(id, leader)| id == leader),
        "one of them: {ids:?}"
    );
}

#[tokio::test]
async fn lists_alarms() {
    let cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    assert_eq!(etcd.alarms().await.unwrap(), []);
    let id = etcd.status().await.unwrap().member_id;
    etcd.raise_alarm(id, AlarmType::NoSpace).await.unwrap();
    let alarm = Alarm {
        member_id: id,
        kind: Some(AlarmType::NoSpace),
    };
    assert_eq!(etcd.alarms().await.unwrap(), [alarm]);
    let full = etcd.put("/a", "1").await.unwrap_err();
    assert_eq!(etcd_said(full), "etcdserver: mvcc: database space exceeded");
}

#[tokio::test]
async fn saves_the_complete_database_with_its_checksum() {
    let cluster = Cluster::start(1).await;
    let etcd = cluster.client(0);
    etcd.put("/needle", vec![b'x'; 100_000]).await.unwrap();
    let mut file = Vec::new();
    let bytes = etcd.snapshot(&mut file).await.unwrap();
    assert_eq!(bytes, file.len() as u64);
    assert_eq!(bytes % 512, 32, "pages and a checksum");
    // The mark of etcd's database format, in the first page's head.
    assert_eq!(file[16..20], 0xED0C_DAED_u32.to_le_bytes());
    assert!(file.windows(7).any(|seven| seven == b"/needle"));
    assert!(matches!(etcd.snapshot(&mut Full).await, Err(Error::Io(_))));
}

#[tokio::test]
async fn without_a_quorum_a_call_fails_and_the_member_still_speaks() {
    let mut cluster = Cluster::start(3).await;
    let etcd = cluster.client(0);
    etcd.put("/a", "1").await.unwrap();
    cluster.kill(1);
    cluster.kill(2);
    let error = etcd.put("/a", "2").await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Etcd {
                code: Code::Unavailable,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(etcd_said(error), "etcdserver: request timed out");
    assert_eq!(etcd.members_known_here().await.unwrap().len(), 3);
    assert_eq!(etcd.status().await.unwrap().leader, 0);
    // A limit of our own is kept too.
    let hasty = cluster.client_within(0, Duration::from_millis(300));
    assert!(matches!(hasty.put("/a", "2").await, Err(Error::TimedOut(_))));
    assert!(matches!(hasty.revision().await, Err(Error::TimedOut(_))));
    cluster.restart(1).await;
    assert!(etcd.revision().await.is_ok());
}

#[tokio::test]
async fn who_is_not_trusted_is_not_spoken_to() {
    let cluster = Cluster::start(1).await;
    let stranger = Cluster::start(1).await.tls.clone();
    let wrong_ca = Tls {
        ca: stranger.ca.clone(),
        ..cluster.tls.clone()
    };
    let wrong_identity = Tls {
        ca: cluster.tls.ca.clone(),
        ..stranger
    };
    for tls in [wrong_ca, wrong_identity] {
        let client = Client::new(cluster.endpoint(0), &tls, Duration::from_secs(5)).unwrap();
        let error = client.status().await.unwrap_err();
        assert!(matches!(error, Error::Connection(_)), "{error:?}");
    }
}

#[tokio::test]
async fn reports_an_unreachable_endpoint_at_once() {
    let mut cluster = Cluster::start(1).await;
    let client = cluster.client(0);
    cluster.kill(0);
    let error = client.status().await.unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error:?}");
    let error = Client::new("not a url", &cluster.tls, Duration::from_secs(1))
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, Error::Connection(_)), "{error:?}");
}
