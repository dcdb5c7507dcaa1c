//! `k3s_archive`: back up a k3s server into one file on the Proxmox host.

mod params;
mod plan;
mod state;
mod take;

pub use params::{Params, Taking, Wanted};
pub use plan::Step;
pub use state::{Dest, Server, State};

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result, bail};
use host::{Command, Host, run_ourselves};
use k3s_node::NodeSettings;
use serde::Serialize;
use server_archive::{CHECK, Checked, Datastore, Objects, Places};
use std::process::ExitCode;
use std::time::Duration;

pub struct K3sArchive;

/// What was made and removed.
#[derive(Default)]
pub struct Journal {
    /// The folder in the container that holds the copy, and the copy.
    work: Option<String>,
    copy: Option<String>,
    /// The archive in the making.
    part: Option<String>,
    path: Option<String>,
    checked: Option<Checked>,
    removed: Vec<String>,
}

#[derive(Serialize)]
pub struct Returned {
    path: Option<String>,
    name: Option<String>,
    bytes: Option<u64>,
    sha256: Option<String>,
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
            Wanted::Taken(taking) => look(taking, host).map(|server| State::Server(Box::new(server))),
            Wanted::Pruned(taking) => look_at_folder(taking, host).map(State::Folder),
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
        let path = match &params.wanted {
            Wanted::Taken(_) | Wanted::Pruned(_) => journal.path.clone(),
            Wanted::Verified { path, .. } => Some(path.clone()),
        };
        let archive = match before {
            State::Archive(archive) => Some(archive.as_ref()),
            State::Server(_) | State::Folder(_) => journal.checked.as_ref(),
        };
        let about = archive.map(|archive| &archive.manifest.about);
        let datastore = match before {
            State::Server(server) => Some(server.datastore),
            State::Archive(_) | State::Folder(_) => about.map(|about| about.datastore),
        };
        Returned {
            path,
            name: about.map(|about| about.name.clone()),
            bytes: archive.map(|archive| archive.bytes),
            sha256: archive.map(|archive| archive.sha256.clone()),
            datastore,
            node: about.map(|about| about.node.clone()),
            k3s_version: about.map(|about| about.k3s_version.clone()),
            taken_at: about.map(|about| about.taken_at.clone()),
            objects: about.map(|about| about.objects.clone()).unwrap_or_default(),
            files: archive
                .map(|archive| {
                    archive
                        .manifest
                        .files
                        .iter()
                        .map(|file| file.path.clone())
                        .collect()
                })
                .unwrap_or_default(),
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

fn look_at_folder(taking: &Taking, host: &dyn Host) -> Result<Dest> {
    let outside = host.outside();
    let argv = ["/bin/sh", "-c", &state::look_outside(), "sh", &taking.dest];
    let looking = format!("checking the folder {}", taking.dest);
    let output = outside
        .run(&Command::new(argv))?
        .succeed(&outside.place(), &looking)?;
    state::parse_outside(&output.text(), taking).with_context(|| outside.place())
}

fn look(taking: &Taking, host: &dyn Host) -> Result<Server> {
    let dest = look_at_folder(taking, host)?;
    let node = NodeSettings::look(host)?;
    if let Some(why) = node.unreadable() {
        bail!("{}: {why}", host.place());
    }
    // As the operator says, else as the server itself is told.
    let at = Places::of_node(&node, taking.data_dir.as_deref());
    let script = state::look_inside();
    let ours = format!("{}/{}", at.snapshots, state::SNAPSHOT);
    let argv = [
        "/bin/sh",
        "-c",
        &script,
        "sh",
        &at.data_dir,
        &at.binary,
        state::WORK,
        &ours,
    ];
    let output = host
        .run(&Command::new(argv))?
        .succeed(&host.place(), "looking for the datastore")?;
    state::parse_inside(&output.text(), &node, at, dest, host.now()).with_context(|| host.place())
}

/// Has our own binary read every byte of an archive, on the machine that we run on.
fn check(host: &dyn Host, path: &str, limit: Duration) -> Result<Checked> {
    let outside = host.outside();
    let output = run_ourselves(outside, &[CHECK, path], limit)?;
    let output = output.succeed(&outside.place(), "checking a backup")?;
    serde_json::from_slice(&output.stdout).context("reading what the check of a backup found")
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sArchive);
}
