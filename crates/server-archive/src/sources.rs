//! Which files of a server belong in an archive: what the datastore is encrypted with, the authorities, and all that
//! its service was told.

use anyhow::{Context, Result, ensure};
use k3s_node::Role;
use k3s_node::unit::{Runs, Unit};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Keys, certificates and configuration are a few KiB each.
const LARGEST: u64 = 4 << 20;
const DEEPEST: usize = 8;

/// A file with its content, under its name in the archive.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
}

/// Relative to the data folder. `node-token` is a link to the token, and `agent-token` where it is no file of its own.
const OF_THE_SERVER: [&str; 4] = ["server/token", "server/agent-token", "server/tls", "server/cred"];

/// Relative to `/`.
const OF_THE_MACHINE: [&str; 5] = [
    "etc/rancher/k3s/config.yaml",
    "etc/rancher/k3s/config.yaml.d",
    "etc/rancher/k3s/registries.yaml",
    "etc/rancher/node/password",
    "etc/rancher/node/id",
];

const UNITS: &str = "etc/systemd/system";

/// Reads them all, in order. Those that are not there are nobody's loss, except the token: without it nothing in the
/// copy of the datastore can be read.
pub(crate) fn gather(root: &Path, data_dir: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    let token = data_dir.join("server/token");
    ensure!(
        token.is_file(),
        "there is no {}: without the server's token nobody can read what its datastore holds",
        token.display()
    );
    for path in OF_THE_SERVER {
        let at = data_dir.join(path);
        if path == "server/agent-token" && at.is_symlink() {
            continue;
        }
        take(&at, path, 0, &mut found)?;
    }
    for path in OF_THE_MACHINE {
        take(&root.join(path), path, 0, &mut found)?;
    }
    for path in of_units(root)? {
        take(&root.join(&path), &path, 0, &mut found)?;
    }
    Ok(found)
}

/// Of each unit that starts a server, under whatever name: itself, its variables and its drop-ins.
fn of_units(root: &Path) -> Result<Vec<String>> {
    let folder = root.join(UNITS);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for file in children(&folder)? {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(stem) = name.strip_suffix(".service").filter(|_| starts_a_server(&file)) else {
            continue;
        };
        let own = ["", ".env", ".d"].map(|ending| format!("{UNITS}/{name}{ending}"));
        paths.extend(own);
        paths.extend([format!("etc/default/{stem}"), format!("etc/sysconfig/{stem}")]);
    }
    Ok(paths)
}

fn starts_a_server(file: &Path) -> bool {
    let text = fs::read(file).unwrap_or_default();
    let runs = Unit::parse(&String::from_utf8_lossy(&text)).runs();
    runs == Runs::K3s(Role::Server) || runs == Runs::Wrapped(Role::Server)
}

fn take(at: &Path, name: &str, depth: usize, found: &mut Vec<Source>) -> Result<()> {
    // Links are followed: what a certificate's link points to is what k3s reads.
    let Ok(about) = fs::metadata(at) else {
        return Ok(());
    };
    if about.is_dir() {
        ensure!(
            depth < DEEPEST,
            "{} has folders deeper than any of k3s's",
            at.display()
        );
        for child in children(at)? {
            let file_name = child.file_name().unwrap_or_default().to_string_lossy();
            take(&child, &format!("{name}/{file_name}"), depth + 1, found)?;
        }
        return Ok(());
    }
    if !about.is_file() {
        return Ok(());
    }
    ensure!(
        about.len() <= LARGEST,
        "{} has {} bytes, more than a file of keys or configuration: it is none of k3s's",
        at.display(),
        about.len()
    );
    found.push(Source {
        path: name.to_owned(),
        mode: about.permissions().mode() & 0o777,
        content: fs::read(at).with_context(|| format!("reading {}", at.display()))?,
    });
    Ok(())
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = || format!("listing {}", folder.display());
    let entries = fs::read_dir(folder).with_context(listing)?;
    let mut children: Vec<PathBuf> = entries
        .map(|entry| Ok(entry.with_context(listing)?.path()))
        .collect::<Result<_>>()?;
    children.sort();
    Ok(children)
}
