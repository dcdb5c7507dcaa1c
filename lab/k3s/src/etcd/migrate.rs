//! From `SQLite` to etcd, as a server does it that makes a new cluster beside a `state.db`: each object once, with its
//! last value, in the order of the last changes; then the file gets another name.
//!
//! A start that fails here leaves a log of etcd behind. The next one takes that for all of the cluster, as in reality.

use super::own_client;
use crate::config::Config;
use crate::faults::{self, Trouble};
use crate::log;
use crate::version::Version;
use anyhow::{Context, Result, bail};
use etcd_api::Client;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Releases of May 2025: the temporary kine cannot be opened.
const BROKEN: [(u32, u32); 4] = [(30, 13), (31, 9), (32, 5), (33, 1)];
const RETRY: Duration = Duration::from_millis(100);

/// Moves what is in `SQLite`, if anything is.
pub async fn run(config: &Config) -> Result<()> {
    let version = Version::current();
    let database = config.server_dir().join("db/state.db");
    if !database.exists() {
        return Ok(());
    }
    log::info("Migrating content from sqlite to etcd");
    log::info(
        "Configuring sqlite3 database connection pooling: maxIdleConns=2, maxOpenConns=0, connMaxLifetime=0s",
    );
    let etcd = own_client(&config.server_dir())?;
    let moved = async {
        if BROKEN.contains(&(version.minor, version.patch)) {
            bail!("the kine of this release cannot be opened");
        }
        move_all(&database, &etcd, faults::migration()).await
    };
    moved
        .await
        .context("failed to migrate content from sqlite to etcd")
}

/// The new name comes last: the old one is a sign that something is missing.
pub async fn move_all(database: &Path, etcd: &Client, trouble: Option<Trouble>) -> Result<()> {
    log::info("Configuring database table schema and indexes, this may take a moment...");
    let sqlite = Connection::open(database)?;
    sqlite.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    log::info("Database tables and indexes are up to date");
    log::info("Kine available at unix://kine.sock");
    let objects = objects(&sqlite)?;
    while etcd.revision().await.is_err() {
        tokio::time::sleep(RETRY).await;
    }
    for (number, (key, value)) in objects.into_iter().enumerate() {
        if let Some(trouble) = trouble.filter(|trouble| trouble.after == number) {
            if trouble.hang {
                std::future::pending::<()>().await;
            }
            bail!("etcdserver: a fault of the lab");
        }
        log::info(&format!("Migrating etcd key {key}"));
        etcd.put(key, value).await?;
    }
    std::fs::rename(database, migrated(database))?;
    // k3s does not close it either: an empty log and its index stay under the old name.
    std::mem::forget(sqlite);
    Ok(())
}

fn objects(sqlite: &Connection) -> Result<Vec<(String, Vec<u8>)>> {
    let mut statement = sqlite.prepare(
        "SELECT name, value FROM kine WHERE deleted = 0 AND id IN
         (SELECT max(id) FROM kine WHERE name LIKE '/registry/%' GROUP BY name) ORDER BY id",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn migrated(database: &Path) -> PathBuf {
    database.with_file_name("state.db.migrated")
}
