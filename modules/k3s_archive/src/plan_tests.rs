use super::*;
use serde_json::json;
use std::time::{Duration, SystemTime};

const MIB: u64 = 1 << 20;

fn params(more: serde_json::Value) -> Params {
    let mut all = json!({"vmid": 101, "node_name": "n1", "dest": "/b"});
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn server() -> Server {
    Server {
        at: Places::of("/data"),
        stale: None,
        datastore: Datastore::Etcd,
        version: Some("v1.31.4+k3s1".parse().unwrap()),
        bytes: 100 * MIB,
        free: 1000 * MIB,
        left: Vec::new(),
        dest: Dest {
            folder: Some((0, 0o700)),
            free: 1000 * MIB,
            archives: Vec::new(),
            parts: Vec::new(),
        },
        now: SystemTime::UNIX_EPOCH + Duration::from_hours(490_896) + Duration::from_millis(1),
    }
}

fn planned(more: serde_json::Value, server: Server) -> Result<Vec<Step>> {
    plan(&params(more), &State::Server(Box::new(server))).map(|plan| plan.steps)
}

fn words(more: serde_json::Value, server: Server) -> Vec<String> {
    planned(more, server)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn refusal(more: serde_json::Value, server: Server) -> String {
    planned(more, server).unwrap_err().to_string()
}

fn archives(count: u32) -> Vec<String> {
    (1..=count)
        .map(|day| format!("k3s-n1-202512{day:02}T000000Z.tar.gz"))
        .collect()
}

#[test]
fn copy_pack_tidy_in_this_order() {
    let archive = "/b/k3s-n1-20260101T000000Z.tar.gz";
    let expected = [
        "save an etcd snapshot to /var/lib/homelab-k3s/outgoing".to_owned(),
        format!("pack it with token, certificates and configuration into {archive}, and check that"),
        "remove the copy in the container".to_owned(),
    ];
    assert_eq!(words(json!({}), server()), expected);
    let sqlite = Server {
        datastore: Datastore::Sqlite,
        ..server()
    };
    assert_eq!(
        planned(json!({}), sqlite).unwrap()[0],
        Step::CopySqlite {
            source: "/data/server/db/state.db".to_owned()
        }
    );
}

#[test]
fn the_manifest_tells_what_and_when() {
    let steps = planned(json!({"name": "nightly", "max_mb": 200}), server()).unwrap();
    let Step::Pack {
        about, most, path, ..
    } = &steps[1]
    else {
        panic!("{steps:?}")
    };
    assert_eq!(about.name, "nightly-n1-20260101T000000Z");
    assert_eq!(*path, format!("/b/{}.tar.gz", about.name));
    assert_eq!(
        (about.taken_at.as_str(), about.k3s_version.as_str(), *most),
        ("2026-01-01T00:00:00Z", "v1.31.4+k3s1", 200 * MIB)
    );
}

#[test]
fn the_oldest_go_after_the_new_one_is_there() {
    let with = |count| {
        let mut server = server();
        server.dest.archives = archives(count);
        server
    };
    assert_eq!(words(json!({"keep": 3}), with(2)).len(), 3);
    let steps = words(json!({"keep": 3}), with(4));
    assert_eq!(
        steps[3..],
        [
            "remove the old backup /b/k3s-n1-20251201T000000Z.tar.gz",
            "remove the old backup /b/k3s-n1-20251202T000000Z.tar.gz"
        ]
    );
    assert_eq!(words(json!({"keep": 1}), with(1)).len(), 4);
}

#[test]
fn leftovers_go_first_and_a_folder_is_made() {
    let mut server = server();
    server.left = vec!["/var/lib/homelab-k3s/outgoing.x".to_owned()];
    server.dest.parts = vec!["k3s-n1-20251201T000000Z.tar.gz.part".to_owned()];
    server.dest.folder = None;
    let steps = words(json!({}), server);
    assert_eq!(
        steps[..2],
        [
            "remove what an unfinished backup left: /var/lib/homelab-k3s/outgoing.x, /b/k3s-n1-20251201T000000Z.tar.gz.part",
            "make the folder /b, for root only"
        ]
    );
}

#[test]
fn a_folder_that_others_use_is_refused() {
    for (owner, mode, told) in [
        (0, 0o755, "open to others (mode 755)"),
        (0, 0o701, "mode 701"),
        (7, 0o700, "user 7"),
    ] {
        let mut server = server();
        server.dest.folder = Some((owner, mode));
        let refusal = refusal(json!({}), server);
        assert!(refusal.contains(told), "{refusal}");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_copied() {
    let full = Server {
        free: 163 * MIB,
        ..server()
    };
    assert!(refusal(json!({}), full).contains("163 MiB are free in the container"));
    let mut host = server();
    host.dest.free = 10 * MIB;
    assert!(
        refusal(json!({}), host).contains("10 MiB are free for the archive in /b, where 164 MiB are needed")
    );
    assert!(refusal(json!({"max_mb": 99}), server()).contains("more than max_mb allows (99 MiB)"));
}

#[test]
fn what_cannot_be_backed_up_here_is_refused() {
    let external = Server {
        datastore: Datastore::External,
        ..server()
    };
    assert!(refusal(json!({}), external).contains("the datastore is external"));
    let unknown = Server {
        version: None,
        ..server()
    };
    assert!(refusal(json!({}), unknown).contains("asking k3s for its version"));
}

#[test]
fn pruning_leaves_the_newest() {
    let params: Params =
        serde_json::from_value(json!({"state": "pruned", "node_name": "n1", "dest": "/b", "keep": 2}))
            .unwrap();
    let dest = |count| Dest {
        archives: archives(count),
        ..server().dest
    };
    let steps = plan(&params, &State::Folder(dest(3))).unwrap().steps;
    let path = "/b/k3s-n1-20251201T000000Z.tar.gz".to_owned();
    assert_eq!(steps, [Step::Remove { path }]);
    assert!(plan(&params, &State::Folder(dest(2))).unwrap().steps.is_empty());
    assert!(plan(&params, &State::Folder(dest(0))).unwrap().steps.is_empty());
}
