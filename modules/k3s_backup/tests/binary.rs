//! The binary under its deprecated name, carried "inside" by a `pct` whose container is this machine.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use serde_json::json;
use std::path::Path;
use std::process::Command;
use testbed::Programs;

#[test]
fn the_deprecated_name_copies_a_database_as_before() {
    let programs = Programs::new().with_pct();
    let (data, dest) = (programs.folder().join("data"), programs.folder().join("backups"));
    std::fs::create_dir_all(data.join("server/db")).unwrap();
    std::fs::write(data.join("server/token"), "K10abc::server:s3cr3t\n").unwrap();
    let made = Command::new("sqlite3")
        .arg(data.join("server/db/state.db"))
        .arg("CREATE TABLE kine (name); INSERT INTO kine VALUES ('here')")
        .status();
    assert!(made.unwrap().success());
    let arguments = json!({"vmid": 101, "data_dir": data, "dest": dest});
    let answer = programs.answer(assert_cmd::cargo::cargo_bin!("k3s_backup"), &arguments);
    assert_eq!(
        (&answer["failed"], &answer["datastore"]),
        (&json!(false), &json!("sqlite")),
        "{answer}"
    );
    let path = Path::new(answer["path"].as_str().unwrap());
    assert!(path.starts_with(&dest) && path.ends_with("state.db"), "{answer}");
    let rows = Command::new("sqlite3")
        .arg(path)
        .arg("SELECT name FROM kine")
        .output()
        .unwrap();
    assert_eq!(rows.stdout, b"here\n");
    assert!(path.with_file_name("token").is_file());
    assert!(!answer.to_string().contains("s3cr3t"));
}
