use super::*;
use crate::state::Token;
use host::Secret;
use k3s_node::config::Given;
use k3s_node::{Show, Told};
use serde_json::json;

const BACKUP: &str = "k3s-n1-20260101T000000Z";
const RUNS: (&str, &str) = ("active", "enabled");
const DOWN: (&str, &str) = ("inactive", "disabled");

fn server((active, enabled): (&str, &str), record: Option<Record>) -> Server {
    Server {
        node: "n1".to_owned(),
        unit: "k3s.service".to_owned(),
        binary: "/usr/local/bin/k3s".to_owned(),
        data_dir: "/data".to_owned(),
        version: Some("v1.31.4+k3s1".parse().unwrap()),
        told: Told {
            args: Vec::new(),
            environment: BTreeMap::default(),
        },
        config: Vec::new(),
        config_path: "/etc/rancher/k3s/config.yaml".to_owned(),
        config_fault: None,
        joins: None,
        external: None,
        cluster_init: true,
        s3: false,
        datastore: Some(Datastore::Etcd),
        token: Some(token(None)),
        keys: keys("ab"),
        free: 0,
        show: Show {
            active: active.to_owned(),
            enabled: enabled.to_owned(),
            ..Show::default()
        },
        record,
        done: None,
        unpacked: false,
        ready: active == "active",
    }
}

fn token(place: Option<&str>) -> Token {
    Token {
        password: Secret::new("s3cr3t"),
        place: place.map(str::to_owned),
    }
}

fn keys(hash: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("tls/server-ca.crt".to_owned(), hash.to_owned()),
        ("tls/client-admin.crt".to_owned(), "cd".to_owned()),
    ])
}

#[expect(clippy::unnecessary_wraps, reason = "a server has a record, or none")]
fn at_stage(stage: Stage, first: bool) -> Option<Record> {
    Some(Record {
        backup: BACKUP.to_owned(),
        stamp: "20260102T000000Z".to_owned(),
        first,
        stage,
        enabled: true,
        active: true,
    })
}

fn backup(version: &str, datastore: &str, same_token: bool) -> Checked {
    let file = |path: &str, hash: &str| json!({"path": path, "bytes": 1, "sha256": hash, "mode": 384});
    serde_json::from_value(json!({
        "bytes": 1, "sha256": "", "tokens": [same_token],
        "manifest": {
            "format": 1, "name": BACKUP, "taken_at": "2026-01-01T00:00:00Z", "node": "n1", "k3s_version": version,
            "datastore": datastore, "data_dir": "/data",
            "files": [
                file("server/tls/server-ca.crt", "ab"), file("server/tls/client-admin.crt", "cd"),
                file("server/tls/dynamic-cert.json", "always another"), file("datastore/snapshot", ""),
            ],
        },
    }))
    .unwrap()
}

fn words(steps: Result<Vec<Step>>) -> Vec<String> {
    match steps {
        Ok(steps) => steps.iter().map(ToString::to_string).collect(),
        Err(error) => vec![format!("refused: {error}")],
    }
}

const STOP: &str = "stop k3s, and keep it from starting with the machine";
const BRING: &str = "bring the backup into the container, and unpack it";
const RESET: &str = "let k3s replace its etcd by the backup's";
const START: &str = "start k3s";
const WAIT: &str = "wait until its API is ready";
const ENABLE: &str = "let k3s start with the machine again";
const FORGET: &str = "forget the restore";
const ASIDE: &str = "set the old database aside in server/before-restore-20260102T000000Z";

#[test]
fn a_server_is_stopped_until_it_was_started_with_the_backup() {
    let stopped = |state, record| words(stop(&server(state, record), BACKUP, true, "stamp"));
    assert_eq!(stopped(RUNS, None), [STOP]);
    // One that is down too is recorded, and kept down.
    assert_eq!(stopped(DOWN, None), [STOP]);
    assert_eq!(stopped(DOWN, at_stage(Stage::Replacing, true)), [""; 0]);
    assert_eq!(
        stopped(("inactive", "enabled"), at_stage(Stage::Stopped, true)),
        [STOP]
    );
    assert_eq!(stopped(RUNS, at_stage(Stage::Started, true)), [""; 0]);
}

