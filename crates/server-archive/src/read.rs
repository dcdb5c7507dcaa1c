//! Checking an archive, and taking it apart. It has been on other machines: nothing in it is believed before its
//! hash is.

use crate::manifest::{Entry, MANIFEST, Manifest};
use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// The list of some hundred files has some ten KiB.
const LARGEST_MANIFEST: u64 = 8 << 20;
/// The server's own token.
const TOKEN: &str = "server/token";
const LONGEST_TOKEN: u64 = 16 << 10;
/// What a tar may end with: zeros up to the end of a record.
const LONGEST_END: u64 = 1 << 20;

/// Reads every byte of it and compares it with its manifest. With the server's token, which is never shown.
pub(crate) fn check(archive: impl Read) -> Result<(Manifest, Vec<u8>)> {
    walk(archive, |_| Ok(None))
}

/// Lays the files down below `folder`, which must not be there yet and which only root enters, with their own modes.
/// What has been laid down is complete only where no error is answered.
pub(crate) fn unpack(archive: impl Read, folder: &Path) -> Result<Manifest> {
    let made = DirBuilder::new().mode(0o700).create(folder);
    made.with_context(|| format!("making {}", folder.display()))?;
    walk(archive, |entry| lay_down(&folder.join(&entry.path)).map(Some)).map(|(manifest, _)| manifest)
}

fn lay_down(path: &Path) -> Result<File> {
    let making = || format!("making {}", path.display());
    if let Some(folder) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(making)?;
    }
    let mut open = OpenOptions::new();
    open.write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(making)
}

/// Goes through the files in the manifest's order, writing each where `open_target` says.
fn walk(
    archive: impl Read,
    mut open_target: impl FnMut(&Entry) -> Result<Option<File>>,
) -> Result<(Manifest, Vec<u8>)> {
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(archive)));
    let mut entries = tar
        .entries()
        .context("reading the archive")?
        .raw(true)
        .map(|entry| entry.context("reading the archive: it is damaged, or no archive of this collection"));
    let manifest = manifest(entries.next())?;
    let mut token = Vec::new();
    for wanted in &manifest.files {
        let Some(entry) = entries.next() else {
            bail!("the archive is truncated before {}", wanted.path)
        };
        let file = open_target(wanted)?;
        let copy = (wanted.path == TOKEN).then_some(&mut token);
        compare(entry?, wanted, file, copy)
            .with_context(|| format!("reading {} in the archive", wanted.path))?;
    }
    if entries.next().transpose()?.is_some() {
        bail!("the archive holds more files than its manifest lists");
    }
    drop(entries);
    end(tar.into_inner())?;
    Ok((manifest, token))
}

fn manifest<R: Read>(first: Option<Result<tar::Entry<R>>>) -> Result<Manifest> {
    let first = first.context("reading the archive: it is empty")??;
    let size = first.header().size().unwrap_or(u64::MAX);
    ensure!(
        first.path_bytes().as_ref() == MANIFEST.as_bytes() && size <= LARGEST_MANIFEST,
        "this is not an archive of this collection: it does not begin with {MANIFEST}"
    );
    let manifest: Manifest =
        serde_json::from_reader(first).with_context(|| format!("reading {MANIFEST} in the archive"))?;
    manifest.accept()?;
    Ok(manifest)
}

fn compare<R: Read>(
    mut entry: tar::Entry<R>,
    wanted: &Entry,
    file: Option<File>,
    copy: Option<&mut Vec<u8>>,
) -> Result<()> {
    ensure!(
        entry.header().entry_type() == tar::EntryType::Regular
            && entry.path_bytes().as_ref() == wanted.path.as_bytes(),
        "another file is there in its place"
    );
    let size = entry.size();
    ensure!(
        size == wanted.bytes,
        "it has {size} bytes, where the manifest has {}",
        wanted.bytes
    );
    ensure!(
        copy.is_none() || size <= LONGEST_TOKEN,
        "it has {size} bytes, more than a token"
    );
    let mut both = Both {
        hasher: Sha256::new(),
        file,
        copy,
    };
    io::copy(&mut entry, &mut both)?;
    let found = format!("{:x}", both.hasher.finalize());
    ensure!(
        found == wanted.sha256,
        "it is damaged: its SHA-256 is {found}, where the manifest has {}",
        wanted.sha256
    );
    if let Some(file) = both.file {
        file.set_permissions(fs::Permissions::from_mode(wanted.mode & 0o777))?;
        file.sync_all()?;
    }
    Ok(())
}

/// What follows the last file: zeros, the sum of the gzip, and nothing.
fn end(mut gzip: GzDecoder<impl io::BufRead>) -> Result<()> {
    let after = io::copy(&mut gzip.by_ref().take(LONGEST_END), &mut io::sink())
        .context("reading the end of the archive: it is damaged")?;
    ensure!(after < LONGEST_END, "the archive goes on after its last file");
    let more = gzip.into_inner().fill_buf().map(<[u8]>::len);
    ensure!(
        more.context("reading the end of the archive")? == 0,
        "something follows the archive's end"
    );
    Ok(())
}

struct Both<'a> {
    hasher: Sha256,
    file: Option<File>,
    copy: Option<&'a mut Vec<u8>>,
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        if let Some(copy) = &mut self.copy {
            copy.extend_from_slice(bytes);
        }
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens an archive, which is a file and no link.
pub(crate) fn open(path: &Path) -> Result<File> {
    let about = fs::symlink_metadata(path).with_context(|| format!("checking {}", path.display()))?;
    ensure!(about.is_file(), "{} is not a file", path.display());
    File::open(path).with_context(|| format!("opening {}", path.display()))
}
