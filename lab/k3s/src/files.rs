//! Writing files with their mode, and folders above them.

use anyhow::{Context, Result};
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

pub fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    if let Some(folder) = path.parent() {
        folder_with_mode(folder, 0o755)?;
    }
    let written = || {
        let mut open = OpenOptions::new();
        let mut file = open
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::from_mode(mode))
    };
    written().with_context(|| format!("writing {}", path.display()))
}

/// Made with all that is above it; what exists keeps its mode.
pub fn folder_with_mode(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        folder_with_mode(parent, 0o755)?;
    }
    let result = DirBuilder::new().mode(mode).create(path);
    result.with_context(|| format!("making the folder {}", path.display()))
}

pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// A symlink that replaces what is there.
pub fn link(link: &Path, target: &Path) -> Result<()> {
    if std::fs::symlink_metadata(link).is_ok() {
        std::fs::remove_file(link).with_context(|| format!("removing {}", link.display()))?;
    }
    if let Some(folder) = link.parent() {
        folder_with_mode(folder, 0o755)?;
    }
    symlink(target, link).with_context(|| format!("linking {}", link.display()))
}
