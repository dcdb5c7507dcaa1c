//! What to copy, where it goes, and which old archives make room. Pure.

use crate::params::{Params, Taking, Wanted};
use crate::state::{Dest, SUFFIX, Server, State, WORK};
use ansible_module::Plan;
use anyhow::{Context, Result, bail};
use host::stamp;
use server_archive::{About, Datastore, Objects, Places};
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
    CopySqlite {
        source: String,
    },
    SaveSnapshot {
        at: Places,
    },
    /// Into a file beside its place, checked there, then put in its place.
    Pack {
        path: String,
        about: Box<About>,
        binary: String,
        most: u64,
    },
    /// The copy in the container.
    Tidy,
    Remove {
        path: String,
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
            Self::CopySqlite { .. } => write!(f, "copy the SQLite datastore to {WORK}"),
            Self::SaveSnapshot { .. } => write!(f, "save an etcd snapshot to {WORK}"),
            Self::Pack { path, .. } => write!(
                f,
                "pack it with token, certificates and configuration into {path}, and check that"
            ),
            Self::Tidy => write!(f, "remove the copy in the container"),
            Self::Remove { path } => write!(f, "remove the old backup {path}"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    match (&params.wanted, state) {
        (Wanted::Taken(taking), State::Server(server)) => take(taking, server).map(Plan::of),
        (Wanted::Pruned(taking), State::Folder(dest)) => {
            let surplus = dest.archives.len().saturating_sub(taking.keep);
            Ok(Plan::of(removals(taking, &dest.archives[..surplus])))
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

fn take(taking: &Taking, server: &Server) -> Result<Vec<Step>> {
    let Dest { archives, parts, .. } = &server.dest;
    if server.datastore == Datastore::External {
        let stale = server
            .stale
            .as_ref()
            .map_or_else(String::new, |stale| format!(" ({stale})"));
        bail!(
            "the datastore is external: back it up where it runs, with its own tools; nothing was backed up here{stale}"
        );
    }
    refuse_wide_folders(taking, server)?;
    refuse_full_disks(taking, server)?;

    let mut steps = Vec::new();
    let at = |name: &String| format!("{}/{name}", taking.dest);
    if !server.left.is_empty() || !parts.is_empty() {
        steps.push(Step::Sweep {
            inside: server.left.clone(),
            outside: parts.iter().map(at).collect(),
        });
    }
    if server.dest.folder.is_none() {
        steps.push(Step::MakeFolder {
            folder: taking.dest.clone(),
        });
    }
    steps.push(if server.datastore == Datastore::Etcd {
        Step::SaveSnapshot {
            at: server.at.clone(),
        }
    } else {
        Step::CopySqlite {
            source: format!("{}/server/db/state.db", server.at.data_dir),
        }
    });
    let about = about(taking, server)?;
    steps.push(Step::Pack {
        path: format!("{}/{}{SUFFIX}", taking.dest, about.name),
        about: Box::new(about),
        binary: server.at.binary.clone(),
        most: taking.most,
    });
    steps.push(Step::Tidy);
    let surplus = (archives.len() + 1).saturating_sub(taking.keep);
    steps.extend(removals(taking, &archives[..surplus]));
    Ok(steps)
}

fn removals(taking: &Taking, old: &[String]) -> Vec<Step> {
    let path = |name| format!("{}/{name}", taking.dest);
    old.iter().map(|name| Step::Remove { path: path(name) }).collect()
}

fn about(taking: &Taking, server: &Server) -> Result<About> {
    let version = server.version.as_ref().context(
        "asking k3s for its version: it reported none. A restore has to know the version of the backup",
    )?;
    let now = OffsetDateTime::from(server.now).replace_nanosecond(0)?;
    Ok(About {
        name: stamp::stamped(&format!("{}-{}", taking.name, taking.node_name), server.now)?,
        taken_at: now.format(&Rfc3339)?,
        node: taking.node_name.clone(),
        k3s_version: version.to_string(),
        datastore: server.datastore,
        data_dir: server.at.data_dir.clone(),
        objects: Objects::new(),
        nodes: Vec::new(),
    })
}

/// A backup holds every secret of the cluster. A folder that others use is not made private behind their backs.
fn refuse_wide_folders(taking: &Taking, server: &Server) -> Result<()> {
    let Some((owner, mode)) = server.dest.folder else {
        return Ok(());
    };
    let dest = &taking.dest;
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

fn refuse_full_disks(taking: &Taking, server: &Server) -> Result<()> {
    let needed = server.bytes.saturating_add(MARGIN);
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let places = [
        (format!("in the container, for the copy in {WORK}"), server.free),
        (format!("for the archive in {}", taking.dest), server.dest.free),
    ];
    for (place, free) in places {
        if free < needed {
            bail!(
                "{} MiB are free {place}, where {} MiB are needed: make room, or have fewer backups kept",
                free >> 20,
                mib(needed)
            );
        }
    }
    if server.bytes > taking.most {
        bail!(
            "the datastore has {} MiB, more than max_mb allows ({} MiB): raise max_mb if that is right",
            mib(server.bytes),
            mib(taking.most)
        );
    }
    Ok(())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
