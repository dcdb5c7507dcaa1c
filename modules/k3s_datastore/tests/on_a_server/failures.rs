//! What goes wrong, and what is left then.

use crate::*;

/// Fails with these words, and `SQLite` serves again as before.
fn goes_back(server: &Server, arguments: &Value, words: &[&str]) -> Value {
    let answer = call(server, arguments, false);
    assert_eq!(answer["failed"], true, "{answer:#}");
    let msg = answer["msg"].as_str().unwrap();
    for word in words {
        assert!(msg.contains(word), "{msg}\nhas no {word:?}");
    }
    assert_on_sqlite(server, msg);
    assert_eq!(
        (&answer["rolled_back"], &answer["datastore_after"]),
        (&json!(true), &json!("sqlite")),
        "{answer:#}"
    );
    answer
}

fn and_succeeds_the_next_time(server: &Server) {
    let answer = call(server, &json!({}), false);
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_on_etcd(server, "the next time");
}

#[test]
fn undoes_a_failed_migration_and_reports_the_error_of_k3s() {
    let server = Server::new();
    server.put("state/migration", "dies\n");
    let answer = goes_back(
        &server,
        &json!({}),
        &[
            "k3s.service has ended (failed)",
            "level=fatal",
            "failed to migrate with ********",
            "SQLite is the datastore as before",
            "the copy and the token are in /var/lib/homelab-k3s/backups/pre-etcd-",
        ],
    );
    assert_eq!(answer["actions"].as_array().unwrap().len(), 5, "{answer:#}");
    assert!(answer["outage_seconds"].as_u64().unwrap() > 0);
    let aside = server.names(DB);
    assert_eq!(
        aside
            .iter()
            .filter(|name| name.starts_with("etcd-failed-"))
            .count(),
        1,
        "{aside:?}"
    );
    // Once more: of what was moved aside only the last is kept.
    goes_back(&server, &json!({}), &["has ended"]);
    let aside = server.names(DB);
    assert_eq!(
        aside.iter().filter(|name| name.starts_with("etcd-")).count(),
        1,
        "{aside:?}"
    );
    server.repair();
    and_succeeds_the_next_time(&server);
}

#[test]
fn objects_that_are_lost_are_named_and_the_migration_is_undone() {
    let server = Server::new();
    server.put("state/migration", "loses\n");
    let answer = goes_back(
        &server,
        &json!({}),
        &[
            "etcd does not hold what SQLite held: 1 objects are missing (20 before, 19 after), such as /registry/configmaps/default/cm-01",
            "SQLite is the datastore as before",
        ],
    );
    assert_eq!(
        (&answer["objects_before"], &answer["objects_after"]),
        (&json!(20), &json!(19))
    );
    // What k3s has moved away is not what serves now: the copy is.
    assert!(server.has(&format!("{DB}/state.db.migrated")));
    server.repair();
    and_succeeds_the_next_time(&server);
}

#[test]
fn a_k3s_that_does_not_come_back_in_time_is_undone() {
    let server = Server::new();
    server.put("state/migration", "hangs\n");
    goes_back(
        &server,
        &json!({"timeout": 60}),
        &["took longer than 60 s", "SQLite is not moved yet"],
    );
}

#[test]
fn a_k3s_that_does_not_migrate_is_not_taken_for_one_that_has() {
    let server = Server::new();
    server.put("state/migration", "ignores\n");
    goes_back(
        &server,
        &json!({}),
        &["state.db was not moved", "has not migrated"],
    );
}

#[test]
fn a_migration_that_ends_while_its_server_is_being_looked_at_is_one_that_ended() {
    let server = Server::new();
    server.put("state/migration", "late\n");
    let answer = call(&server, &json!({}), false);
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_on_etcd(&server, "late");
}

#[test]
fn an_etcd_that_elects_while_it_is_compared_is_asked_again() {
    let server = Server::new();
    server.put("state/etcd-elects", "");
    let answer = call(&server, &json!({}), false);
    assert_eq!(answer["failed"], false, "{answer:#}");
    assert_on_etcd(&server, "once more");
}

#[test]
fn an_etcd_that_cannot_be_compared_is_not_believed() {
    let server = Server::new();
    server.put("state/etcd-is-silent", "");
    let words = [
        "etcd to be compared with the copy of SQLite took longer than 60 s",
        "no answer within 15s",
    ];
    goes_back(&server, &json!({}), &words);
}

#[test]
fn where_systemd_would_start_it_again_k3s_is_not_started() {
    let server = Server::new();
    server.put("state/foreign-restart", "on-failure\n");
    let answer = call(&server, &json!({}), false);
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("k3s.service has Restart=on-failure in spite of /run/systemd/system/"),
        "{msg}"
    );
    assert_on_sqlite(&server, msg);
    assert!(
        server.history().iter().all(|line| line.starts_with("sqlite")),
        "{:?}",
        server.history()
    );
}

#[test]
fn a_copy_that_fails_leaves_sqlite_and_starts_it_again() {
    let server = Server::new();
    server.remove_file("var/lib/rancher/k3s/server/token");
    let answer = call(&server, &json!({}), false);
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("copying SQLite") && msg.contains("server/token"),
        "{msg}"
    );
    assert!(msg.contains("SQLite is the datastore as before"), "{msg}");
    assert_on_sqlite(&server, msg);
}

