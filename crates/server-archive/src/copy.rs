//! What runs next to the datastore: copying `SQLite` by its backup interface, and checking snapshots.

use crate::sqlite;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Read as _;
use std::path::Path;

/// The first argument by which a module asks its own binary for it.
pub const COPY_SQLITE: &str = "--inside-copy-sqlite";
pub const CHECK_SNAPSHOT: &str = "--inside-check-snapshot";

/// etcd ends a snapshot with the SHA-256 of all that is before it.
const HASH: usize = 32;
/// The pages of the database in it; a snapshot's size is a multiple of this, and the hash.
const SECTOR: u64 = 512;

/// A copy that is complete: its size, and its SHA-256 in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    pub bytes: u64,
    pub sha256: String,
}

/// `source`, `target`
pub fn copy_sqlite(arguments: &[String]) -> Result<()> {
    let [source, target] = arguments else {
        bail!("copying SQLite takes two paths")
    };
    crate::print_json(&sqlite::backup(Path::new(source), Path::new(target))?)
}

/// `path`
pub fn check_snapshot(arguments: &[String]) -> Result<()> {
    let [path] = arguments else {
        bail!("checking a snapshot takes one path")
    };
    crate::print_json(&check(Path::new(path))?)
}

/// Compares a snapshot with the hash at its end. A compressed one (zip) carries no such hash and is only
/// measured.
fn check(path: &Path) -> Result<Verified> {
    let mut file =
        std::fs::File::open(path).with_context(|| format!("opening the snapshot {}", path.display()))?;
    let bytes = file.metadata()?.len();
    ensure!(
        bytes > HASH as u64,
        "the snapshot {} is empty ({bytes} bytes)",
        path.display()
    );
    let compressed = path.extension().is_some_and(|extension| extension == "zip");
    ensure!(
        compressed || bytes % SECTOR == HASH as u64,
        "the snapshot {} is truncated: {bytes} bytes are not a multiple of the page size",
        path.display()
    );
    let (mut own, mut total) = (Sha256::new(), Sha256::new());
    let mut tail = Vec::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let count = file
            .read(&mut buffer)
            .with_context(|| format!("reading {}", path.display()))?;
        if count == 0 {
            break;
        }
        total.update(&buffer[..count]);
        tail.extend_from_slice(&buffer[..count]);
        own.update(&tail[..tail.len().saturating_sub(HASH)]);
        tail.drain(..tail.len().saturating_sub(HASH));
    }
    if !compressed && own.finalize().as_slice() != tail {
        bail!(
            "the snapshot {} is damaged: it does not have the hash at its end",
            path.display()
        );
    }
    Ok(Verified {
        bytes,
        sha256: format!("{:x}", total.finalize()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(folder: &tempfile::TempDir, pages: usize) -> std::path::PathBuf {
        let mut content = vec![7_u8; pages * 512];
        let hash = Sha256::digest(&content);
        content.extend_from_slice(&hash);
        let path = folder.path().join("snapshot");
        std::fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn measures_an_intact_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        for pages in [1, 2048, 5000] {
            let verified = check(&snapshot(&folder, pages)).unwrap();
            assert_eq!(verified.bytes, pages as u64 * 512 + 32);
            assert_eq!(verified.sha256.len(), 64);
        }
    }

    #[test]
    fn reports_damaged_truncated_and_empty_snapshots() {
        let folder = tempfile::tempdir().unwrap();
        let path = snapshot(&folder, 4);
        let mut content = std::fs::read(&path).unwrap();
        content[100] ^= 1;
        std::fs::write(&path, &content).unwrap();
        assert!(check(&path).unwrap_err().to_string().contains("damaged"));
        std::fs::write(&path, &content[..700]).unwrap();
        assert!(check(&path).unwrap_err().to_string().contains("truncated"));
        std::fs::write(&path, "").unwrap();
        assert!(check(&path).unwrap_err().to_string().contains("empty"));
    }
}
