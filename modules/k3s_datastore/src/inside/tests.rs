//! On real databases and a real etcd.

use super::compare::compare;
use super::*;
use etcd_api::testing::Cluster;
use rusqlite::{Connection, params};
use std::os::unix::fs::MetadataExt as _;
use tempfile::TempDir;

const SCHEMA: &str = "CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name INTEGER, created INTEGER,
    deleted INTEGER, create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB);
    CREATE INDEX kine_name_id_index ON kine (name, id);";

struct Database {
    folder: TempDir,
    connection: Connection,
}

impl Database {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("state.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let database = Self { folder, connection };
        // kine's own, and k3s's: neither is an object.
        database.write("compact_rev_key", "", 0, false);
        database.write("/bootstrap/abc", "certificates", 0, false);
        database
    }

    /// As kine writes: a row more, whatever there was.
    fn write(&self, key: &str, value: &str, lease: i64, deleted: bool) {
        let sql = "INSERT INTO kine (name, created, deleted, create_revision, prev_revision, lease, value)
            VALUES (?1, 0, ?2, 0, 0, ?3, ?4)";
        let row = params![key, deleted, lease, value.as_bytes()];
        self.connection.execute(sql, row).unwrap();
    }

    fn put(&self, key: &str, value: &str) {
        self.write(key, value, 0, false);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn kine(&self) -> Kine {
        Kine::open(&self.path()).unwrap()
    }
}

/// So many configmaps, of which some were changed and some deleted meanwhile.
fn cluster(objects: usize) -> Database {
    let database = Database::new();
    for number in 0..objects {
        let key = format!("/registry/configmaps/default/cm-{number}");
        database.put(&key, "first");
        database.put(&key, &format!("value {number}"));
    }
    database.put("/registry/secrets/default/gone", "x");
    database.write("/registry/secrets/default/gone", "x", 0, true);
    database
}

/// What k3s does: each live object once, in the order in which it was last changed.
async fn migrate(database: &Database, etcd: &Client, changed: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) {
    let sql = "SELECT name, value FROM kine WHERE deleted = 0 AND name LIKE '/registry/%' AND id IN
        (SELECT max(id) FROM kine GROUP BY name) ORDER BY id";
    let mut statement = database.connection.prepare(sql).unwrap();
    let rows = statement
        .query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .unwrap();
    for row in rows {
        let (key, value) = row.unwrap();
        if let Some(value) = changed(&key, value) {
            etcd.put(key, value).await.unwrap();
        }
    }
}

fn none() -> Keys {
    Keys::default()
}

#[test]
fn objects_are_counted_as_kine_lists_them() {
    let database = cluster(3);
    assert_eq!(look(&database.path()).unwrap(), Looked { objects: 3 });
    // Back again, and a neighbour of the prefix.
    database.put("/registry/secrets/default/gone", "back");
    database.put("/registryz", "no object");
    assert_eq!(database.kine().objects().unwrap(), 4);
}

#[test]
fn reports_a_file_that_is_not_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    fs::write(
        &path,
        "not a database, but long enough to look like one at first".repeat(20),
    )
    .unwrap();
    assert!(look(&path).is_err());
    assert!(look(&folder.path().join("nothing")).is_err());
}

#[test]
fn makes_a_complete_private_copy_that_replaces_a_leftover() {
    let database = cluster(5);
    let folder = database.folder.path().join("back%ups?/pre-etcd#1");
    let token = database.folder.path().join("token");
    fs::write(&token, "K10abc::server:s3cr3t\n").unwrap();
    for _ in 0..2 {
        let copied = copy(&database.path(), &token, &folder).unwrap();
        assert_eq!(copied.objects, 5);
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["state.db", "token"]);
        let content = fs::read(folder.join("state.db")).unwrap();
        assert_eq!(copied.bytes, content.len() as u64);
        for (file, mode) in [("state.db", 0o600), ("token", 0o600), ("", 0o700)] {
            let found = fs::metadata(folder.join(file)).unwrap().mode() & 0o777;
            assert_eq!(found, mode, "{file}: {found:o}");
        }
        assert_eq!(
            fs::read_to_string(folder.join("token")).unwrap(),
            "K10abc::server:s3cr3t\n"
        );
        database.put("/registry/pods/default/late", "x");
        database.write("/registry/pods/default/late", "x", 0, true);
    }
    // A database that is gone leaves the copy that there is.
    assert!(copy(&database.folder.path().join("nothing"), &token, &folder).is_err());
    assert!(folder.join("state.db").is_file());
}

