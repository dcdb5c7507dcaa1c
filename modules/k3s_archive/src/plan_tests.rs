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

fn dest() -> Dest {
    Dest {
        folder: Some((0, 0o700)),
        free: 1000 * MIB,
        archives: Vec::new(),
        parts: Vec::new(),
    }
}

fn server() -> Server {
    Server {
        at: Paths::of("/data"),
        files: vec!["/etc/attic/k3s.yaml".to_owned()],
        stale: None,
        datastore: Datastore::Etcd,
        version: Some("v1.31.4+k3s1".parse().unwrap()),
        bytes: 100 * MIB,
        free: 1000 * MIB,
        left: Vec::new(),
        old: Vec::new(),
        dest: Some(dest()),
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
        "save an etcd snapshot to /var/lib/homelab-k3s/outgoing.k3s-n1-20260101T000000Z".to_owned(),
        format!("pack it with token, certificates and configuration into {archive}, and verify the archive"),
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
            source: "/data/server/db/state.db".to_owned(),
            folder: "/var/lib/homelab-k3s/outgoing.k3s-n1-20260101T000000Z".to_owned(),
        }
    );
}

#[test]
fn records_content_and_time_in_the_manifest() {
    let steps = planned(json!({"name": "nightly", "max_mb": 200}), server()).unwrap();
    let Step::Pack {
        about,
        most,
        path,
        files,
        ..
    } = &steps[1]
    else {
        panic!("{steps:?}")
    };
    assert_eq!(about.name, "nightly-n1-20260101T000000Z");
    assert_eq!(*path, format!("/b/{}.tar.gz", about.name));
    assert_eq!(*files, ["/etc/attic/k3s.yaml"]);
    assert_eq!(
        (about.taken_at.as_str(), about.k3s_version.as_str(), *most),
        ("2026-01-01T00:00:00Z", "v1.31.4+k3s1", 200 * MIB)
    );
}

