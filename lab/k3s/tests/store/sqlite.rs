//! `state.db`.

use crate::promises::{self, NODE, keys, seen};
use k3s_standin::store::Store;
use k3s_standin::store::sqlite::SqliteStore;
use rusqlite::Connection;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const WRITER: &str = "STORE_TEST_WRITER";

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    (folder, path)
}

#[tokio::test]
async fn the_promises_are_kept() {
    let (_folder, path) = folder();
    promises::are_kept(&SqliteStore::open(&path).unwrap()).await;
}

#[tokio::test]
async fn the_file_looks_like_kines() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let first = store.put(NODE, &json!("one"), 0).await.unwrap();
    let second = store.put(NODE, &json!("two"), first).await.unwrap();
    store.delete(NODE, second).await.unwrap();
    let db = Connection::open(&path).unwrap();
    let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    assert!(path.with_extension("db-wal").exists() && path.with_extension("db-shm").exists());
    let mut query = db
        .prepare(
            "SELECT id, created, deleted, create_revision, prev_revision, CAST(value AS TEXT), CAST(old_value AS TEXT)
             FROM kine WHERE name = ?1 ORDER BY id",
        )
        .unwrap();
    let rows: Vec<String> = query
        .query_map([NODE], |row| {
            let numbers: Vec<i64> = (0..5).map(|n| row.get(n)).collect::<Result<_, _>>()?;
            Ok(format!(
                "{numbers:?} {:?} {:?}",
                row.get::<_, Option<String>>(5)?,
                row.get::<_, Option<String>>(6)?
            ))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        rows,
        [
            r#"[2, 1, 0, 0, 0] Some("\"one\"") None"#,
            r#"[3, 0, 0, 2, 2] Some("\"two\"") Some("\"one\"")"#,
            r#"[4, 0, 1, 2, 3] Some("\"two\"") Some("\"two\"")"#,
        ]
    );
}

#[tokio::test]
async fn compacts_old_history_and_refuses_an_old_watch() {
    let (_folder, path) = folder();
    let store = SqliteStore::open(&path).unwrap();
    let kept = store.put("/registry/kept", &json!({}), 0).await.unwrap();
    let gone = store.put("/registry/gone", &json!({}), 0).await.unwrap();
    store.delete("/registry/gone", gone).await.unwrap();
    let mut lease = 0;
    for round in 0..2100 {
        lease = store.put("/registry/lease", &json!(round), lease).await.unwrap();
    }
    let rows: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM kine", [], |row| row.get(0))
        .unwrap();
    assert!(rows < 1200, "{rows} rows");
    assert_eq!(
        keys(&store, "/registry/").await,
        ["/registry/kept", "/registry/lease"]
    );
    assert_eq!(
        store.watch(kept).recv().await,
        None,
        "the thread is lost: list again"
    );
    assert_eq!(seen(&mut store.watch(lease - 10), 10).await.len(), 10);
    assert_eq!(store.put("/registry/gone", &json!({}), 0).await, Ok(lease + 1));
}

/// Nothing on its own; the body of the second process when the variable is there.
#[tokio::test]
async fn writer_process() {
    let Some(path) = std::env::var_os(WRITER) else {
        return;
    };
    let store = SqliteStore::open(Path::new(&path)).unwrap();
    for round in 0..u64::MAX {
        let key = format!("/registry/w/{round}");
        let written = store
            .put(&key, &json!({"pad": "x".repeat(1000)}), 0)
            .await
            .unwrap();
        println!("wrote {written}");
    }
}

#[tokio::test]
async fn a_killed_server_keeps_confirmed_writes_and_a_backup_meanwhile_is_consistent() {
    let (folder, path) = folder();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::writer_process", "--nocapture"])
        .env(WRITER, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut confirmed = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .filter_map(|line| {
            line.unwrap()
                .strip_prefix("wrote ")
                .map(|number| number.parse::<u64>().unwrap())
        });
    let before = confirmed.nth(50).unwrap();
    let copy = folder.path().join("copy.db");
    server_archive::sqlite::backup(&path, &copy).unwrap();
    let after = confirmed.nth(50).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let last = confirmed.last().unwrap_or(after);

    let store = SqliteStore::open(&path).unwrap();
    assert!(store.revision().await.unwrap() >= last);
    let copied = SqliteStore::open(&copy).unwrap();
    let revision = copied.revision().await.unwrap();
    assert!(
        revision >= before,
        "{revision} in the copy, {before} were confirmed before it"
    );
    // Row 1 is kine's own; every other one is an entry.
    assert_eq!(keys(&copied, "/registry/").await.len() as u64, revision - 1);
}
