//! What runs next to the datastore: copying `SQLite` by its backup interface, and checking snapshots.
//!
//! One JSON line on standard output and status 0, or the fault on standard error and status 1.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "this is the far end of a Host: it has no Host of its own"
)]

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

/// The first argument by which the module calls itself.
pub(crate) const COPY_SQLITE: &str = "--inside-copy-sqlite";
pub(crate) const CHECK_SNAPSHOT: &str = "--inside-check-snapshot";

/// etcd ends a snapshot with the SHA-256 of all that is before it.
const HASH: usize = 32;
/// The pages of the database in it; a snapshot's size is a multiple of this, and the hash.
const SECTOR: u64 = 512;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    pub bytes: u64,
    pub sha256: String,
}

/// Does what was asked for, where something was; `None`: this is a call of the module.
pub fn asked() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [COPY_SQLITE, source, target] => copy_sqlite(Path::new(source), Path::new(target)),
        [CHECK_SNAPSHOT, path] => check_snapshot(Path::new(path)),
        _ => return None,
    };
    Some(
        match done.and_then(|verified| Ok(serde_json::to_string(&verified)?)) {
            Ok(line) => {
                println!("{line}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        },
    )
}

fn copy_sqlite(source: &Path, target: &Path) -> Result<Verified> {
    let copied = sqlite_backup::backup(source, target)?;
    Ok(Verified {
        bytes: copied.bytes,
        sha256: copied.sha256,
    })
}

/// Compares a snapshot with the hash at its end. A compressed one (zip) carries no such hash and is only
/// measured.
fn check_snapshot(path: &Path) -> Result<Verified> {
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
        "the snapshot {} is cut off: {bytes} bytes are no whole number of pages",
        path.display()
    );
    let (mut own, mut whole) = (Sha256::new(), Sha256::new());
    let mut tail = Vec::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let count = file
            .read(&mut buffer)
            .with_context(|| format!("reading {}", path.display()))?;
        if count == 0 {
            break;
        }
        whole.update(&buffer[..count]);
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
    let sha256 = whole.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(Verified { bytes, sha256 })
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
    fn a_whole_snapshot_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        for pages in [1, 2048, 5000] {
            let verified = check_snapshot(&snapshot(&folder, pages)).unwrap();
            assert_eq!(verified.bytes, pages as u64 * 512 + 32);
            assert_eq!(verified.sha256.len(), 64);
        }
    }

    #[test]
    fn damaged_cut_off_and_empty_snapshots_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = snapshot(&folder, 4);
        let mut content = std::fs::read(&path).unwrap();
        content[100] ^= 1;
        std::fs::write(&path, &content).unwrap();
        assert!(check_snapshot(&path).unwrap_err().to_string().contains("damaged"));
        std::fs::write(&path, &content[..700]).unwrap();
        assert!(check_snapshot(&path).unwrap_err().to_string().contains("cut off"));
        std::fs::write(&path, "").unwrap();
        assert!(check_snapshot(&path).unwrap_err().to_string().contains("empty"));
    }
}
