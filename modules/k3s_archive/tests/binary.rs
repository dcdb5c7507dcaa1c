//! The binary, carried "inside" by a `pct` whose container is this machine: a real SQLite file, a k3s of a few lines,
//! and archives that other programs open.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use testbed::{Programs, write_programs};

/// One at a time: what one test carries inside must not look like a leftover to another.
static TURN: Mutex<()> = Mutex::new(());

/// A server in a folder of the test. The wrapper sets PATH inside; /usr/local/sbin is its first folder and free on a
/// test machine.
struct Server {
    programs: Programs,
    _turn: MutexGuard<'static, ()>,
}

const K3S: &str = "/usr/local/sbin/k3s";

impl Server {
    /// `save` is what `k3s etcd-snapshot save` does, in shell; `$snapshots` is k3s's own folder for it.
    fn new(save: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let server = Self {
            programs: Programs::new().with_pct(),
            _turn: turn,
        };
        let data = server.data();
        for folder in ["server/db/snapshots", "server/tls/etcd", "server/cred"] {
            std::fs::create_dir_all(data.join(folder)).unwrap();
        }
        std::fs::write(data.join("server/token"), "K10abc::server:s3cr3t\n").unwrap();
        std::fs::write(data.join("server/tls/etcd/peer-ca.key"), "s3cr3t key\n").unwrap();
        let text = format!(
            "#!/bin/sh\nsnapshots={}\ncase \"$*\" in\n--version) echo 'k3s version v1.31.4+k3s1 (abc)';;\n\
             etcd-snapshot*) {save};;\n*api-resources*) printf 'nodes\\nconfigmaps\\nevents\\npods.metrics.k8s.io\\n';;\n\
             *'get nodes,configmaps '*) printf 'node/n1\\nnode/n2\\nconfigmap/a\\nconfigmap/b\\nconfigmap/c\\n';;\n*) exit 1;;\nesac\n",
            data.join("server/db/snapshots").display()
        );
        write_programs([(PathBuf::from(K3S), text.as_str())]);
        server
    }

    fn etcd(save: &str) -> Self {
        let server = Self::new(save);
        std::fs::create_dir_all(server.data().join("server/db/etcd/member/wal")).unwrap();
        std::fs::write(server.data().join("server/new"), snapshot(vec![1; 51_200])).unwrap();
        server
    }

    fn data(&self) -> PathBuf {
        self.programs.folder().join("data")
    }

    fn dest(&self) -> PathBuf {
        self.programs.folder().join("backups")
    }

    fn answer(&self, arguments: &Value) -> Value {
        let output = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("k3s_archive"))
            .env("PATH", self.programs.path())
            .arg(self.programs.arguments(arguments))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn take(&self, more: &Value) -> Value {
        let mut all = json!({"vmid": 101, "node_name": "n1", "data_dir": self.data(), "dest": self.dest()});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.answer(&all)
    }

    fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.dest()) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(K3S);
    }
}

/// Saves what the test has put there under k3s's name for it.
const SAVE: &str = "cp $snapshots/../../new $snapshots/homelab-archive-n1-17";

/// A snapshot as etcd writes it: pages, with their hash at the end.
fn snapshot(pages: Vec<u8>) -> Vec<u8> {
    let hash = Sha256::digest(&pages);
    [pages, hash.to_vec()].concat()
}

