use super::*;
use crate::state::Token;
use host::Secret;
use k3s_node::config::Given;
use k3s_node::{LaunchConfig, Show};
use serde_json::json;
use std::time::Duration;

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
        launch: LaunchConfig {
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
        own_token: true,
        node_password: true,
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

fn token(location: Option<&str>) -> Token {
    Token {
        password: Secret::new("s3cr3t"),
        location: location.map(str::to_owned),
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
                file("server/token", ""), file("etc/rancher/node/password", ""),
            ],
        },
    }))
    .unwrap()
}

fn view(server: Server, archive: Option<Checked>) -> View {
    View {
        server,
        archive,
        objects: server_archive::Objects::new(),
        nodes: Vec::new(),
        with_password: None,
        now: SystemTime::UNIX_EPOCH + Duration::from_hours(490_920),
    }
}

fn steps(view: View, goal: Goal) -> Result<Vec<Step>> {
    let wanted = Wanted::Restored {
        backup: BACKUP.to_owned(),
        goal,
    };
    plan(&wanted, &State::Server(Box::new(view)))
}

/// What is planned, in words.
fn planned(view: View, goal: Goal) -> Vec<String> {
    match steps(view, goal) {
        Ok(steps) => steps.iter().map(ToString::to_string).collect(),
        Err(error) => vec![format!("refused: {error}")],
    }
}

fn of(server: Server, goal: Goal) -> Vec<String> {
    planned(view(server, None), goal)
}

fn replaced_by(identity: &BTreeMap<String, String>) -> Goal {
    Goal::Replaced {
        archive: "/b.tar.gz".to_owned(),
        identity: identity.clone(),
    }
}

fn replaced(server: Server, checked: Option<&Checked>) -> Vec<String> {
    planned(view(server, checked.cloned()), replaced_by(&BTreeMap::new()))
}

fn started() -> Goal {
    Goal::Started { admit: Vec::new() }
}

const STOPPED: Goal = Goal::Stopped { first: true };
const BEGIN: &str = "record that a restore begins, and how k3s runs";
const STOP: &str = "stop k3s, and disable its start at boot";
const BRING: &str = "copy the backup into the container, and unpack it";
const REPLACING: &str = "record that the old data is being replaced";
const RESET: &str = "let k3s replace its etcd with the backup's";
const REPLACED: &str = "record that the old data is replaced";
const STARTED: &str = "record that k3s may start";
const ENABLE: &str = "enable the start of k3s at boot";
const START: &str = "start k3s";
const WAIT: &str = "wait until its API is ready";
const FINISH: &str = "remove the unpacked backup, and record that the restore is finished";
const FORGET: &str = "remove the record of the restore";
const ASIDE: &str = "set the old database aside in server/before-restore-20260102T000000Z";
const SQLITE: &str = "put the backup's SQLite datastore in place, and keep the old one in server/before-restore-20260102T000000Z";

/// Its state after a step, as far as the plan sees.
fn take(server: &mut Server, step: &Step) {
    match &step.act {
        Act::Record(record) => server.record = Some(record.clone()),
        Act::Stop => {
            (server.show.active, server.show.enabled) = ("inactive".into(), "disabled".into());
            server.ready = false;
        }
        Act::Bring { .. } => server.unpacked = true,
        Act::Enable => server.show.enabled = "enabled".into(),
        Act::Start => server.show.active = "active".into(),
        Act::Wait => server.ready = true,
        Act::Finish { .. } => server.record = None,
        _ => (),
    }
}

/// A server holds secrets and is not cloned; this one has only those of the test.
fn copy_of(of: &Server) -> Server {
    Server {
        show: of.show.clone(),
        unpacked: of.unpacked,
        ready: of.ready,
        ..server(RUNS, of.record.clone())
    }
}