#[test]
fn how_it_was_is_recorded_once() {
    let record = |server: &Server| match &stop(server, BACKUP, true, "20260103T000000Z").unwrap()[0].0 {
        Act::Stop { record, .. } => record.clone(),
        _ => panic!(),
    };
    let fresh = record(&server(("failed", "enabled"), None));
    assert_eq!(
        (fresh.enabled, fresh.active, fresh.stamp.as_str()),
        (true, false, "20260103T000000Z")
    );
    // A run that was killed has disabled it already.
    let known = record(&server(("active", "disabled"), at_stage(Stage::Stopped, true)));
    assert_eq!(Some(known), at_stage(Stage::Stopped, true));
}

#[test]
fn keys_and_token_are_placed_where_they_differ() {
    let place = |what: &str| {
        format!(
            "put the backup's {what} in place, and keep the old ones in server/before-restore-20260102T000000Z"
        )
    };
    let planned =
        |server: &Server, checked: &Checked| words(reset(server, BACKUP, "/b.tar.gz", Some(checked)));
    let down = || server(DOWN, at_stage(Stage::Stopped, true));
    let same = backup("v1.31.4+k3s1", "etcd", true);
    assert_eq!(planned(&down(), &same), [BRING, RESET]);
    let unpacked = Server {
        unpacked: true,
        ..down()
    };
    assert_eq!(planned(&unpacked, &same), [RESET]);
    let older = backup("v1.30.2+k3s1", "etcd", true);
    assert_eq!(
        planned(&down(), &older),
        [BRING.to_owned(), place("authorities and keys"), RESET.to_owned()]
    );
    let mut renewed = down();
    renewed
        .keys
        .insert("tls/client-admin.crt".to_owned(), "ef".to_owned());
    assert_eq!(planned(&renewed, &same)[1], place("authorities and keys"));

    let other = backup("v1.31.4+k3s1", "etcd", false);
    assert_eq!(planned(&down(), &other)[1], place("token"));
    let set = Server {
        token: Some(token(Some("the variable K3S_TOKEN"))),
        ..down()
    };
    assert_eq!(
        planned(&set, &other),
        [BRING, RESET],
        "what an operator has set is not ours"
    );
    let nothing = Server {
        token: None,
        keys: BTreeMap::new(),
        ..down()
    };
    assert_eq!(planned(&nothing, &same)[1], place("authorities, keys and token"));
}

#[test]
fn a_datastore_is_replaced_once() {
    let planned = |stage, checked: Option<&Checked>| {
        words(reset(
            &server(DOWN, at_stage(stage, true)),
            BACKUP,
            "/b.tar.gz",
            checked,
        ))
    };
    let sqlite = backup("v1.31.4+k3s1", "sqlite", true);
    assert_eq!(
        planned(Stage::Stopped, Some(&sqlite))[1],
        "put the backup's SQLite datastore in place, and keep the old one in server/before-restore-20260102T000000Z"
    );
    assert_eq!(planned(Stage::Replacing, Some(&sqlite)).len(), 2);
    for stage in [Stage::Replaced, Stage::Started] {
        assert_eq!(planned(stage, None), [""; 0]);
    }
    assert_eq!(
        planned(Stage::Stopped, None),
        ["refused: the backup /b.tar.gz is not on this Proxmox host any more"]
    );
    let mut other = backup("v1.31.4+k3s1", "etcd", true);
    other.manifest.about.name = "other".to_owned();
    assert!(planned(Stage::Stopped, Some(&other))[0].contains("holds the backup other"));
}

