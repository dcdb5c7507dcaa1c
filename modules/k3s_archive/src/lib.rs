//! `k3s_archive`: back up a k3s server - into one file on the Proxmox host, into a folder of its container, or as a
//! snapshot of k3s's own.

mod in_place;
mod params;
mod plan;
mod state;
mod take;

pub use params::{Backup, Kind, Params, Series, Wanted};
pub use plan::Step;
pub use state::{Dest, Server, State};

use ansible_module::{Module, Plan, Target};
use answers::Snapshot;
use anyhow::{Context, Result, bail};
use host::{Command, Host, run_ourselves};
use k3s_node::NodeSettings;
use serde::Serialize;
use server_archive::{CHECK, Checked, Datastore, Objects, Paths, Verified};
use std::process::ExitCode;
use std::time::Duration;

pub struct K3sArchive;

/// What was made and removed.
#[derive(Default)]
pub struct Journal {
    /// The folder in the container that is not complete yet, and the copy in it.
    work: Option<String>,
    copy: Option<String>,
    /// Of the copy.
    verified: Option<Verified>,
    /// The archive in the making.
    part: Option<String>,
    path: Option<String>,
    checked: Option<Checked>,
    listed: Option<bool>,
    removed: Vec<String>,
}

impl Journal {
    /// The copy or the snapshot that stays in the container.
    pub fn snapshot(&self) -> Snapshot {
        let verified = self.verified.as_ref();
        Snapshot {
            path: self.path.clone(),
            bytes: verified.map(|verified| verified.bytes),
            sha256: verified.map(|verified| verified.sha256.clone()),
            listed: self.listed,
        }
    }

    pub fn removed(&self) -> &[String] {
        &self.removed
    }
}

#[derive(Serialize)]
pub struct Returned {
    #[serde(flatten)]
    backup: Snapshot,
    name: Option<String>,
    datastore: Option<Datastore>,
    node: Option<String>,
    k3s_version: Option<String>,
    taken_at: Option<String>,
    objects: Objects,
    files: Vec<String>,
    removed: Vec<String>,
}

impl Module for K3sArchive {
    const NAME: &'static str = "k3s_archive";
    const DOC: &'static str = include_str!("../k3s_archive.yml");
    /// Looking again would plan the next backup.
    const OBSERVE_AGAIN: bool = false;

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        let changes = !matches!(params.wanted, Wanted::Verified { .. });
        Target {
            vmid: params.vmid,
            lock_timeout: changes.then_some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        match &params.wanted {
            Wanted::Made(backup) => look(backup, host).map(|server| State::Server(Box::new(server))),
            Wanted::Pruned { dest, series } => look_at_folder(dest, series, host).map(State::Folder),
            Wanted::Verified { path, .. } => {
                check(host, path, Duration::from_secs(params.timeout)).map(|it| State::Archive(Box::new(it)))
            }
        }
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        take::apply(host, step, Duration::from_secs(params.timeout), journal)
    }

    fn report(params: &Params, before: &State, _: &State, journal: &Journal) -> Returned {
        let archive = match before {
            State::Archive(archive) => Some(archive.as_ref()),
            State::Server(_) | State::Folder(_) => journal.checked.as_ref(),
        };
        let about = archive.map(|archive| &archive.manifest.about);
        let files = archive.map_or_else(Default::default, |archive| &*archive.manifest.files);
        Returned {
            backup: backup(&params.wanted, archive, journal),
            name: about.map(|about| about.name.clone()),
            datastore: before.datastore().or(about.map(|about| about.datastore)),
            node: about.map(|about| about.node.clone()),
            k3s_version: about.map(|about| about.k3s_version.clone()),
            taken_at: about.map(|about| about.taken_at.clone()),
            objects: about.map(|about| about.objects.clone()).unwrap_or_default(),
            files: files.iter().map(|file| file.path.clone()).collect(),
            removed: journal.removed.clone(),
        }
    }

    fn recover(_: &Params, host: &dyn Host, _: &State, journal: &mut Journal) -> Option<String> {
        take::give_up(host, journal)
    }

    /// The same binary is the module on the Proxmox host and, carried inside, the program that copies and packs.
    fn inside(arguments: &[String]) -> Option<ExitCode> {
        let jobs: [server_archive::Job; 4] = [
            (server_archive::COPY_SQLITE, server_archive::copy_sqlite),
            (server_archive::CHECK_SNAPSHOT, server_archive::check_snapshot),
            (server_archive::PACK, server_archive::pack),
            (server_archive::CHECK, server_archive::check),
        ];
        server_archive::asked(arguments, &jobs)
    }
}

fn backup(wanted: &Wanted, archive: Option<&Checked>, journal: &Journal) -> Snapshot {
    let path = match wanted {
        Wanted::Verified { path, .. } => Some(path.clone()),
        Wanted::Made(Backup {
            kind: Kind::Copy { .. } | Kind::Snapshot,
            ..
        }) => return journal.snapshot(),
        Wanted::Made(_) | Wanted::Pruned { .. } => journal.path.clone(),
    };
    Snapshot {
        path,
        bytes: archive.map(|archive| archive.bytes),
        sha256: archive.map(|archive| archive.sha256.clone()),
        listed: None,
    }
}

fn look_at_folder(dest: &str, series: &Series, host: &dyn Host) -> Result<Dest> {
    let outside = host.outside();
    let argv = ["/bin/sh", "-c", &state::look_outside(), "sh", dest];
    let looking = format!("checking the folder {dest}");
    let output = outside
        .run(&Command::new(argv))?
        .succeed(&outside.location(), &looking)?;
    state::parse_outside(&output.text(), &series.name).with_context(|| outside.location())
}

fn look(backup: &Backup, host: &dyn Host) -> Result<Server> {
    let dest = match &backup.kind {
        Kind::Archive { dest, .. } => Some(look_at_folder(dest, &backup.series, host)?),
        Kind::Copy { .. } | Kind::Snapshot => None,
    };
    let node = NodeSettings::look(host)?;
    if let Some(why) = node.unreadable() {
        bail!("{}: {why}", host.location());
    }
    // As the operator says, else as the server itself is configured.
    let at = Paths::of_node(&node, backup.data_dir.as_deref());
    let script = state::look_inside();
    let copies = state::folder_of_copies(&backup.kind, &at);
    let argv = [
        "/bin/sh",
        "-c",
        &script,
        "sh",
        &at.data_dir,
        &at.binary,
        copies,
        &at.snapshots,
    ];
    let output = host
        .run(&Command::new(argv))?
        .succeed(&host.location(), "looking for the datastore")?;
    state::parse_inside(&output.text(), backup, &node, at, dest, host.now()).with_context(|| host.location())
}

/// Has our own binary read every byte of an archive, on the machine that we run on.
fn check(host: &dyn Host, path: &str, limit: Duration) -> Result<Checked> {
    let outside = host.outside();
    let output = run_ourselves(outside, &[CHECK, path], limit)?;
    let output = output.succeed(&outside.location(), "checking a backup")?;
    serde_json::from_slice(&output.stdout).context("reading what the check of a backup found")
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sArchive);
}
