//! A server to migrate: a real SQLite database, and small programs that stand for systemd and k3s. Of etcd there is
//! only the folder, in which the stand-in keeps the keys that it was given.

use host::{Command, Host as _, Output};
use k3s_datastore::inside::{self, Compared, Keys, Request};
use rusqlite::{Connection, params};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::ops::Deref;
use std::path::Path;
use testbed::Sandbox;

const PROGRAMS: &str = include_str!("programs.sh");
const MOVED: [&str; 6] = [
    "/etc/systemd",
    "/etc/rancher",
    "/usr/local/bin",
    "/var/lib/homelab-k3s",
    "/var/lib/rancher",
    "/run/",
];
pub(crate) const DB: &str = "/var/lib/rancher/k3s/server/db";
pub(crate) const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/zz-homelab-k3s-datastore.yaml";
pub(crate) const RECORD: &str = "/var/lib/homelab-k3s/datastore-record.json";
pub(crate) const BACKUPS: &str = "/var/lib/homelab-k3s/backups";
pub(crate) const OBJECTS: u64 = 20;

pub(crate) struct Server(Sandbox);

impl Deref for Server {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

impl Server {
    /// One that serves from `SQLite`, healthy.
    pub(crate) fn new() -> Self {
        Self::in_unit("k3s.service")
    }

    pub(crate) fn in_unit(name: &str) -> Self {
        let sandbox = Sandbox::new(&MOVED, PROGRAMS);
        let root = sandbox.path("");
        let server = Self(sandbox.answering(move |arguments| answer(&root, arguments)));
        for folder in [
            "etc/systemd/system",
            "etc/rancher/k3s",
            "run/systemd/system",
            "usr/local/bin",
            DB,
        ] {
            server.make_folder(folder);
        }
        fs::rename(server.path("bin/k3s"), server.path("usr/local/bin/k3s")).unwrap();
        let unit = "[Service]\nType=notify\nExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--token' \\\n\t's3cr3t' \\\n";
        server.put(&format!("etc/systemd/system/{name}"), &server.moved(unit));
        server.put("state/unit", name);
        server.put("var/lib/rancher/k3s/server/token", "K10abc::server:s3cr3t\n");
        server.put("state/history", "");
        server.put("state/started", "1795360000\n");
        server.put("state/active", "active\n");
        write_database(&server.path(&format!("{DB}/state.db")));
        server
    }

    /// What k3s has served since the beginning, start by start.
    pub(crate) fn history(&self) -> Vec<String> {
        self.text("state/history").lines().map(str::to_owned).collect()
    }

    /// The keys that are in etcd.
    pub(crate) fn etcd(&self) -> Vec<String> {
        self.text(&format!("{DB}/etcd/keys"))
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// What is in `SQLite`, by the last row of each key.
    pub(crate) fn sqlite(&self, path: &str) -> BTreeSet<String> {
        live(&self.path(path))
    }

    /// One object less in a database.
    pub(crate) fn forget_object(&self, path: &str) {
        let connection = Connection::open(self.path(path)).unwrap();
        let sql = "DELETE FROM kine WHERE name LIKE '%/cm-07'";
        assert_eq!(connection.execute(sql, []).unwrap(), 1);
    }

    /// Every process of the machine is gone, and k3s with them where it was just starting.
    pub(crate) fn revive_after_kill(&self) {
        self.revive();
        if self.text("state/active").trim() == "activating" {
            self.put("state/active", "failed\n");
        }
    }

    /// The next migration goes well, whatever the last one did.
    pub(crate) fn repair(&self) {
        let _ = fs::remove_file(self.path("state/migration"));
    }

    /// The machine boots again: what is in `/run` is gone, and systemd starts k3s by itself.
    pub(crate) fn reboot(&self) {
        self.revive();
        let _ = fs::remove_dir_all(self.path("run/systemd/system/k3s.service.d"));
        self.put("state/active", "inactive\n");
        let output = self
            .run(&Command::script("systemctl start --no-block k3s.service\n"))
            .unwrap();
        assert!(output.ok(), "{}", output.error_text());
        self.pass(std::time::Duration::from_mins(1));
        self.forget_counts();
    }
}

fn write_database(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name INTEGER, created INTEGER, deleted INTEGER,
             create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)",
        )
        .unwrap();
    let mut keys: Vec<(String, bool)> = (0..OBJECTS)
        .map(|number| (format!("/registry/configmaps/default/cm-{number:02}"), false))
        .collect();
    keys.push(("/registry/pods/default/gone".to_owned(), false));
    keys.push(("/registry/pods/default/gone".to_owned(), true));
    for (key, deleted) in keys {
        let sql = "INSERT INTO kine (name, deleted, lease, value) VALUES (?1, ?2, 0, x'00')";
        connection.execute(sql, params![key, deleted]).unwrap();
    }
}

fn live(database: &Path) -> BTreeSet<String> {
    let connection = Connection::open(database).unwrap();
    let mut statement = connection
        .prepare("SELECT name FROM kine WHERE deleted = 0 AND id IN (SELECT max(id) FROM kine GROUP BY name)")
        .unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

/// What is about `SQLite` the module's own code answers; what is about etcd, the stand-in's folder.
fn answer(root: &Path, arguments: &[String]) -> Output {
    let request: Request = serde_json::from_str(&arguments[1]).unwrap();
    let db = root.join(DB.trim_start_matches('/'));
    let answered = match request {
        Request::Look { .. } | Request::Copy { .. } => inside::answer(&arguments[1]),
        Request::Member { .. } if db.join("etcd/member/wal").is_dir() => {
            Ok(json!({"id": "8e9e05c52164694d", "name": "node-1a2b3c4d", "voter": true}).to_string())
        }
        Request::Member { .. } => Err(anyhow::anyhow!("connection refused")),
        Request::Compare { .. } if fs::remove_file(root.join("state/etcd-elects")).is_ok() => Err(
            anyhow::anyhow!("reading the objects in etcd: etcdserver: leader changed"),
        ),
        Request::Compare { .. } if root.join("state/etcd-is-silent").exists() => Err(anyhow::anyhow!(
            "counting the objects in etcd: no answer within 15s"
        )),
        Request::Compare { copy, .. } => Ok(compare(&copy, &db.join("etcd/keys"))),
    };
    match answered {
        Ok(line) => Output {
            stdout: line.into_bytes(),
            ..Output::default()
        },
        Err(error) => Output {
            status: 1,
            stderr: format!("{error:#}").into_bytes(),
            ..Output::default()
        },
    }
}

fn compare(copy: &Path, keys: &Path) -> String {
    let before = live(copy);
    let after: BTreeSet<String> = fs::read_to_string(keys)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let missing: Vec<String> = before.difference(&after).cloned().collect();
    let compared = Compared {
        before: before.len() as u64,
        after: after.len() as u64,
        revision: Some(before.len() as i64 + 1),
        missing: Keys {
            count: missing.len() as u64,
            names: missing,
        },
        ..Compared::default()
    };
    serde_json::to_string(&compared).unwrap()
}