#[test]
fn refuses_the_copy_of_an_empty_database() {
    let database = Database::new();
    let token = database.folder.path().join("token");
    fs::write(&token, "t").unwrap();
    let error = copy(&database.path(), &token, &database.folder.path().join("b")).unwrap_err();
    assert!(error.to_string().contains("no object of a cluster"), "{error}");
}

#[tokio::test]
async fn recognises_a_complete_migration_after_later_changes() {
    let database = cluster(100);
    let etcd_cluster = Cluster::start(1).await;
    let etcd = etcd_cluster.client(0);
    migrate(&database, &etcd, |_, value| Some(value)).await;
    // k3s and the controllers have gone on since.
    etcd.put("/bootstrap/abc", "certificates").await.unwrap();
    etcd.put("/registry/configmaps/default/cm-3", "newer")
        .await
        .unwrap();
    etcd.put("/registry/pods/default/new", "x").await.unwrap();
    etcd.delete_all("/registry/configmaps/default/cm-4")
        .await
        .unwrap();
    let compared = compare(&database.kine(), &etcd).await.unwrap();
    assert_eq!((compared.before, compared.after), (100, 100));
    assert_eq!(compared.revision, Some(101));
    assert_eq!(
        (compared.missing, compared.different, compared.added),
        (none(), none(), none())
    );
}

#[tokio::test]
async fn what_k3s_writes_besides_objects_does_not_matter() {
    let database = cluster(40);
    let etcd_cluster = Cluster::start(1).await;
    let etcd = etcd_cluster.client(0);
    etcd.put("k3s/apiaddresses", "").await.unwrap();
    migrate(&database, &etcd, |_, value| Some(value)).await;
    let compared = compare(&database.kine(), &etcd).await.unwrap();
    assert_eq!((compared.after, compared.revision), (40, Some(42)));
    assert_eq!(compared.missing, none());
}

#[tokio::test]
async fn reports_every_kind_of_loss_by_name() {
    let database = cluster(70);
    database.write("/registry/events/default/e1", "expires", 3600, false);
    let etcd_cluster = Cluster::start(1).await;
    let etcd = etcd_cluster.client(0);
    migrate(&database, &etcd, |key, value| {
        match key.rsplit_once('/').unwrap().1 {
            "cm-7" | "e1" => None,
            "cm-9" => Some(b"altered".to_vec()),
            _ => Some(value),
        }
    })
    .await;
    etcd.put("/registry/configmaps/default/cm-8a", "new")
        .await
        .unwrap();
    let compared = compare(&database.kine(), &etcd).await.unwrap();
    let named = |name: &str| Keys {
        count: 1,
        names: vec![format!("/registry/configmaps/default/{name}")],
    };
    assert_eq!(
        compared.missing,
        named("cm-7"),
        "an Event that has expired is not a loss"
    );
    assert_eq!(compared.different, named("cm-9"));
    assert_eq!(compared.added, named("cm-8a"));
}

#[tokio::test]
async fn an_empty_etcd_lacks_everything_and_names_a_few() {
    let database = cluster(9);
    let etcd_cluster = Cluster::start(1).await;
    let compared = compare(&database.kine(), &etcd_cluster.client(0)).await.unwrap();
    assert_eq!(
        (
            compared.after,
            compared.missing.count,
            compared.missing.names.len()
        ),
        (0, 9, 5)
    );
}

#[tokio::test]
async fn where_history_is_gone_nothing_is_claimed() {
    let database = cluster(10);
    let etcd_cluster = Cluster::start(1).await;
    let etcd = etcd_cluster.client(0);
    migrate(&database, &etcd, |_, value| Some(value)).await;
    etcd.delete_all("/registry/configmaps/default/cm-4")
        .await
        .unwrap();
    let head = etcd.put("/registry/pods/default/new", "x").await.unwrap();
    etcd.compact(head).await.unwrap();
    let compared = compare(&database.kine(), &etcd).await.unwrap();
    assert_eq!((compared.after, compared.revision), (10, None));
    assert_eq!(compared.missing, none());
}

#[tokio::test]
async fn the_first_member_of_a_cluster_votes() {
    let etcd_cluster = Cluster::start(1).await;
    let member = member(&etcd_cluster.client(0)).await.unwrap();
    assert!(member.voter);
    assert_eq!(member.name, "m0");
    assert!(u64::from_str_radix(&member.id, 16).is_ok());
}

#[test]
fn reports_an_invalid_request() {
    assert!(answer("{}").is_err());
    assert!(answer(r#"{"look":{"database":"/nowhere/state.db"}}"#).is_err());
    let error = answer(r#"{"member":{"server":"/nowhere","endpoint":"https://127.0.0.1:1"}}"#).unwrap_err();
    assert!(
        format!("{error:#}").contains("/nowhere/tls/etcd/server-ca.crt"),
        "{error:#}"
    );
}
