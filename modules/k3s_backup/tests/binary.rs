//! The binary, carried "inside" by a `pct` whose container is this machine, on a real SQLite file.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use testbed::Programs;

/// One at a time: what one test carries inside must not look like a leftover to another.
static TURN: Mutex<()> = Mutex::new(());

fn answer(programs: &Programs, arguments: &Value) -> Value {
    programs.answer(assert_cmd::cargo::cargo_bin!("k3s_backup"), arguments)
}

/// A server's data folder; what makes it SQLite or etcd is the test's.
fn server(folder: &Path) {
    std::fs::create_dir_all(folder.join("server/db")).unwrap();
    std::fs::write(folder.join("server/token"), "K10abc::server:s3cr3t\n").unwrap();
}

#[test]
fn a_live_sqlite_database_is_copied_whole_and_privately() {
    let _turn = TURN.lock().unwrap();
    let programs = Programs::new().with_pct();
    let (data, dest) = (programs.folder().join("data"), programs.folder().join("backups"));
    server(&data);
    // Left in the log on purpose: a copy of the main file alone would not have the row.
    let sql = "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE kine (name); INSERT INTO kine VALUES ('here');\n.system echo in\n";
    let mut writer = Command::new("sqlite3")
        .arg(data.join("server/db/state.db"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(writer.stdin.as_mut().unwrap(), sql.as_bytes()).unwrap();
    // It stays open until the end of its input.
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut [0; 3]).unwrap();
    let answer = answer(&programs, &json!({"vmid": 101, "data_dir": data, "dest": dest}));
    assert_eq!(answer["failed"], false, "{answer}");
    let path = answer["path"].as_str().unwrap();
    let rows = Command::new("sqlite3")
        .args([path, "SELECT name FROM kine"])
        .output()
        .unwrap();
    assert_eq!(rows.stdout, b"here\n");
    let content = std::fs::read(path).unwrap();
    assert_eq!(answer["bytes"], content.len());
    assert_eq!(
        answer["sha256"].as_str().unwrap(),
        format!("{:x}", Sha256::digest(&content))
    );
    for file in [Path::new(path), &Path::new(path).with_file_name("token")] {
        assert_eq!(
            std::fs::metadata(file).unwrap().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }
    writer.wait().unwrap();
    assert!(!answer.to_string().contains("s3cr3t"));
}

/// `k3s etcd-snapshot save`, ending with `status` and leaving `bytes` in the folder of snapshots.
fn k3s(data: &Path, bytes: &[u8], status: u8) -> String {
    let source = data.join("server/new");
    std::fs::create_dir_all(data.join("server/db/snapshots")).unwrap();
    std::fs::create_dir_all(data.join("server/db/etcd/member/wal")).unwrap();
    std::fs::write(&source, bytes).unwrap();
    let copy = if bytes.is_empty() {
        "true".to_owned()
    } else {
        format!(
            "cp {} {}/pre-upgrade-n1-1",
            source.display(),
            data.join("server/db/snapshots").display()
        )
    };
    format!("#!/bin/sh\necho saving >&2\n{copy}\nexit {status}\n")
}

fn snapshot(data: &Path, content: &[u8], status: u8) -> Value {
    let programs = Programs::new().with_pct();
    server(data);
    // The wrapper sets PATH inside; /usr/local/sbin is its first folder and free on a test machine.
    let path = Path::new("/usr/local/sbin/k3s");
    std::fs::write(path, k3s(data, content, status)).unwrap();
    Command::new("chmod").arg("755").arg(path).status().unwrap();
    let answer = answer(
        &programs,
        &json!({"vmid": 101, "data_dir": data, "dest": data.join("backups")}),
    );
    std::fs::remove_file(path).unwrap();
    answer
}

#[test]
fn an_etcd_snapshot_is_found_checked_and_moved_whatever_k3s_says() {
    let _turn = TURN.lock().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut content = vec![1_u8; 1024];
    let hash = Sha256::digest(&content);
    content.extend_from_slice(&hash);

    let good = snapshot(&folder.path().join("good"), &content, 0);
    assert_eq!(
        (good["failed"].as_bool(), good["bytes"].as_u64()),
        (Some(false), Some(1056)),
        "{good}"
    );
    assert_eq!(
        std::fs::read_dir(folder.path().join("good/server/db/snapshots"))
            .unwrap()
            .count(),
        0
    );

    content[5] = 9;
    let damaged = snapshot(&folder.path().join("damaged"), &content, 0);
    assert!(damaged["msg"].as_str().unwrap().contains("damaged"), "{damaged}");

    let nothing = snapshot(&folder.path().join("nothing"), b"", 0);
    assert!(
        nothing["msg"].as_str().unwrap().contains("left no new file"),
        "{nothing}"
    );
}

/// Saves, lists and deletes in the folder of snapshots; a snapshot is whole.
const K3S: &str = r#"#!/bin/sh
cd DATA/server/db/snapshots || exit 1
case "$2" in
save) n=17; while [ -e "$4-n1-$n" ]; do n=$((n + 1)); done; cp ../../new "$4-n1-$n";;
ls) echo '{"items": ['; for name in *; do
    printf '%s{"spec": {"snapshotName": "%s", "location": "file:///s/%s"}}\n' "$comma" "$name" "$name"; comma=,; done; echo ']}';;