/// Takes the server through all states, and is killed after so many steps; whether it came to the end.
fn restore(server: &mut Server, first: bool, mut steps_left: usize) -> bool {
    let checked = backup("v1.31.4+k3s1", "etcd", true);
    let goals = [
        Goal::Stopped { first },
        replaced_by(&BTreeMap::new()),
        started(),
        Goal::Finished,
    ];
    for goal in goals {
        let seen = |server: &Server| view(copy_of(server), Some(checked.clone()));
        for step in steps(seen(server), goal.clone()).unwrap() {
            if steps_left == 0 {
                return false;
            }
            steps_left -= 1;
            take(server, &step);
        }
        assert_eq!(
            planned(seen(server), goal),
            [""; 0],
            "nothing is done a second time"
        );
    }
    true
}

#[test]
fn a_run_that_was_killed_after_any_step_is_continued() {
    for (first, steps) in [(true, 11), (false, 10)] {
        for killed_after in 0..=steps {
            let mut server = server(RUNS, None);
            assert_eq!(
                restore(&mut server, first, killed_after),
                killed_after == steps,
                "{killed_after}"
            );
            if killed_after < steps {
                assert!(restore(&mut server, first, usize::MAX));
            }
            assert_eq!(server.record, None, "{killed_after}");
            assert!(server.ready && server.show.is_alive() && server.show.is_enabled());
        }
    }
}

#[test]
fn a_server_is_stopped_until_it_was_started_with_the_backup() {
    let stopped = |state, record| of(server(state, record), STOPPED);
    assert_eq!(stopped(RUNS, None), [BEGIN, STOP]);
    // One that is down too is recorded; it stays down.
    assert_eq!(stopped(DOWN, None), [BEGIN]);
    assert_eq!(stopped(("deactivating", "disabled"), None), [BEGIN, STOP]);
    assert_eq!(stopped(DOWN, at_stage(Stage::Replacing, true)), [""; 0]);
    assert_eq!(
        stopped(("inactive", "enabled"), at_stage(Stage::Stopped, true)),
        [STOP]
    );
    assert_eq!(stopped(RUNS, at_stage(Stage::Started, true)), [""; 0]);
}

#[test]
fn how_it_ran_is_recorded_once() {
    let record = |server: Server| match steps(view(server, None), STOPPED).unwrap().remove(0).act {
        Act::Record(record) => record,
        _ => panic!(),
    };
    let fresh = record(server(("failed", "enabled"), None));
    assert_eq!(
        (fresh.enabled, fresh.active, fresh.stamp.as_str()),
        (true, false, "20260102T000000Z")
    );
    // A run that was killed has disabled it already.
    let known = server(("active", "disabled"), at_stage(Stage::Stopped, true));
    assert_eq!(of(known, STOPPED), [STOP]);
}

#[test]
fn keys_and_token_are_placed_where_they_differ() {
    let location = |what: &str| {
        format!(
            "put the backup's {what} in place, and keep old ones in server/before-restore-20260102T000000Z"
        )
    };
    let planned = |server: Server, checked: &Checked| replaced(server, Some(checked));
    let down = || server(DOWN, at_stage(Stage::Stopped, true));
    let same = backup("v1.31.4+k3s1", "etcd", true);
    assert_eq!(planned(down(), &same), [BRING, REPLACING, RESET, REPLACED]);
    let unpacked = Server {
        unpacked: true,
        ..down()
    };
    assert_eq!(planned(unpacked, &same), [REPLACING, RESET, REPLACED]);
    let older = backup("v1.30.2+k3s1", "etcd", true);
    // The record says that something is touched before anything is.
    assert_eq!(
        planned(down(), &older),
        [BRING, REPLACING, &location("CAs and keys"), RESET, REPLACED]
    );
    let mut renewed = down();
    renewed
        .keys
        .insert("tls/client-admin.crt".to_owned(), "ef".to_owned());
    assert_eq!(planned(renewed, &same)[2], location("CAs and keys"));

    let other = backup("v1.31.4+k3s1", "etcd", false);
    assert_eq!(planned(down(), &other)[2], location("token"));
    let set = || Server {
        token: Some(token(Some("the variable K3S_TOKEN"))),
        ..down()
    };
    assert_eq!(
        planned(set(), &other)[2],
        RESET,
        "what an operator has set is not ours"
    );
    let lost = Server {
        own_token: false,
        ..set()
    };
    assert_eq!(planned(lost, &same)[2], location("token"));
    let nothing = Server {
        token: None,
        own_token: false,
        node_password: false,
        keys: BTreeMap::new(),
        ..down()
    };
    assert_eq!(
        planned(nothing, &same)[2],
        location("CAs and keys, token, node password")
    );
    let another_node = Server {
        node: "n2".to_owned(),
        node_password: false,
        ..down()
    };
    assert_eq!(planned(another_node, &same)[2], RESET, "its password is another");
}

