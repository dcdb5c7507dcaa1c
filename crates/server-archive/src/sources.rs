//! Which files of a server belong in an archive: what the datastore is encrypted with, the authorities, and all that
//! its service is started with.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

/// Keys, certificates and configuration are a few KiB each.
const LARGEST: u64 = 4 << 20;
const DEEPEST: usize = 8;

/// A file with its content, under its name in the archive.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
}

/// Relative to the data folder. `node-token` is a link to the token, and `agent-token` too, unless it is a file of its own.
const OF_THE_SERVER: [&str; 4] = ["server/token", "server/agent-token", "server/tls", "server/cred"];

/// On every machine, whatever its settings name.
const OF_THE_MACHINE: [&str; 5] = [
    "/etc/rancher/k3s/config.yaml",
    "/etc/rancher/k3s/config.yaml.d",
    "/etc/rancher/k3s/registries.yaml",
    "/etc/rancher/node/password",
    "/etc/rancher/node/id",
];

/// Where files of the machine are in the archive that are not below `/etc`.
pub(crate) const ELSEWHERE: &str = "machine";

/// Reads them all, in order: those of every server and those in `named`, which this server's settings name. Those that
/// are not there are nobody's loss, except the token: without it nothing in the copy of the datastore can be read.
pub(crate) fn gather(root: &Path, data_dir: &Path, named: &[String]) -> Result<Vec<Source>> {
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
    let named = named.iter().map(String::as_str);
    for path in OF_THE_MACHINE.into_iter().chain(named) {
        if let Some(below) = below_root(root, path) {
            take(&root.join(&below), &name(&below), 0, &mut found)?;
        }
    }
    Ok(found)
}

/// A full path as one below `root`, in the one spelling that an archive may have; none where it is not there.
fn below_root(root: &Path, path: &str) -> Option<PathBuf> {
    let parts = Path::new(path).components().skip(1);
    let plain: PathBuf = parts.clone().collect();
    if parts.clone().all(|part| matches!(part, Component::Normal(_))) {
        return Some(plain);
    }
    // What `..` leads out of may be a link.
    let real = fs::canonicalize(root.join(plain)).ok()?;
    let below = real.strip_prefix(fs::canonicalize(root).ok()?).ok()?;
    Some(below.to_owned())
}

fn name(below: &Path) -> String {
    let path = below.display();
    if below.starts_with("etc") {
        path.to_string()
    } else {
        format!("{ELSEWHERE}/{path}")
    }
}

fn take(at: &Path, name: &str, depth: usize, found: &mut Vec<Source>) -> Result<()> {
    if found.iter().any(|source| source.path == name) {
        return Ok(());
    }
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
        "{} has {} bytes, more than a file of keys or configuration has: it is none of k3s's",
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
