//! What is on offer: channels.json, the versions' folders, their checksums.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Context;
use sha2::{Digest, Sha256};

/// Length and time of last change: a file that still has both is taken for unchanged.
type Stamp = (u64, SystemTime);

pub(crate) struct Catalogue {
    root: PathBuf,
    sums: Mutex<HashMap<PathBuf, (Stamp, String)>>,
}

impl Catalogue {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            sums: Mutex::default(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Channel names and their versions; a channel may have none, as on the real server.
    pub(crate) fn channels(&self) -> anyhow::Result<BTreeMap<String, Option<String>>> {
        let path = self.root.join("channels.json");
        let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading channels from {}", path.display()))
    }

    /// The binary of a version; `None` where there is no such release.
    pub(crate) fn binary(&self, version: &str) -> anyhow::Result<Option<(File, PathBuf, u64)>> {
        if version.starts_with('.') || version.contains('/') {
            return Ok(None);
        }
        let path = self.root.join("versions").join(version).join("k3s");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
        };
        let length = file
            .metadata()
            .with_context(|| format!("looking at {}", path.display()))?
            .len();
        Ok(Some((file, path, length)))
    }

    /// The binary's SHA-256 in hex, computed once for each state of the file.
    pub(crate) fn sha256(&self, path: &Path, mut file: File) -> anyhow::Result<String> {
        let about = file
            .metadata()
            .with_context(|| format!("looking at {}", path.display()))?;
        let stamp = (about.len(), about.modified()?);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, sum)) = sums.get(path)
            && *known == stamp
        {
            return Ok(sum.clone());
        }
        let mut hasher = Sha256::new();
        io::copy(&mut file, &mut hasher).with_context(|| format!("reading {}", path.display()))?;
        let sum = format!("{:x}", hasher.finalize());
        sums.insert(path.to_owned(), (stamp, sum.clone()));
        Ok(sum)
    }
}