#[test]
fn a_datastore_is_replaced_once() {
    let planned = |stage, checked: Option<&Checked>| replaced(server(DOWN, at_stage(stage, true)), checked);
    let sqlite = backup("v1.31.4+k3s1", "sqlite", true);
    assert_eq!(
        planned(Stage::Stopped, Some(&sqlite)),
        [BRING, REPLACING, SQLITE, REPLACED]
    );
    assert_eq!(
        planned(Stage::Replacing, Some(&sqlite)),
        [BRING, SQLITE, REPLACED]
    );
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
    let running = replaced(server(RUNS, at_stage(Stage::Stopped, true)), Some(&sqlite));
    assert_eq!(running, ["refused: k3s runs: state=stopped comes first"]);
}

#[test]
fn a_peers_database_is_set_aside_and_keys_only_where_they_do_not_fit() {
    let identity = BTreeMap::from([("tls/server-ca.crt".to_owned(), "ab".to_owned())]);
    let with_keys = |hash: &str, identity: &BTreeMap<String, String>| {
        let server = Server {
            keys: keys(hash),
            ..server(DOWN, at_stage(Stage::Stopped, false))
        };
        of(server, replaced_by(identity))[1].clone()
    };
    let keys_too = "set the old database and keys aside in server/before-restore-20260102T000000Z";
    assert_eq!(with_keys("ab", &identity), ASIDE);
    assert_eq!(with_keys("zz", &identity), keys_too);
    assert_eq!(
        with_keys("zz", &BTreeMap::new()),
        ASIDE,
        "nothing to compare with"
    );
    let planned = |stage| of(server(DOWN, at_stage(stage, false)), replaced_by(&identity));
    assert_eq!(planned(Stage::Stopped), [REPLACING, ASIDE, REPLACED]);
    assert_eq!(planned(Stage::Replacing), [ASIDE, REPLACED]);
    assert_eq!(planned(Stage::Replaced), [""; 0]);
}

#[test]
fn a_start_is_finished_whatever_of_it_was_done() {
    let planned = |state, record| of(server(state, record), started());
    assert_eq!(
        planned(DOWN, at_stage(Stage::Replaced, true)),
        [STARTED, ENABLE, START, WAIT]
    );
    assert_eq!(
        planned(DOWN, at_stage(Stage::Started, true)),
        [ENABLE, START, WAIT]
    );
    assert_eq!(
        planned(("active", "disabled"), at_stage(Stage::Started, true)),
        [ENABLE]
    );
    assert_eq!(planned(RUNS, at_stage(Stage::Started, true)), [""; 0]);
    let coming = Server {
        ready: false,
        ..server(RUNS, at_stage(Stage::Started, true))
    };
    assert_eq!(of(coming, started()), [WAIT]);
}

#[test]
fn nodes_are_admitted_whose_passwords_the_cluster_has() {
    let admit = || Goal::Started {
        admit: vec!["n2".to_owned(), "n3".to_owned()],
    };
    let delete = |nodes: &str| format!("delete the node passwords of {nodes}, which may register again");
    // Which there are is not known before the API is ready.
    let down = view(server(DOWN, at_stage(Stage::Replaced, true)), None);
    assert_eq!(
        planned(down, admit()),
        [STARTED, ENABLE, START, WAIT, &delete("n2, n3")]
    );
    let with_password = |nodes: &[&str]| View {
        with_password: Some(nodes.iter().map(|node| (*node).to_owned()).collect()),
        ..view(server(RUNS, at_stage(Stage::Started, true)), None)
    };
    assert_eq!(planned(with_password(&["n3"]), admit()), [delete("n3")]);
    assert_eq!(planned(with_password(&[]), admit()), [""; 0]);
}

