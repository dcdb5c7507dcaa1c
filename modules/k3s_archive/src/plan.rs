//! What to copy, where it goes, and which old backups make room. Pure.

use crate::params::{Backup, Kind, Params, Series, Wanted};
use crate::state::{Dest, SUFFIX, Server, State, UNFINISHED, WORK};
use ansible_module::Plan;
use anyhow::{Context, Result, bail};
use host::stamp;
use k3s_node::FOLDER;
use server_archive::{About, Datastore, Objects, Paths};
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The token, certificates and configuration beside the datastore, and room for others to go on working.
const MARGIN: u64 = 64 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// What runs that were killed left.
    Sweep {
        inside: Vec<String>,
        outside: Vec<String>,
    },
    MakeFolder {
        folder: String,
    },
    /// Into a new folder of the container.
    CopySqlite {
        source: String,
        folder: String,
    },
    SaveSnapshot {
        folder: String,
        at: Paths,
    },
    /// Into a file beside the target, checked there, then put in place.
    Pack {
        path: String,
        about: Box<About>,
        /// Those that the server's settings name.
        files: Vec<String>,
        binary: String,
        most: u64,
    },
    /// The copy in the container.
    Tidy,
    /// Without it nobody can read what is encrypted in the datastore.
    CopyToken {
        source: String,
        folder: String,
    },
    /// The folder of a copy that is complete gets its name.
    Name {
        unfinished: String,
        folder: String,
    },
    /// And see it in k3s's own list.
    SaveInPlace {
        name: String,
        at: Paths,
    },
    Remove {
        path: String,
        /// In the container, where the copies are; else on the Proxmox host.
        inside: bool,
    },
    /// So that k3s forgets it too.
    Delete {
        snapshot: String,
        at: Paths,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sweep { inside, outside } => {
                let all: Vec<&str> = inside.iter().chain(outside).map(String::as_str).collect();
                write!(f, "remove what an unfinished backup left: {}", all.join(", "))
            }
            Self::MakeFolder { folder } => write!(f, "make the folder {folder}, for root only"),
            Self::CopySqlite { folder, .. } => write!(f, "copy the SQLite datastore to {folder}"),
            Self::SaveSnapshot { folder, .. } => write!(f, "save an etcd snapshot to {folder}"),
            Self::Pack { path, .. } => write!(
                f,
                "pack it with token, certificates and configuration into {path}, and verify the archive"
            ),
            Self::Tidy => write!(f, "remove the copy in the container"),
            Self::CopyToken { folder, .. } => write!(f, "copy the server's token to {folder}"),
            Self::Name { folder, .. } => write!(f, "name the backup {folder}"),
            Self::SaveInPlace { name, at } => write!(
                f,
                "save an etcd snapshot {name}-… in {}, and see it in k3s's list",
                at.snapshots
            ),
            Self::Remove { path, .. } => write!(f, "remove the old backup {path}"),
            Self::Delete { snapshot, .. } => write!(f, "remove the old snapshot {snapshot}"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    match (&params.wanted, state) {
        (Wanted::Made(backup), State::Server(server)) => make(backup, server),
        (Wanted::Pruned { dest, series }, State::Folder(found)) => {
            let old = series.surplus(&found.archives, 0);
            Ok(Plan::of(removals(dest, old, false)))
        }
        (Wanted::Verified { path, sha256 }, State::Archive(archive)) => match sha256 {
            Some(wanted) if *wanted != archive.sha256 => bail!(
                "{path} is another file than the one that was backed up: its SHA-256 is {}, where {wanted} is wanted. Copy it again",
                archive.sha256
            ),
            _ => Ok(Plan::default()),
        },
        _ => bail!("this is a fault in the module: it read something else than it was asked for"),
    }
}

fn make(backup: &Backup, server: &Server) -> Result<Plan<Step>> {
    if let Some(left_alone) = other_datastore(backup, server)? {
        return Ok(left_alone);
    }
    refuse_full_disk(backup, server)?;
    Ok(Plan::of(match &backup.kind {
        Kind::Archive { dest, node, most } => {
            let found = server
                .dest
                .as_ref()
                .context("this is a fault in the module: it did not read dest")?;
            refuse_wide_folder(dest, found)?;
            refuse_full_dest(dest, found, server)?;
            refuse_large(*most, server)?;
            archive(
                &Archive {
                    dest,
                    node,
                    most: *most,
                    series: &backup.series,
                },
                found,
                server,
            )?
        }
        Kind::Copy { dest } => copy(dest, &backup.series, server)?,
        Kind::Snapshot => snapshot(&backup.series, server),
    }))
}

/// What is done where the datastore is of a kind that is not backed up so; `None`: it is backed up.
fn other_datastore(backup: &Backup, server: &Server) -> Result<Option<Plan<Step>>> {
    match (&backup.kind, server.datastore) {
        (Kind::Snapshot, Datastore::Sqlite | Datastore::External) => bail!(
            "only embedded etcd has snapshots of its own, and the datastore here is {}",
            server.datastore
        ),
        (Kind::Archive { .. }, Datastore::External) => {
            let stale = server.stale.as_ref();
            let stale = stale.map_or_else(String::new, |stale| format!(" ({stale})"));
            bail!(
                "the datastore is external: back it up where it runs, with its own tools; nothing was backed up here{stale}"
            )
        }
        // What follows a copy, as an upgrade does, goes on without.
        (Kind::Copy { .. }, Datastore::External) => {
            let warning = "the datastore is external: it is backed up where it runs, not here".to_owned();
            Ok(Some(Plan {
                warnings: [warning].into_iter().chain(server.stale.clone()).collect(),
                ..Plan::default()
            }))
        }
        _ => Ok(None),
    }
}

struct Archive<'a> {
    dest: &'a str,
    node: &'a str,
    most: u64,
    series: &'a Series,
}