#[test]
fn the_oldest_go_after_the_new_one_is_there() {
    let with = |count| {
        let mut server = server();
        server.dest = Some(Dest {
            archives: archives(count),
            ..dest()
        });
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
    server.dest = Some(Dest {
        folder: None,
        parts: vec!["k3s-n1-20251201T000000Z.tar.gz.part".to_owned()],
        ..dest()
    });
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
    for (owner, mode, reason) in [
        (0, 0o755, "open to others (mode 755)"),
        (0, 0o701, "mode 701"),
        (7, 0o700, "user 7"),
    ] {
        let mut server = server();
        server.dest = Some(Dest {
            folder: Some((owner, mode)),
            ..dest()
        });
        let refusal = refusal(json!({}), server);
        assert!(refusal.contains(reason), "{refusal}");
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
    host.dest = Some(Dest {
        free: 10 * MIB,
        ..dest()
    });
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
        ..dest()
    };
    let steps = plan(&params, &State::Folder(dest(3))).unwrap().steps;
    let path = "/b/k3s-n1-20251201T000000Z.tar.gz".to_owned();
    assert_eq!(steps, [Step::Remove { path, inside: false }]);
    assert!(plan(&params, &State::Folder(dest(2))).unwrap().steps.is_empty());
    assert!(plan(&params, &State::Folder(dest(0))).unwrap().steps.is_empty());
}

#[test]
fn what_was_pruned_is_not_pruned_again() {
    for (keep, count) in (1..=4).flat_map(|keep| (0..=6).map(move |count| (keep, count))) {
        let options = json!({"state": "pruned", "node_name": "n1", "dest": "/b", "keep": keep});
        let params: Params = serde_json::from_value(options).unwrap();
        let mut left = archives(count);
        let planned = |archives: &Vec<String>| {
            let found = Dest {
                archives: archives.clone(),
                ..dest()
            };
            plan(&params, &State::Folder(found)).unwrap().steps
        };
        for step in planned(&left) {
            let Step::Remove { path, inside: false } = step else {
                panic!("{step}");
            };
            left.retain(|name| path != format!("/b/{name}"));
        }
        let newest = archives(count).split_off((count as usize).saturating_sub(keep));
        assert_eq!(left, newest, "keep {keep} of {count}");
        assert_eq!(planned(&left), [], "keep {keep} of {count}");
    }
}

/// As a server is seen by a backup that stays in its container.
fn inside(old: &[&str]) -> Server {
    Server {
        old: old.iter().map(|name| (*name).to_owned()).collect(),
        dest: None,
        ..server()
    }
}

fn steps(arguments: serde_json::Value, server: Server) -> Result<Vec<String>> {
    let params: Params = serde_json::from_value(arguments).unwrap();
    let plan = plan(&params, &State::Server(Box::new(server)))?;
    Ok(plan.steps.iter().map(ToString::to_string).collect())
}

fn copied(keep: usize, server: Server) -> Vec<String> {
    steps(
        json!({"state": "copied", "dest": "/c/", "name": "pre-upgrade", "keep": keep}),
        server,
    )
    .unwrap()
}

#[test]
fn a_copy_gets_its_name_when_datastore_and_token_are_in_it() {
    let folder = "/c/pre-upgrade-20260101T000000Z";
    assert_eq!(
        copied(5, inside(&[])),
        [
            format!("save an etcd snapshot to {folder}.part"),
            format!("copy the server's token to {folder}.part"),
            format!("name the backup {folder}"),
        ]
    );
    let sqlite = Server {
        datastore: Datastore::Sqlite,
        ..inside(&[])
    };
    assert_eq!(
        copied(5, sqlite)[0],
        format!("copy the SQLite datastore to {folder}.part")
    );
}

#[test]
fn the_oldest_copies_go_when_there_are_more_than_keep() {
    let old = ["pre-upgrade-20251201T000000Z", "pre-upgrade-20251202T000000Z"];
    assert_eq!(copied(3, inside(&old)).len(), 3);
    let params: Params = serde_json::from_value(json!({"state": "copied", "dest": "/c", "keep": 1})).unwrap();
    let steps = plan(&params, &State::Server(Box::new(inside(&old))))
        .unwrap()
        .steps;
    let remove = |name: &str| Step::Remove {
        path: format!("/c/{name}"),
        inside: true,
    };
    assert_eq!(steps[3..], old.map(remove));
}

#[test]
fn what_a_killed_copy_left_goes_first() {
    let killed = Server {
        left: vec!["/c/pre-upgrade-20251201T000000Z.part".to_owned()],
        ..inside(&[])
    };
    assert_eq!(
        copied(5, killed)[0],
        "remove what an unfinished backup left: /c/pre-upgrade-20251201T000000Z.part"
    );
}

#[test]
fn an_external_datastore_is_not_copied_and_an_unused_database_is_named() {
    let params: Params = serde_json::from_value(json!({"state": "copied", "dest": "/c"})).unwrap();
    let external = Server {
        datastore: Datastore::External,
        stale: Some("state.db is there and not in use".to_owned()),
        // Nothing is written, so nothing has to be free.
        free: 0,
        ..inside(&[])
    };
    let plan = plan(&params, &State::Server(Box::new(external))).unwrap();
    assert!(plan.steps.is_empty());
    assert!(plan.warnings[0].contains("external") && plan.warnings[1].contains("not in use"));
}

#[test]
fn a_copy_and_a_snapshot_that_do_not_fit_are_refused() {
    for (arguments, part) in [
        (json!({"state": "copied", "dest": "/c"}), "for the copy in /c"),
        (
            json!({"state": "snapshot"}),
            "for the snapshot in /data/server/db/snapshots",
        ),
    ] {
        let full = Server {
            free: 163 * MIB,
            ..inside(&[])
        };
        let error = steps(arguments, full).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "163 MiB are free in the container, {part}, where 164 MiB"
            )),
            "{error}"
        );
    }
}

#[test]
fn a_snapshot_belongs_to_etcd_and_replaces_the_oldest() {
    let of = |datastore| {
        let server = Server {
            datastore,
            ..inside(&["v-n1-1", "v-n1-2"])
        };
        steps(json!({"state": "snapshot", "name": "v", "keep": 2}), server)
    };
    assert_eq!(
        of(Datastore::Etcd).unwrap(),
        [
            "save an etcd snapshot v-… in /data/server/db/snapshots, and see it in k3s's list",
            "remove the old snapshot v-n1-1",
        ]
    );
    for (datastore, word) in [(Datastore::Sqlite, "SQLite"), (Datastore::External, "external")] {
        let error = of(datastore).unwrap_err().to_string();
        assert!(
            error.starts_with("only embedded etcd") && error.contains(word),
            "{error}"
        );
    }
}