#[test]
fn a_restore_is_finished_after_the_start() {
    let planned = |record| of(server(RUNS, record), Goal::Finished);
    assert_eq!(planned(at_stage(Stage::Started, true)), [FINISH]);
    assert_eq!(planned(None), [""; 0]);
    assert_eq!(
        planned(at_stage(Stage::Replaced, true)),
        ["refused: this server is not started yet: the restore is not done"]
    );
}

#[test]
fn what_is_given_back_depends_on_what_was_touched() {
    let given = |record, touched| of(server(DOWN, record), Goal::GivenBack { touched });
    assert_eq!(given(None, false), [""; 0]);
    for first in [true, false] {
        assert_eq!(
            given(at_stage(Stage::Stopped, first), false),
            [ENABLE, START, FORGET]
        );
        for stage in [Stage::Replaced, Stage::Started] {
            assert_eq!(given(at_stage(stage, first), true), [ENABLE], "{stage:?}");
        }
    }
    // A server with keys of the backup beside the old datastore could not run.
    assert_eq!(given(at_stage(Stage::Replacing, true), false), [ENABLE]);
    let aside = [REPLACING, ASIDE, REPLACED, ENABLE];
    assert_eq!(given(at_stage(Stage::Stopped, false), true), aside);
    assert_eq!(given(at_stage(Stage::Replacing, false), true), aside[1..]);
    let running = server(RUNS, at_stage(Stage::Stopped, false));
    assert_eq!(
        of(running, Goal::GivenBack { touched: true }),
        [STOP, REPLACING, ASIDE, REPLACED, ENABLE]
    );
    let was = |enabled, active| {
        at_stage(Stage::Stopped, true).map(|record| Record {
            enabled,
            active,
            ..record
        })
    };
    assert_eq!(given(was(false, false), false), [FORGET]);
    assert_eq!(given(was(true, false), false), [ENABLE, FORGET]);
    assert_eq!(given(was(false, true), false), [START, FORGET]);
}

#[test]
fn an_agent_is_restarted_and_a_server_is_not() {
    let node = |role: Role, missing: Option<&str>| {
        let node = Node {
            role,
            unit: role.unit().to_owned(),
            binary: "/k3s".to_owned(),
            data_dir: "/data".to_owned(),
            has_kubelet: true,
            missing: missing.map(str::to_owned),
        };
        let wanted = Wanted::NodeReady {
            node: "w1".to_owned(),
            wait: 0,
        };
        match plan(&wanted, &State::Node(node)) {
            Ok(steps) => steps.iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        }
    };
    assert_eq!(node(Role::Agent, None), [""; 0]);
    assert_eq!(
        node(Role::Agent, Some("it is silent")),
        ["restart k3s-agent, and wait until the node is ready"]
    );
    assert_eq!(
        node(Role::Server, Some("it is silent")),
        ["the node w1 of this server is not ready: it is silent. The journal of k3s.service says why"]
    );
}

#[test]
fn a_record_of_the_version_before_is_read() {
    let text = r#"{"backup":"k3s-n1-20260101T000000Z","stamp":"20260102T000000Z","first":true,"stage":"replacing","enabled":true,"active":true}"#;
    assert_eq!(
        Some(Record::parse(text).unwrap()),
        at_stage(Stage::Replacing, true)
    );
    assert_eq!(at_stage(Stage::Replacing, true).unwrap().text().unwrap(), text);
}

#[test]
fn a_reset_runs_etcd_on_a_server_that_is_not_configured_to() {
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
            location: "a file".to_owned(),
        }),
        s3: true,
        ..down()
    };
    assert_eq!(arguments(joined), "--etcd-s3=false --cluster-reset");
}
