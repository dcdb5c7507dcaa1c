//! Snapshots as files.

use crate::clock;
use crate::etcd;
use crate::files;
use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub name: String,
    pub path: PathBuf,
    pub size: u64,
    /// Seconds since 1970.
    pub created: i64,
}

impl Snapshot {
    pub fn location(&self) -> String {
        format!("file://{}", self.path.display())
    }

    pub fn created_at(&self) -> String {
        clock::at_unix(self.created)
    }
}

/// In the order of their names; a folder that is not there holds none.
pub fn all(folder: &Path) -> Result<Vec<Snapshot>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("listing {}", folder.display()))?
            .path();
        let about = path
            .metadata()
            .with_context(|| format!("looking at {}", path.display()))?;
        if about.is_file() && path.extension().is_none_or(|extension| extension != "part") {
            found.push(of(path, &about));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn of(path: PathBuf, about: &std::fs::Metadata) -> Snapshot {
    let created = about
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let created = created
        .and_then(|time| i64::try_from(time.as_secs()).ok())
        .unwrap_or_default();
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    Snapshot {
        name,
        path,
        size: about.len(),
        created,
    }
}

/// Writes a real snapshot, first under a name that ends in `.part`.
pub async fn take(server_dir: &Path, path: &Path) -> Result<Snapshot> {
    let part = PathBuf::from(format!("{}.part", path.display()));
    let mut file = create(&part)?;
    etcd::own_client(server_dir)?.snapshot(&mut file).await?;
    file.sync_all()?;
    std::fs::rename(&part, path).with_context(|| format!("renaming {}", part.display()))?;
    Ok(of(path.to_owned(), &path.metadata()?))
}

fn create(part: &Path) -> Result<File> {
    let made = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(part);
    made.map_err(|_| {
        let part = part.display();
        anyhow::anyhow!(
            "failed to save snapshot: could not open {part} (open {part}: no such file or directory)"
        )
    })
}

/// Only the default folder is made.
pub fn prepare(folder: &Path, server_dir: &Path) -> Result<()> {
    if folder == server_dir.join("db/snapshots") {
        return files::folder_with_mode(folder, 0o700);
    }
    Ok(())
}

/// A name that is not there is passed over in silence, as recorded. Returns whether it was.
pub fn remove(folder: &Path, name: &str) -> Result<bool> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(false);
    }
    std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    Ok(true)
}