delete) for name; do :; done; rm -f -- "$name";;
esac
"#;

#[test]
fn a_snapshot_in_place_is_listed_and_the_oldest_goes_through_k3s() {
    let _turn = TURN.lock().unwrap();
    let programs = Programs::new().with_pct();
    let data = programs.folder().join("data");
    server(&data);
    let mut content = vec![1_u8; 1024];
    content.extend_from_slice(&Sha256::digest(vec![1_u8; 1024]));
    k3s(&data, &content, 0);
    std::fs::write(data.join("server/db/etcd/name"), "n1-2f39e6eb").unwrap();
    let path = Path::new("/usr/local/sbin/k3s");
    let k3s = K3S.replace("DATA", &data.display().to_string());
    std::fs::write(path, k3s).unwrap();
    Command::new("chmod").arg("755").arg(path).status().unwrap();
    let arguments = json!({"vmid": 101, "data_dir": data, "in_place": true, "name": "validated", "keep": 1});
    let (first, second) = (answer(&programs, &arguments), answer(&programs, &arguments));
    std::fs::remove_file(path).unwrap();

    let snapshots = data.join("server/db/snapshots");
    assert_eq!(first["failed"], false, "{first}");
    assert_eq!(first["path"], json!(snapshots.join("validated-n1-17")));
    assert_eq!((&first["bytes"], &first["listed"]), (&json!(1056), &json!(true)));
    assert_eq!(second["removed"], json!(["validated-n1-17"]), "{second}");
    let left: Vec<_> = std::fs::read_dir(&snapshots)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["validated-n1-18"]);
    assert!(!data.join("backups").exists());
}

#[test]
fn nothing_carried_is_left_behind() {
    let _turn = TURN.lock().unwrap();
    let programs = Programs::new().with_pct();
    let data = programs.folder().join("data");
    server(&data);
    std::fs::write(data.join("server/db/state.db"), "not a database").unwrap();
    let answer = answer(
        &programs,
        &json!({"vmid": 101, "data_dir": data, "dest": programs.folder().join("b")}),
    );
    assert!(
        answer["msg"]
            .as_str()
            .unwrap()
            .contains("copying the SQLite datastore"),
        "{answer}"
    );
    let left = Command::new("sh")
        .args(["-c", "ls -d /var/lib/.homelab-k3s-carried.* 2>/dev/null"])
        .output()
        .unwrap();
    assert!(
        left.stdout.is_empty(),
        "left: {}",
        String::from_utf8_lossy(&left.stdout)
    );
}
