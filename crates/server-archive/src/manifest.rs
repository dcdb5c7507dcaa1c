//! What an archive says of itself.

use crate::sources::ELSEWHERE;
use crate::{Datastore, Objects};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path};

/// The only form so far. Another one is made by a newer collection, and read by that only.
pub const FORMAT: u32 = 1;
/// The first file of the archive.
pub const MANIFEST: &str = "manifest.json";
/// A server's own files are a few hundred.
const MOST_FILES: usize = 10_000;

/// Where the files of an archive belong.
const FOLDERS: [&str; 4] = ["datastore", "server", "etc", ELSEWHERE];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    #[serde(flatten)]
    pub about: About,
    /// In the order in which they follow.
    pub files: Vec<Entry>,
}

/// An intact archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    pub bytes: u64,
    /// Of the archive's file.
    pub sha256: String,
    pub manifest: Manifest,
    /// Of the tokens that were asked about, in their order, whether the server's was the same.
    #[serde(default)]
    pub tokens: Vec<bool>,
}

/// What was backed up: all that the module has before the files are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The file's own name, without its ending: `k3s-k3s-controller-1-20260101T000000Z`.
    pub name: String,
    /// RFC 3339.
    pub taken_at: String,
    pub node: String,
    pub k3s_version: String,
    pub datastore: Datastore,
    pub data_dir: String,
    /// What the API had of each kind; empty where it could not be asked.
    #[serde(default)]
    pub objects: Objects,
    /// The cluster's nodes, likewise.
    #[serde(default)]
    pub nodes: Vec<String>,
}

/// A file of the archive: `server/tls/client-ca.crt` of the data folder, `etc/rancher/k3s/config.yaml` and
/// `machine/opt/k3s/node.env` of the machine, or the copy of the datastore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
    pub mode: u32,
}

impl Manifest {
    /// Refuses what another form, or another hand, has made.
    pub(crate) fn accept(&self) -> Result<()> {
        ensure!(
            self.format == FORMAT,
            "it has the form {}, where this collection reads the form {FORMAT}: use the one that made it",
            self.format
        );
        ensure!(
            self.files.len() <= MOST_FILES,
            "it lists {} files, more than any server has",
            self.files.len()
        );
        let mut seen = BTreeSet::new();
        for Entry { path, .. } in &self.files {
            ensure!(
                is_plain(path) && seen.insert(path),
                "its file {path:?} has no place on a server, or is there twice"
            );
        }
        self.datastore_file().map(|_| ())
    }

    /// The copy of the datastore.
    pub fn datastore_file(&self) -> Result<&Entry> {
        let copies: Vec<&Entry> = self
            .files
            .iter()
            .filter(|entry| entry.path.starts_with("datastore/"))
            .collect();
        ensure!(
            copies.len() == 1,
            "it holds {} copies of a datastore in place of one",
            copies.len()
        );
        Ok(copies[0])
    }

    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|entry| entry.path == path)
    }

    /// What the files take on a disk.
    pub fn bytes(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum, entry| sum.saturating_add(entry.bytes))
    }
}

/// A path that stays below where it is unpacked.
fn is_plain(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    let first = parts.next();
    let known = first.is_some_and(
        |first| matches!(first, Component::Normal(name) if FOLDERS.iter().any(|folder| name == *folder)),
    );
    let mut rest = 0;
    let plain = parts.all(|part| {
        rest += 1;
        matches!(part, Component::Normal(_))
    });
    // `components` passes over `.` and double slashes, which would make two names of one file.
    known && plain && rest > 0 && !path.split('/').any(|part| part.is_empty() || part == ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_paths_below_the_known_folders() {
        for path in [
            "server/token",
            "etc/rancher/k3s/config.yaml.d/10.yaml",
            "machine/opt/k3s/node.env",
            "datastore/snapshot",
        ] {
            assert!(is_plain(path), "{path}");
        }
        for path in [
            "",
            "server",
            "/server/token",
            "server/../etc/passwd",
            "../server/token",
            "home/x",
            "server//token",
            "server/./token",
            "server/",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
