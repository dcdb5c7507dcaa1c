//! `--cluster-reset`: one member again, from what is there or from a snapshot. It ends when that is done, and wants to
//! be started without the flag.

use super::{NOT_INITIALIZED, bootstrap, folder, is_initialized, own_client, peer_url, process};
use crate::clock;
use crate::config::Config;
use crate::files;
use crate::log;
use crate::random;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Command;

const PROGRAM: &str = "/usr/bin/etcdctl";
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

fn flag_file(config: &Config) -> PathBuf {
    config.server_dir().join("db/reset-flag")
}

fn snapshot(config: &Config) -> Option<PathBuf> {
    config
        .flags
        .value("cluster-reset-restore-path")
        .map(PathBuf::from)
}

pub fn is_asked(config: &Config) -> bool {
    config.flags.is_set("cluster-reset")
}

/// Refuses it before anything is touched; also of a start without the flag.
pub fn check(config: &Config) -> Result<()> {
    let flag = flag_file(config);
    let Some(snapshot) = snapshot(config) else {
        if is_asked(config) && flag.exists() {
            bail!(
                "starting kubernetes: preparing server: start managed database: cluster-reset was successfully performed, \
                 please remove the cluster-reset flag and start k3s normally, if you need to perform another cluster reset, \
                 you must first manually delete the {} file",
                flag.display()
            );
        }
        return refuse_server(config);
    };
    ensure!(
        is_asked(config),
        "invalid flag use; --cluster-reset required with --cluster-reset-restore-path"
    );
    refuse_server(config)?;
    refuse_without_token(config)?;
    ensure!(
        snapshot.is_file(),
        "starting kubernetes: preparing server: start managed database: etcd: snapshot path does not exist: {}",
        snapshot.display()
    );
    Ok(())
}

fn refuse_server(config: &Config) -> Result<()> {
    if is_asked(config) && config.flags.value("server").is_some() {
        bail!(
            "invalid flag use; cannot perform cluster-reset while server URL is set - remove server from configuration before resetting"
        );
    }
    Ok(())
}

/// A token in a file does not count.
fn refuse_without_token(config: &Config) -> Result<()> {
    let token = config.server_dir().join("token");
    ensure!(
        config.flags.value("token").is_some() || token.exists(),
        "{} does not exist, please pass --token to complete the restoration",
        token.display()
    );
    Ok(())
}

/// The first normal start after it.
pub fn forget(config: &Config) {
    // Most starts follow no reset.
    let _ = std::fs::remove_file(flag_file(config));
}

pub async fn run(config: &Config, secret: &str) -> Result<()> {
    let preparing = "starting kubernetes: preparing server: start managed database";
    match snapshot(config) {
        Some(snapshot) => restore(config, &snapshot).await.context(preparing)?,
        None => ensure!(is_initialized(&config.server_dir()), NOT_INITIALIZED),
    }
    let mut child = process::start_alone(config).context(preparing)?;
    let up = wait(config).await;
    let known = match up {
        Ok(()) => bootstrap::check(config, secret).await,
        Err(error) => Err(error),
    };
    process::stop(&mut child).await;
    known.context("starting kubernetes: preparing server")?;
    files::write(&flag_file(config), "", 0o600)?;
    log::info(
        "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. Backup and delete \
         ${datadir}/server/db on each peer etcd server and rejoin the nodes",
    );
    Ok(())
}

/// The old database is kept under the time; the new one is another cluster with another name for its only member.
async fn restore(config: &Config, snapshot: &Path) -> Result<()> {
    let folder = folder(config);
    if folder.exists() {
        let old = PathBuf::from(format!("{}-old-{}", folder.display(), clock::unix()));
        std::fs::rename(&folder, &old).with_context(|| format!("moving {}", folder.display()))?;
        log::info(&format!("Pre-restore etcd database moved to {}", old.display()));
    }
    let name = format!("{}-{}", config.node_name, random::short_id());
    let (at, db) = (snapshot.display().to_string(), folder.display().to_string());
    let print_step = |what: &str| {
        println!(
            r#"{{"level":"info","msg":"{what} snapshot","path":"{at}","wal-dir":"{db}/member/wal","data-dir":"{db}","snap-dir":"{db}/member/snap"}}"#
        );
    };
    print_step("restoring");
    let own = peer_url(config);
    let program = std::env::var("LAB_ETCDCTL").unwrap_or_else(|_| PROGRAM.to_owned());
    let mut command = Command::new(&program);
    command
        .env("ETCDCTL_API", "3")
        .args(["snapshot", "restore", &at, "--data-dir", &db, "--name", &name]);
    command.args([
        "--initial-cluster",
        &format!("{name}={own}"),
        "--initial-advertise-peer-urls",
        &own,
    ]);
    let output = command
        .output()
        .await
        .with_context(|| format!("running {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}", said.trim());
    print_step("restored");
    files::write(&folder.join("name"), &name, 0o600)
}

async fn wait(config: &Config) -> Result<()> {
    let begin = Instant::now();
    loop {
        let asked = match own_client(&config.server_dir()) {
            Ok(client) => client.status().await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        match asked {
            Ok(_) => return Ok(()),
            Err(error) if begin.elapsed() > PATIENCE => return Err(error).context("waiting for etcd"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
