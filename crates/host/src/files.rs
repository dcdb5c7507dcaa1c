//! Writing files completely or not at all.

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

/// A file as it shall be.
#[derive(Clone, PartialEq, Eq)]
pub struct FileToWrite {
    pub path: String,
    pub content: Vec<u8>,
    pub mode: u32,
    /// Numeric owner and group; root for what modules write on nodes.
    pub owner: (u32, u32),
}

impl FileToWrite {
    /// A file that only root reads.
    pub fn private(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            content: content.into(),
            mode: 0o600,
            owner: (0, 0),
        }
    }

    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
}

impl std::fmt::Debug for FileToWrite {
    /// Without the content, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} ({} bytes, mode {:o})",
            self.path,
            self.content.len(),
            self.mode
        )
    }
}

/// More than any file that a module reads into memory.
const LARGEST: u64 = 1 << 30;

/// Reads a regular file. Whoever owns the path may have put a device or a pipe there: the one has no end, the other may
/// never begin.
pub(crate) fn read(path: &str) -> Result<Option<Vec<u8>>> {
    let doing = || format!("reading {path}");
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(doing),
    };
    let found = file.metadata().with_context(doing)?;
    if !found.is_file() {
        bail!("reading {path}: it is not a regular file");
    }
    if found.len() > LARGEST {
        bail!("reading {path}: it has more than {} MiB", LARGEST >> 20);
    }
    let mut content = Vec::new();
    // One that grows meanwhile is bounded too.
    file.take(LARGEST).read_to_end(&mut content).with_context(doing)?;
    Ok(Some(content))
}

pub(crate) fn remove(path: &str) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {path}"))
        }
        _ => Ok(()),
    }
}

/// Writes through a temporary file in the same folder, so that a reader sees the old content or the new, and
/// a crash leaves one of the two. A symbolic link is followed: its target is what gets replaced.
pub(crate) fn write(file: &FileToWrite, unique: &str) -> Result<()> {
    let path = target(Path::new(&file.path))?;
    let folder = path
        .parent()
        .with_context(|| format!("writing {}: no folder in that path", file.path))?;
    let name = path
        .file_name()
        .with_context(|| format!("writing {}: no file name in that path", file.path))?;
    let temporary = folder.join(format!(".{}.{unique}", name.to_string_lossy()));
    let written = fill(&temporary, file).and_then(|()| {
        fs::rename(&temporary, &path).context("renaming the finished file")?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .context("syncing the folder")
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("writing {}", path.display()))
}

fn fill(temporary: &Path, file: &FileToWrite) -> Result<()> {
    let mut open = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(Mode::from_raw_mode(0o600).as_raw_mode())
        .open(temporary)
        .with_context(|| format!("creating {}", temporary.display()))?;
    // Owner and mode come before the content: no moment at which a wider file holds it.
    if rustix::process::geteuid().is_root() {
        chown(temporary, Some(file.owner.0), Some(file.owner.1)).context("setting the owner")?;
    }
    open.set_permissions(fs::Permissions::from_mode(file.mode))
        .context("setting the mode")?;
    open.write_all(&file.content).context("writing the content")?;
    open.sync_all().context("syncing the content")
}

fn target(path: &Path) -> Result<PathBuf> {
    const LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().map_or(next.clone(), |folder| folder.join(&next)),
            Err(_) => return Ok(path),
        }
    }
    bail!(
        "writing {}: more than {LINKS} symbolic links in a row",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("file"), "text").unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("link")).unwrap();
        let pipe = rustix::fs::CWD;
        rustix::fs::mkfifoat(pipe, path("pipe"), Mode::RUSR).unwrap();
        assert_eq!(read(&path("file")).unwrap().as_deref(), Some(&b"text"[..]));
        assert_eq!(read(&path("none")).unwrap(), None);
        for other in ["/dev/zero".to_owned(), path("link"), path("pipe"), path("")] {
            let error = format!("{:#}", read(&other).unwrap_err());
            assert!(
                error.starts_with(&format!("reading {other}: it is not a regular file")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_without_a_bound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
        let error = read(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(error.ends_with("it has more than 1024 MiB"), "{error}");
    }
}