#[test]
fn a_peers_database_is_set_aside_and_keys_only_where_they_do_not_fit() {
    let with_keys = |hash: &str, identity: &BTreeMap<String, String>| {
        let server = Server {
            keys: keys(hash),
            ..server(DOWN, at_stage(Stage::Stopped, false))
        };
        match &set_aside(&server, BACKUP, identity).unwrap()[0].0 {
            Act::SetAside { keys, .. } => *keys,
            _ => panic!(),
        }
    };
    let identity = BTreeMap::from([("tls/server-ca.crt".to_owned(), "ab".to_owned())]);
    assert!(!with_keys("ab", &identity));
    assert!(with_keys("zz", &identity));
    assert!(!with_keys("zz", &BTreeMap::new()), "nothing to compare with");
    let planned = |record| words(set_aside(&server(DOWN, record), BACKUP, &identity));
    assert_eq!(planned(at_stage(Stage::Stopped, false)), [ASIDE]);
    assert_eq!(planned(at_stage(Stage::Replaced, false)), [""; 0]);
    assert_eq!(
        planned(at_stage(Stage::Stopped, true)),
        [""; 0],
        "that one has the backup"
    );
}

#[test]
fn a_start_is_finished_whatever_of_it_was_done() {
    let planned = |state, record| words(start(&server(state, record), BACKUP));
    assert_eq!(planned(DOWN, at_stage(Stage::Replaced, true)), [START, WAIT]);
    assert_eq!(planned(DOWN, at_stage(Stage::Started, true)), [START, WAIT]);
    assert_eq!(
        planned(("active", "disabled"), at_stage(Stage::Started, true)),
        [START, WAIT]
    );
    assert_eq!(planned(RUNS, at_stage(Stage::Started, true)), [""; 0]);
    let coming = Server {
        ready: false,
        ..server(RUNS, at_stage(Stage::Started, true))
    };
    assert_eq!(words(start(&coming, BACKUP)), [WAIT]);
}

#[test]
fn what_is_given_back_depends_on_what_was_touched() {
    let given = |record, touched| words(give_back(&server(DOWN, record), BACKUP, touched));
    assert_eq!(given(None, false), [""; 0]);
    assert_eq!(given(at_stage(Stage::Stopped, true), false), [START, FORGET]);
    assert_eq!(given(at_stage(Stage::Stopped, false), false), [START, FORGET]);
    assert_eq!(given(at_stage(Stage::Stopped, false), true), [ASIDE, ENABLE]);
    for stage in [Stage::Replacing, Stage::Replaced, Stage::Started] {
        assert_eq!(given(at_stage(stage, true), false), [ENABLE], "{stage:?}");
        assert_eq!(given(at_stage(stage, false), true), [ENABLE], "{stage:?}");
    }
    let was_off = at_stage(Stage::Stopped, true).map(|record| Record {
        enabled: false,
        active: false,
        ..record
    });
    assert_eq!(given(was_off, false), [FORGET]);
    let was_idle = at_stage(Stage::Stopped, true).map(|record| Record {
        active: false,
        ..record
    });
    assert_eq!(given(was_idle, false), [ENABLE, FORGET]);
}

#[test]
fn a_reset_knows_what_the_node_is_not_told() {
    let arguments = |server: Server| reset::prepare(&server).unwrap().arguments.join(" ");
    let down = || server(DOWN, at_stage(Stage::Stopped, true));
    assert_eq!(arguments(down()), "--cluster-reset");
    let fresh = Server {
        cluster_init: false,
        datastore: None,
        ..down()
    };
    assert_eq!(arguments(fresh), "--cluster-init --cluster-reset");
    let joined = Server {
        cluster_init: false,
        joins: Some(Given {
            value: "https://a".to_owned(),
            place: "a file".to_owned(),
        }),
        s3: true,
        ..down()
    };
    assert_eq!(arguments(joined), "--etcd-s3=false --cluster-reset");
}