#[test]
fn a_k3s_that_does_not_stop_is_left_running() {
    let server = Server::new();
    server.put("state/stop-hangs", "");
    let answer = call(&server, &json!({}), false);
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("waiting for k3s.service to stop took longer than 150 s"),
        "{msg}"
    );
    assert_on_sqlite(&server, msg);
}

#[test]
fn restores_the_original_when_the_copy_is_unusable() {
    for damage in ["altered", "removed"] {
        let server = Server::new();
        server.put("state/migration", "hangs\n");
        // Killed when k3s was started: the copy is taken, and something happens to it.
        server.die_after.set(12);
        call(&server, &json!({}), false);
        server.revive();
        let copy = format!("{BACKUPS}/{}/state.db", server.names(BACKUPS)[0]);
        if damage == "altered" {
            server.put(&copy, "not what was copied");
        } else {
            server.remove_file(&copy);
        }
        let answer = call(&server, &json!({"timeout": 30}), false);
        let msg = answer["msg"].as_str().unwrap();
        assert_on_sqlite(&server, msg);
        assert_eq!(answer["rolled_back"], true, "{damage}: {msg}");
    }
}

#[test]
fn where_the_copy_cannot_be_brought_the_original_serves() {
    let server = Server::new();
    server.put("state/migration", "dies\n");
    let kept = std::fs::read_to_string(server.path("bin/cp")).unwrap();
    let full =
        "case \"$*\" in *state.db.part*) echo \"cp: No space left on device\" >&2; exit 1 ;; esac\nexec ";
    server.put_program("bin/cp", &kept.replace("exec ", full));
    let words = ["the database is the original, since the copy was not usable"];
    goes_back(&server, &json!({}), &words);
    assert!(!server.has(&format!("{DB}/state.db.part")));
    server.put_program("bin/cp", &kept);
    server.repair();
    and_succeeds_the_next_time(&server);
}

#[test]
fn a_start_that_is_refused_is_undone() {
    let server = Server::new();
    server.put("state/start-fails", "");
    goes_back(&server, &json!({}), &["starting k3s.service", "Failed to start"]);
}

#[test]
fn where_the_way_back_fails_too_the_record_stays_and_the_next_run_heals() {
    let server = Server::new();
    server.put("state/migration", "dies\n");
    // k3s fails, and then nothing can be moved aside.
    let db = server.path(DB);
    let kept = std::fs::read_to_string(server.path("bin/mv")).unwrap();
    let broken = kept.replace(
        "exec ",
        "case \"$*\" in *etcd-failed*) echo \"mv: No space left on device\" >&2; exit 1 ;; esac\nexec ",
    );
    server.put_program("bin/mv", &broken);
    let answer = call(&server, &json!({}), false);
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("going back to SQLite failed too") && msg.contains("No space left"),
        "{msg}"
    );
    assert!(
        msg.contains("Run the same again") && msg.contains("/state.db"),
        "{msg}"
    );
    assert!(server.has(RECORD));
    assert!(db.join("state.db").is_file());
    server.put_program("bin/mv", &kept);
    server.repair();
    and_succeeds_the_next_time(&server);
}

#[test]
fn long_after_a_migration_nothing_is_thrown_away() {
    let server = Server::new();
    // The module died when etcd held everything, and k3s went on for an hour.
    server.die_after.set(13);
    call(&server, &json!({}), false);
    server.revive();
    assert!(!server.has(&format!("{DB}/state.db")), "k3s has moved it");
    server.pass(std::time::Duration::from_hours(1));
    server.put("state/active", "failed\n");
    server.put("state/start-fails", "");
    let answer = call(&server, &json!({}), false);
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("what was written since would be lost by going back"),
        "{msg}"
    );
    assert_eq!(answer["rolled_back"], false);
    assert_eq!(server.etcd().len() as u64, OBJECTS);
    and_succeeds_the_next_time(&server);
}

#[test]
fn what_a_killed_run_left_at_work_is_waited_for() {
    let server = Server::new();
    let lock = std::fs::File::create(server.path("run/homelab-k3s.lock")).unwrap();
    lock.lock().unwrap();
    let answer = call(&server, &json!({"lock_timeout": 0}), false);
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("an earlier run is still running there after 0 s"),
        "{msg}"
    );
    assert_eq!((server.history(), server.has(RECORD)), (Vec::new(), false));
    drop(lock);
    and_succeeds_the_next_time(&server);
}

#[test]
fn refusals_come_before_anything_is_touched() {
    let server = Server::new();
    server.put(
        "etc/rancher/k3s/config.yaml",
        "datastore-endpoint: mysql://u:s3cr3t@h/db\n",
    );
    let answer = call(&server, &json!({}), false);
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("nothing was touched") && msg.contains("/etc/rancher/k3s/config.yaml"),
        "{msg}"
    );
    assert_eq!(answer["refusals"][0]["rule"], "external");
    assert_eq!((server.history(), server.has(RECORD)), (Vec::new(), false));
    assert_eq!(answer["datastore_before"], "external");
}