fn nothing_is_left(server: &Server) {
    let look = format!(
        "ls -d /var/lib/.homelab-k3s-carried.* /var/lib/homelab-k3s/outgoing.* {}/server/db/snapshots/* 2>/dev/null",
        server.data().display()
    );
    let left = Command::new("sh").args(["-c", &look]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

fn tar(path: &str, arguments: &[&str]) -> String {
    let output = Command::new("tar")
        .args(arguments)
        .arg("-f")
        .arg(path)
        .arg("manifest.json")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn saves_etcd_into_one_private_file_with_a_manifest() {
    let server = Server::etcd(SAVE);
    let answer = server.take(&json!({}));
    assert_eq!(answer["failed"], false, "{answer}");
    let path = answer["path"].as_str().unwrap();
    let content = std::fs::read(path).unwrap();
    assert_eq!(answer["sha256"], format!("{:x}", Sha256::digest(&content)));
    assert_eq!(answer["bytes"], content.len());
    assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(server.dest()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(answer["objects"], json!({"node": 2, "configmap": 3}));
    let files = answer["files"].as_array().unwrap();
    for file in [
        "server/token",
        "server/tls/etcd/peer-ca.key",
        "datastore/snapshot",
    ] {
        assert!(files.contains(&json!(file)), "{files:?}");
    }
    let manifest: Value = serde_json::from_str(&tar(path, &["-xzO"])).unwrap();
    assert_eq!(
        (&manifest["name"], &manifest["k3s_version"], &manifest["nodes"]),
        (&answer["name"], &json!("v1.31.4+k3s1"), &json!(["n1", "n2"]))
    );
    assert!(!answer.to_string().contains("s3cr3t"));
    assert!(!server.programs.calls().contains("s3cr3t"));
    nothing_is_left(&server);
}

#[test]
fn a_live_sqlite_database_is_packed_with_what_is_still_in_its_log() {
    let server = Server::new("exit 9");
    let sql = "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE kine (name); INSERT INTO kine VALUES ('here');\n.system echo in\n";
    let mut writer = Command::new("sqlite3")
        .arg(server.data().join("server/db/state.db"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(writer.stdin.as_mut().unwrap(), sql.as_bytes()).unwrap();
    // It stays open until the end of its input.
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut [0; 3]).unwrap();
    let answer = server.take(&json!({}));
    assert_eq!(
        (&answer["failed"], &answer["datastore"]),
        (&json!(false), &json!("sqlite")),
        "{answer}"
    );
    let unpacked = server.programs.folder().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let opened = Command::new("tar")
        .arg("-xzf")
        .arg(answer["path"].as_str().unwrap())
        .arg("-C")
        .arg(&unpacked)
        .status();
    assert!(opened.unwrap().success());
    let rows = Command::new("sqlite3")
        .arg(unpacked.join("datastore/state.db"))
        .arg("SELECT name FROM kine")
        .output()
        .unwrap();
    assert_eq!(rows.stdout, b"here\n");
    writer.wait().unwrap();
    nothing_is_left(&server);
}

#[test]
fn old_ones_make_room_and_leftovers_of_killed_runs_go() {
    let server = Server::etcd(SAVE);
    std::fs::create_dir(server.dest()).unwrap();
    std::fs::set_permissions(server.dest(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let put = |name: &str| std::fs::write(server.dest().join(name), "x").unwrap();
    let (old, part, foreign) = (
        "k3s-n1-20200101T000000Z.tar.gz",
        "k3s-n1-20200102T000000Z.tar.gz.part",
        "k3s-n2-20200101T000000Z.tar.gz",
    );
    for name in [old, part, foreign] {
        put(name);
    }
    std::fs::create_dir_all("/var/lib/homelab-k3s/outgoing.killed").unwrap();
    std::fs::write(
        server.data().join("server/db/snapshots/homelab-archive-n1-1"),
        "x",
    )
    .unwrap();
    let answer = server.take(&json!({"keep": 1}));
    assert_eq!(answer["failed"], false, "{answer}");
    let new = format!("{}.tar.gz", answer["name"].as_str().unwrap());
    assert_eq!(server.files(), [new, foreign.to_owned()]);
    assert_eq!(answer["removed"], json!([server.dest().join(old)]));
    nothing_is_left(&server);
}

#[test]
fn a_backup_that_fails_leaves_nothing_and_removes_nothing() {
    let damaged = "head -c 51232 /dev/zero >$snapshots/homelab-archive-n1-17";
    for (save, reason) in [
        (damaged, "damaged"),
        ("true", "left no new file"),
        ("echo refused >&2; exit 1", "refused"),
    ] {
        let server = Server::etcd(save);
        std::fs::create_dir(server.dest()).unwrap();
        std::fs::set_permissions(server.dest(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let old = "k3s-n1-20200101T000000Z.tar.gz";
        std::fs::write(server.dest().join(old), "x").unwrap();
        let answer = server.take(&json!({"keep": 1}));
        let msg = answer["msg"].as_str().unwrap();
        assert!(
            msg.contains(reason) && msg.contains("no older one was removed"),
            "{msg}"
        );
        assert_eq!(server.files(), [old]);
        nothing_is_left(&server);
    }
}

#[test]
fn a_file_that_grows_too_large_is_given_up() {
    let server = Server::etcd(SAVE);
    // Not to be pressed, and more than is allowed, while the size of the datastore was not known before.
    let mixed = (0..500_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes());
    let pages: Vec<u8> = mixed.take(1_900_032).collect();
    std::fs::write(server.data().join("server/new"), snapshot(pages)).unwrap();
    let answer = server.take(&json!({"max_mb": 1}));
    let msg = answer["msg"].as_str().unwrap();
    assert!(msg.contains("more came than the 1048576 bytes"), "{msg}");
    assert_eq!(server.files(), [""; 0]);
    nothing_is_left(&server);
}

#[test]
fn without_the_token_there_is_no_backup() {
    let server = Server::etcd(SAVE);
    std::fs::remove_file(server.data().join("server/token")).unwrap();
    let answer = server.take(&json!({}));
    assert!(
        answer["msg"]
            .as_str()
            .unwrap()
            .contains("without the server's token"),
        "{answer}"
    );
    assert_eq!(server.files(), [""; 0]);
}

#[test]
fn an_api_that_is_away_does_not_keep_the_backup_from_being_taken() {
    let server = Server::etcd(SAVE);
    let text = std::fs::read_to_string(K3S)
        .unwrap()
        .replace("*api-resources*)", "never)");
    write_programs([(PathBuf::from(K3S), text.as_str())]);
    let answer = server.take(&json!({}));
    assert_eq!(
        (&answer["failed"], &answer["objects"]),
        (&json!(false), &json!({})),
        "{answer}"
    );
}

#[test]
fn a_backup_is_verified_where_it_lies() {
    let server = Server::etcd(SAVE);
    let taken = server.take(&json!({}));
    let copy = server.programs.folder().join("copy.tar.gz");
    std::fs::copy(taken["path"].as_str().unwrap(), &copy).unwrap();
    let verify =
        |sha256: &Value| server.answer(&json!({"state": "verified", "path": copy, "sha256": sha256}));
    let same = verify(&taken["sha256"]);
    assert_eq!(
        (&same["failed"], &same["changed"]),
        (&json!(false), &json!(false)),
        "{same}"
    );
    for key in [
        "name",
        "objects",
        "files",
        "taken_at",
        "node",
        "bytes",
        "datastore",
    ] {
        assert_eq!(same[key], taken[key], "{key}");
    }
    let other = verify(&json!("0".repeat(64)));
    assert!(
        other["msg"]
            .as_str()
            .unwrap()
            .contains("is another file than the one"),
        "{other}"
    );
    let mut content = std::fs::read(&copy).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&copy, content).unwrap();
    let damaged = verify(&Value::Null);
    assert!(
        damaged["msg"].as_str().unwrap().contains("checking a backup"),
        "{damaged}"
    );
    let none = server.answer(&json!({"state": "verified", "path": "/no/such/file"}));
    assert!(none["msg"].as_str().unwrap().contains("/no/such/file"), "{none}");
}

#[test]
fn check_mode_touches_nothing() {
    let server = Server::etcd(SAVE);
    let answer = server.take(&json!({"_ansible_check_mode": true}));
    assert_eq!(answer["changed"], true, "{answer}");
    assert!(!Path::new(&server.dest()).exists());
    nothing_is_left(&server);
}

/// With a state whose backup stays in the container.
fn stay(server: &Server, arguments: Value) -> Value {
    let mut all = json!({"vmid": 101, "data_dir": server.data()});
    let more = arguments.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    server.answer(&all)
}

fn copied(server: &Server, keep: usize) -> Value {
    stay(
        server,
        json!({"state": "copied", "dest": server.dest(), "name": "pre-upgrade", "keep": keep}),
    )
}

#[test]
fn a_copy_is_a_private_folder_with_the_datastore_and_the_token() {
    let server = Server::new("exit 9");
    let sql = "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE kine (name); INSERT INTO kine VALUES ('here');\n.system echo in\n";
    let mut writer = Command::new("sqlite3")
        .arg(server.data().join("server/db/state.db"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(writer.stdin.as_mut().unwrap(), sql.as_bytes()).unwrap();
    // It stays open until the end of its input.
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut [0; 3]).unwrap();
    let answer = copied(&server, 5);
    assert_eq!(answer["failed"], false, "{answer}");
    let path = answer["path"].as_str().unwrap();
    let rows = Command::new("sqlite3")
        .args(["-readonly", path, "SELECT name FROM kine"])
        .output()
        .unwrap();
    assert_eq!(rows.stdout, b"here\n");
    let content = std::fs::read(path).unwrap();
    assert_eq!(answer["bytes"], content.len());
    assert_eq!(answer["sha256"], format!("{:x}", Sha256::digest(&content)));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    let path = Path::new(path);
    let token = path.with_file_name("token");
    assert_eq!(std::fs::read(&token).unwrap(), b"K10abc::server:s3cr3t\n");
    assert_eq!((mode(path), mode(&token)), (0o600, 0o600));
    assert_eq!(
        (mode(&server.dest()), mode(path.parent().unwrap())),
        (0o700, 0o700)
    );
    writer.wait().unwrap();
    assert!(!answer.to_string().contains("s3cr3t"));
    nothing_is_left(&server);
}

#[test]
fn a_copied_snapshot_leaves_the_folder_of_k3s_and_the_oldest_copy_goes() {
    let server = Server::etcd(SAVE);
    for name in [
        "pre-upgrade-20200101T000000Z",
        "pre-upgrade-20200102T000000Z.part",
        "nightly-20200101T000000Z",
    ] {
        std::fs::create_dir_all(server.dest().join(name)).unwrap();
    }
    let answer = copied(&server, 1);
    assert_eq!(answer["failed"], false, "{answer}");
    let path = Path::new(answer["path"].as_str().unwrap());
    assert_eq!(path.file_name().unwrap(), "snapshot");
    assert_eq!(answer["bytes"], 51_232);
    let name = path.parent().unwrap().file_name().unwrap().to_string_lossy();
    assert_eq!(server.files(), ["nightly-20200101T000000Z", &name]);
    assert_eq!(
        answer["removed"],
        json!([server.dest().join("pre-upgrade-20200101T000000Z")])
    );
    nothing_is_left(&server);
}

#[test]
fn a_copy_that_fails_leaves_nothing_and_removes_nothing() {
    let damaged = "head -c 51232 /dev/zero >$snapshots/homelab-archive-n1-17";
    for (save, part) in [(damaged, "damaged"), ("true", "left no new file")] {
        let server = Server::etcd(save);
        let old = "pre-upgrade-20200101T000000Z";
        std::fs::create_dir_all(server.dest().join(old)).unwrap();
        let answer = copied(&server, 1);
        let msg = answer["msg"].as_str().unwrap();
        assert!(
            msg.contains(part) && msg.contains("no older one was removed"),
            "{msg}"
        );
        assert_eq!(server.files(), [old]);
        nothing_is_left(&server);
    }
}

#[test]
fn a_copy_without_the_token_is_none() {
    let server = Server::etcd(SAVE);
    std::fs::remove_file(server.data().join("server/token")).unwrap();
    let answer = copied(&server, 5);
    let msg = answer["msg"].as_str().unwrap();
    assert!(msg.contains("copying the server's token"), "{msg}");
    assert_eq!(server.files(), [""; 0]);
    nothing_is_left(&server);
}

/// Saves, lists and deletes in the folder of snapshots; a snapshot is complete.
const IN_PLACE: &str = r#"cd $snapshots || exit 1
case "$2" in
save) n=17; while [ -e "$4-$(uname -n)-$n" ]; do n=$((n + 1)); done; cp ../../new "$4-$(uname -n)-$n";;
ls) echo '{"items": ['; for name in *; do
    printf '%s{"spec": {"snapshotName": "%s", "location": "file:///s/%s"}}\n' "$comma" "$name" "$name"; comma=,; done; echo ']}';;
delete) for name; do :; done; rm -f -- "$name";;
esac"#;

#[test]
fn a_snapshot_is_listed_and_the_oldest_goes_through_k3s() {
    let server = Server::etcd(IN_PLACE);
    let snapshot = || {
        stay(
            &server,
            json!({"state": "snapshot", "name": "validated", "keep": 1}),
        )
    };
    let (first, second) = (snapshot(), snapshot());
    assert_eq!(first["failed"], false, "{first}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .unwrap()
        .trim()
        .to_lowercase();
    let snapshots = server.data().join("server/db/snapshots");
    assert_eq!(
        first["path"],
        json!(snapshots.join(format!("validated-{host}-17")))
    );
    assert_eq!(
        (&first["bytes"], &first["listed"]),
        (&json!(51_232), &json!(true))
    );
    assert_eq!(
        second["removed"],
        json!([format!("validated-{host}-17")]),
        "{second}"
    );
    let left: Vec<_> = std::fs::read_dir(&snapshots)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [format!("validated-{host}-18").as_str()]);
    assert_eq!(server.files(), [""; 0]);
}
