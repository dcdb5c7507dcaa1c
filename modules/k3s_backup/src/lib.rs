//! `k3s_backup`: back up the datastore of a k3s server.

mod in_place;
mod params;
mod plan;
mod state;

pub use params::Params;
pub use plan::Step;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use answers::Snapshot;
use anyhow::{Context, Result, bail};
use host::{Command, Host, Output, run_ourselves};
use k3s_node::NodeSettings;
use serde::Serialize;
use server_archive::{CHECK_SNAPSHOT, COPY_SQLITE, Datastore, Places, Verified};
use std::process::ExitCode;
use std::time::Duration;

pub struct K3sBackup;

/// What was copied.
#[derive(Default)]
pub struct Journal {
    path: Option<String>,
    verified: Option<Verified>,
    listed: Option<bool>,
    removed: Vec<String>,
}

#[derive(Serialize)]
pub struct Returned {
    datastore: Datastore,
    #[serde(flatten)]
    snapshot: Snapshot,
    removed: Vec<String>,
}

impl Module for K3sBackup {
    const NAME: &'static str = "k3s_backup";
    const DOC: &'static str = include_str!("../k3s_backup.yml");
    /// Looking again would plan the next backup.
    const OBSERVE_AGAIN: bool = false;

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: Some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        let node = NodeSettings::look(host)?;
        if let Some(why) = node.unreadable() {
            bail!("{}: {why}", host.place());
        }
        let at = Places::of_node(&node, params.data_dir.as_deref());
        let script = state::look();
        let argv = [
            "/bin/sh",
            "-c",
            &script,
            "sh",
            &at.data_dir,
            &params.dest,
            &at.snapshots,
        ];
        let output = host
            .run(&Command::new(argv))?
            .succeed(&host.place(), "looking for the datastore")?;
        state::parse(&output.text(), &node, at, &params.name, host.now()).with_context(|| host.place())
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        let limit = Duration::from_secs(params.timeout);
        match step {
            Step::CopySqlite { source, folder } => copy_sqlite(host, source, folder, limit, journal),
            Step::SaveSnapshot { name, folder, at } => {
                let path = server_archive::save_snapshot(host, at, name, folder, limit)?;
                check(host, path, limit, journal)
            }
            Step::SaveInPlace { name, at } => {
                let path = server_archive::save_snapshot_in_place(host, at, name, limit)?;
                check(host, path.clone(), limit, journal)?;
                in_place::see(host, at, &path)?;
                journal.listed = Some(true);
                Ok(())
            }
            Step::Delete { snapshot, at } => {
                in_place::delete(host, at, snapshot)?;
                journal.removed.push(snapshot.clone());
                Ok(())
            }
            Step::CopyToken { source, folder } => copy_token(host, source, folder),
            Step::Remove { folder } => remove(host, folder, journal),
        }
    }

    fn report(_: &Params, before: &State, _: &State, journal: &Journal) -> Returned {
        let verified = journal.verified.as_ref();
        Returned {
            datastore: before.datastore,
            snapshot: Snapshot {
                path: journal.path.clone(),
                bytes: verified.map(|verified| verified.bytes),
                sha256: verified.map(|verified| verified.sha256.clone()),
                listed: journal.listed,
            },
            removed: journal.removed.clone(),
        }
    }

    /// The same binary is the module on the Proxmox host and, carried inside, the program that copies.
    fn inside(arguments: &[String]) -> Option<ExitCode> {
        let jobs: [server_archive::Job; 2] = [
            (server_archive::COPY_SQLITE, server_archive::copy_sqlite),
            (server_archive::CHECK_SNAPSHOT, server_archive::check_snapshot),
        ];
        server_archive::asked(arguments, &jobs)
    }
}

fn script(host: &dyn Host, doing: &str, text: &str, arguments: &[&str], limit: Duration) -> Result<Output> {
    let argv = ["/bin/sh", "-c", text, "sh"]
        .into_iter()
        .chain(arguments.iter().copied());
    host.run(&Command::new(argv).within(limit))?
        .succeed(&host.place(), doing)
}

fn copy_sqlite(
    host: &dyn Host,
    source: &str,
    folder: &str,
    limit: Duration,
    journal: &mut Journal,
) -> Result<()> {
    script(
        host,
        "making the backup's folder",
        "umask 077; mkdir -p -- \"$1\"",
        &[folder],
        limit,
    )?;
    let target = format!("{folder}/state.db");
    let output = run_ourselves(host, &[COPY_SQLITE, source, &target], limit)?;
    note(
        host,
        &output.succeed(&host.place(), "copying the SQLite datastore")?,
        target,
        journal,
    )
}

fn check(host: &dyn Host, path: String, limit: Duration, journal: &mut Journal) -> Result<()> {
    let output = run_ourselves(host, &[CHECK_SNAPSHOT, &path], limit)?;
    note(
        host,
        &output.succeed(&host.place(), "checking the etcd snapshot")?,
        path,
        journal,
    )
}

fn note(host: &dyn Host, output: &Output, path: String, journal: &mut Journal) -> Result<()> {
    let verified: Verified = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{}: reading what was copied", host.place()))?;
    if verified.bytes == 0 {
        bail!("{}: the backup {path} is empty", host.place());
    }
    journal.verified = Some(verified);
    journal.path = Some(path);
    Ok(())
}

fn copy_token(host: &dyn Host, source: &str, folder: &str) -> Result<()> {
    const COPY: &str = "umask 077; cp -- \"$1\" \"$2/token\" && chmod 600 \"$2/token\" && sync";
    script(
        host,
        "copying the server's token",
        COPY,
        &[source, folder],
        Command::USUAL_LIMIT,
    )
    .map(|_| ())
}

fn remove(host: &dyn Host, folder: &str, journal: &mut Journal) -> Result<()> {
    let output = host.run(&Command::new(["rm", "-rf", "--", folder]))?;
    output.succeed(&host.place(), "removing an old backup")?;
    journal.removed.push(folder.to_owned());
    Ok(())
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sBackup);
}