fn archive(wanted: &Archive, found: &Dest, server: &Server) -> Result<Vec<Step>> {
    let Archive {
        dest, most, series, ..
    } = *wanted;
    let parts = found.parts.iter().map(|part| format!("{dest}/{part}")).collect();
    let mut steps: Vec<Step> = sweep(server, parts).into_iter().collect();
    if found.folder.is_none() {
        steps.push(Step::MakeFolder {
            folder: dest.to_owned(),
        });
    }
    let about = about(wanted, server)?;
    steps.extend([
        copy_of_datastore(server, &format!("{FOLDER}/{WORK}{}", about.name)),
        Step::Pack {
            path: format!("{dest}/{}{SUFFIX}", about.name),
            about: Box::new(about),
            files: server.files.clone(),
            binary: server.at.binary.clone(),
            most,
        },
        Step::Tidy,
    ]);
    steps.extend(removals(dest, series.surplus(&found.archives, 1), false));
    Ok(steps)
}

fn copy(dest: &str, series: &Series, server: &Server) -> Result<Vec<Step>> {
    let folder = format!("{dest}/{}", stamp::stamped(&series.name, server.now)?);
    let unfinished = format!("{folder}{UNFINISHED}");
    let mut steps: Vec<Step> = sweep(server, Vec::new()).into_iter().collect();
    steps.extend([
        copy_of_datastore(server, &unfinished),
        Step::CopyToken {
            source: format!("{}/server/token", server.at.data_dir),
            folder: unfinished.clone(),
        },
        Step::Name { unfinished, folder },
    ]);
    steps.extend(removals(dest, series.surplus(&server.old, 1), true));
    Ok(steps)
}

fn snapshot(series: &Series, server: &Server) -> Vec<Step> {
    let at = &server.at;
    let save = Step::SaveInPlace {
        name: series.name.clone(),
        at: at.clone(),
    };
    let delete = |snapshot: &String| Step::Delete {
        snapshot: snapshot.clone(),
        at: at.clone(),
    };
    let old = series.surplus(&server.old, 1).iter().map(delete);
    let swept = sweep(server, Vec::new()).into_iter();
    swept.chain([save]).chain(old).collect()
}

fn sweep(server: &Server, outside: Vec<String>) -> Option<Step> {
    let inside = server.left.clone();
    (!inside.is_empty() || !outside.is_empty()).then_some(Step::Sweep { inside, outside })
}

fn copy_of_datastore(server: &Server, folder: &str) -> Step {
    let folder = folder.to_owned();
    if server.datastore == Datastore::Etcd {
        let at = server.at.clone();
        return Step::SaveSnapshot { folder, at };
    }
    let source = format!("{}/server/db/state.db", server.at.data_dir);
    Step::CopySqlite { source, folder }
}

fn removals(dest: &str, old: &[String], inside: bool) -> Vec<Step> {
    let path = |name| format!("{dest}/{name}");
    let remove = |name| Step::Remove {
        path: path(name),
        inside,
    };
    old.iter().map(remove).collect()
}

fn about(wanted: &Archive, server: &Server) -> Result<About> {
    let version = server.version.as_ref().context(
        "asking k3s for its version: it reported none. A restore has to know the version of the backup",
    )?;
    let now = OffsetDateTime::from(server.now).replace_nanosecond(0)?;
    Ok(About {
        name: stamp::stamped(&wanted.series.name, server.now)?,
        taken_at: now.format(&Rfc3339)?,
        node: wanted.node.to_owned(),
        k3s_version: version.to_string(),
        datastore: server.datastore,
        data_dir: server.at.data_dir.clone(),
        objects: Objects::new(),
        nodes: Vec::new(),
    })
}

/// A backup holds every secret of the cluster. A folder that others use is not made private behind their backs.
fn refuse_wide_folder(dest: &str, found: &Dest) -> Result<()> {
    let Some((owner, mode)) = found.folder else {
        return Ok(());
    };
    if owner != 0 {
        bail!(
            "the folder {dest} belongs to user {owner}: backups hold every secret of the cluster; give a folder that root owns"
        );
    }
    if mode & 0o077 != 0 {
        bail!(
            "the folder {dest} is open to others (mode {mode:o}): backups hold every secret of the cluster; `chmod 700 {dest}`, or give a folder of its own"
        );
    }
    Ok(())
}

fn refuse_full_disk(backup: &Backup, server: &Server) -> Result<()> {
    let whereto = match &backup.kind {
        Kind::Archive { .. } => format!("for the copy in {FOLDER}"),
        Kind::Copy { dest } => format!("for the copy in {dest}"),
        Kind::Snapshot => format!("for the snapshot in {}", server.at.snapshots),
    };
    refuse_full(server, server.free, &format!("in the container, {whereto}"))
}

fn refuse_full_dest(dest: &str, found: &Dest, server: &Server) -> Result<()> {
    refuse_full(server, found.free, &format!("for the archive in {dest}"))
}

fn refuse_full(server: &Server, free: u64, whereto: &str) -> Result<()> {
    let needed = server.bytes.saturating_add(MARGIN);
    if free >= needed {
        return Ok(());
    }
    bail!(
        "{} MiB are free {whereto}, where {} MiB are needed: make room, or have fewer backups kept",
        free >> 20,
        mib(needed)
    );
}

fn refuse_large(most: u64, server: &Server) -> Result<()> {
    if server.bytes <= most {
        return Ok(());
    }
    bail!(
        "the datastore has {} MiB, more than max_mb allows ({} MiB): raise max_mb if that is right",
        mib(server.bytes),
        mib(most)
    );
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
