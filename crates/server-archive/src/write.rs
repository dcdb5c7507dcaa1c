//! Making an archive.

use crate::manifest::{About, Entry, FORMAT, MANIFEST, Manifest};
use crate::sources;
use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// What is to be packed, and from where.
pub(crate) struct Packing<'a> {
    pub(crate) root: &'a Path,
    pub(crate) about: About,
    /// The files of the machine that the server's settings name.
    pub(crate) named: &'a [String],
    /// The copy of the datastore: nobody writes to it any more.
    pub(crate) datastore: &'a Path,
}

/// Writes the archive. The hashes stand at its beginning, so every file is read before the first byte is written.
pub(crate) fn write(packing: Packing<'_>, out: impl Write) -> Result<Manifest> {
    let Packing {
        root,
        about,
        named,
        datastore,
    } = packing;
    let small = sources::gather(root, Path::new(&about.data_dir), named)?;
    let mut files: Vec<Entry> = small
        .iter()
        .map(|source| Entry {
            path: source.path.clone(),
            bytes: source.content.len() as u64,
            sha256: format!("{:x}", Sha256::digest(&source.content)),
            mode: source.mode,
        })
        .collect();
    files.push(measure(datastore)?);
    let manifest = Manifest {
        format: FORMAT,
        about,
        files,
    };
    manifest.accept()?;

    // A node has better things to do than to press the last percent out of it.
    let mut tar = tar::Builder::new(GzEncoder::new(out, Compression::fast()));
    let text = serde_json::to_vec_pretty(&manifest)?;
    append(&mut tar, MANIFEST, 0o600, text.len() as u64, text.as_slice())?;
    for (entry, source) in manifest.files.iter().zip(&small) {
        append(
            &mut tar,
            &entry.path,
            entry.mode,
            entry.bytes,
            source.content.as_slice(),
        )?;
    }
    let entry = manifest.datastore_file()?;
    let file = File::open(datastore).with_context(|| format!("opening {}", datastore.display()))?;
    append(&mut tar, &entry.path, entry.mode, entry.bytes, file)?;
    tar.into_inner()
        .and_then(GzEncoder::finish)
        .and_then(|mut out| out.flush())
        .context("writing the end of the archive")?;
    Ok(manifest)
}

fn measure(datastore: &Path) -> Result<Entry> {
    let measuring = || format!("reading {}", datastore.display());
    let mut file = File::open(datastore).with_context(measuring)?;
    let mut hasher = Sha256::new();
    let bytes = io::copy(&mut file, &mut hasher).with_context(measuring)?;
    let name = datastore.file_name().unwrap_or_default().to_string_lossy();
    Ok(Entry {
        path: format!("datastore/{name}"),
        bytes,
        sha256: format!("{:x}", hasher.finalize()),
        mode: 0o600,
    })
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    path: &str,
    mode: u32,
    bytes: u64,
    content: impl Read,
) -> Result<()> {
    // No extension of the format is written, so that none has to be understood on the way back.
    let mut header = tar::Header::new_ustar();
    header
        .set_path(path)
        .with_context(|| format!("packing {path}: its name is too long"))?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(mode);
    header.set_size(bytes);
    header.set_cksum();
    // A file that grew meanwhile must not spill over into the next one.
    let mut content = Counted {
        inner: content.take(bytes),
        bytes: 0,
    };
    tar.append(&header, &mut content)
        .with_context(|| format!("packing {path}"))?;
    ensure!(
        content.bytes == bytes,
        "packing {path}: it has {} bytes, where it had {bytes} a moment ago",
        content.bytes
    );
    Ok(())
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}
