//! The module on a server: its own programs run in a real shell, on a real `SQLite` database.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    reason = "the server of these tests is made of files and processes, and a panic is how a test fails"
)]

mod failures;
mod kills;
mod server;

use ansible_module::{Call, params, run};
use k3s_datastore::K3sDatastore;
use serde_json::{Value, json};
use server::{BACKUPS, DB, DROP_IN, OBJECTS, RECORD, Server};

fn call(server: &Server, arguments: &Value, check: bool) -> Value {
    let mut all = json!({"run_id": "run-1", "_ansible_check_mode": check});
    all.as_object_mut()
        .unwrap()
        .extend(arguments.as_object().unwrap().clone());
    let call = Call::parse(&serde_json::to_vec(&all).unwrap()).unwrap();
    let params = params::<K3sDatastore>(&call).unwrap();
    let answer = run::<K3sDatastore>(&params, &call, &**server).into_json();
    assert!(!answer.to_string().contains("s3cr3t"), "{answer:#}");
    answer
}

/// At no start has k3s served anything but a complete cluster.
fn assert_never_served_less(server: &Server, context: &str) {
    let history = server.history();
    let wrong = history
        .iter()
        .find(|line| ["partial", "empty"].contains(&line.as_str()));
    assert_eq!(wrong, None, "{context}: k3s has served {history:?}");
    let sqlite: std::collections::BTreeSet<_> =
        history.iter().filter(|line| line.starts_with("sqlite")).collect();
    assert!(sqlite.len() <= 1, "{context}: SQLite has changed: {history:?}");
}

fn files_of_ours(server: &Server) -> Vec<String> {
    let unit = server.text("state/unit");
    [
        format!("etc/systemd/system/{unit}.d"),
        format!("run/systemd/system/{unit}.d"),
        "var/lib/homelab-k3s".to_owned(),
    ]
    .iter()
    .flat_map(|folder| server.names(folder))
    .filter(|name| name != "backups")
    .collect()
}

/// All objects are in etcd, k3s runs on it, and nothing of ours is left but cluster-init and the copy.
fn assert_on_etcd(server: &Server, context: &str) {
    assert_never_served_less(server, context);
    assert_eq!(server.etcd().len() as u64, OBJECTS, "{context}");
    assert!(!server.has(&format!("{DB}/state.db")), "{context}");
    assert_eq!(server.text("state/active").trim(), "active", "{context}");
    assert_eq!(server.text(DROP_IN), "cluster-init: true\n", "{context}");
    assert_eq!(files_of_ours(server), [""; 0], "{context}");
    let copies = server.names(BACKUPS);
    assert!(!copies.is_empty(), "{context}: there is no copy");
    for copy in copies {
        let database = format!("{BACKUPS}/{copy}/state.db");
        assert_eq!(server.sqlite(&database).len() as u64, OBJECTS, "{context}");
        assert_eq!(
            server.text(&format!("{BACKUPS}/{copy}/token")),
            "K10abc::server:s3cr3t\n"
        );
    }
}

/// Everything is as before, but for the copy and what was moved aside.
fn assert_on_sqlite(server: &Server, context: &str) {
    assert_never_served_less(server, context);
    assert_eq!(
        server.sqlite(&format!("{DB}/state.db")).len() as u64,
        OBJECTS,
        "{context}"
    );
    assert!(!server.has(&format!("{DB}/etcd/member/wal")), "{context}");
    assert_eq!(server.text("state/active").trim(), "active", "{context}");
    assert!(!server.has(DROP_IN) && !server.has(RECORD), "{context}");
    assert_eq!(files_of_ours(server), [""; 0], "{context}");
}

#[test]
fn a_server_is_moved_to_etcd_and_the_second_run_changes_nothing() {
    let server = Server::new();
    let answer = call(&server, &json!({}), false);
    assert_eq!(
        (&answer["failed"], &answer["changed"]),
        (&json!(false), &json!(true)),
        "{answer:#}"
    );
    assert_on_etcd(&server, "moved");
    for (key, value) in [
        ("datastore_before", json!("sqlite")),
        ("datastore_after", json!("etcd")),
        ("objects_before", json!(OBJECTS)),
        ("objects_after", json!(OBJECTS)),
        ("compared", json!(true)),
        ("rolled_back", json!(false)),
        ("record", json!(null)),
    ] {
        assert_eq!(answer[key], value, "{key}");
    }
    assert_eq!(answer["member"]["voter"], true);
    let outage = answer["outage_seconds"].as_u64().unwrap();
    assert!((10..60).contains(&outage), "{outage}");
    let backup = answer["backup"].as_str().unwrap();
    assert!(server.has(backup), "{backup}");
    let again = call(&server, &json!({}), false);
    assert_eq!(
        (&again["failed"], &again["changed"]),
        (&json!(false), &json!(false)),
        "{again:#}"
    );
    assert_eq!(again["datastore_after"], "etcd");
}

#[test]
fn a_server_in_a_unit_of_another_name_is_moved_and_moved_back_under_it() {
    let fails = Server::in_unit("k3s-server.service");
    fails.put("state/migration", "dies\n");
    let answer = call(&fails, &json!({}), false);
    assert_eq!(answer["rolled_back"], true, "{answer:#}");
    assert_on_sqlite(&fails, "back");
    let server = Server::in_unit("k3s-server.service");
    let shutdown = "[Service]\nType=oneshot\nExecStop=/usr/local/bin/k3s-killall.sh\n";
    server.put("etc/systemd/system/k3s-shutdown.service", shutdown);
    let answer = call(&server, &json!({}), false);
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_on_etcd(&server, "moved");
}

#[test]
fn check_mode_says_the_steps_and_touches_nothing() {
    let server = Server::new();
    let before = server.files("");
    let answer = call(&server, &json!({}), true);
    assert_eq!(answer["changed"], true);
    assert_eq!(answer["actions"].as_array().unwrap().len(), 8, "{answer:#}");
    assert_eq!(answer["objects_before"], OBJECTS);
    let ours = |files: &[(String, String)]| -> Vec<String> {
        let names = files.iter().map(|(name, _)| name.clone());
        names
            .filter(|name| !name.starts_with("/state/") && !name.contains("state.db-"))
            .collect()
    };
    assert_eq!(ours(&server.files("")), ours(&before));
    assert_eq!(server.history(), [""; 0]);
}

#[test]
fn nothing_of_ours_shows_in_a_list_of_processes() {
    // The sandbox refuses every command with an argument; what is fed by standard input is looked at here.
    let server = Server::new();
    call(&server, &json!({}), false);
    for script in server.fed.borrow().iter() {
        assert!(!script.contains("s3cr3t"), "{script}");
    }
}
