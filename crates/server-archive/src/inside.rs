//! What a module asks its own binary for, in a container or beside an archive: one JSON line and status 0, or the fault
//! on standard error and status 1.

use crate::manifest::{About, Checked, Manifest};
use crate::{read, write};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;

pub const PACK: &str = "--inside-pack";
pub const CHECK: &str = "--inside-check";
pub const UNPACK: &str = "--inside-unpack";

/// Where `/etc` is: elsewhere only in tests.
const ROOT: &str = "/";

/// The first argument by which a module asks for it, and what does it.
pub type Job = (&'static str, fn(&[String]) -> Result<()>);

/// Does what was asked for, where it is one of `jobs`; `None`: this is a call of the module.
pub fn asked(jobs: &[Job]) -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (word, rest) = arguments.split_first()?;
    let (_, job) = jobs.iter().find(|(name, _)| name == word)?;
    Some(match job(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    })
}

/// The job's answer.
pub fn tell(answer: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    io::stdout().write_all(&line).context("answering")
}

/// `datastore` (the copy) and `about` (JSON): the archive goes to standard output.
pub fn pack(arguments: &[String]) -> Result<()> {
    let [datastore, about] = arguments else {
        bail!("packing takes a path and a description")
    };
    let about: About = serde_json::from_str(about).context("reading what is to be packed")?;
    let packing = write::Packing {
        root: Path::new(ROOT),
        about,
        datastore: Path::new(datastore),
    };
    write::write(packing, BufWriter::new(io::stdout().lock())).map(|_| ())
}

/// `path`: answers what an archive is, where it is whole.
pub fn check(arguments: &[String]) -> Result<()> {
    let [path] = arguments else {
        bail!("checking an archive takes its path")
    };
    tell(&read_file(path, |file| read::check(file))?)
}

/// `path`, `folder`: lays an archive down, and answers what it is.
pub fn unpack(arguments: &[String]) -> Result<()> {
    let [path, folder] = arguments else {
        bail!("unpacking an archive takes its path and a folder")
    };
    tell(&read_file(path, |file| read::unpack(file, Path::new(folder)))?)
}

fn read_file(path: &str, work: impl FnOnce(&mut Hashed) -> Result<Manifest>) -> Result<Checked> {
    let read = || {
        let mut file = Hashed {
            file: read::open(Path::new(path))?,
            hasher: Sha256::new(),
            bytes: 0,
        };
        let manifest = work(&mut file)?;
        anyhow::Ok(Checked {
            bytes: file.bytes,
            sha256: format!("{:x}", file.hasher.finalize()),
            manifest,
        })
    };
    read().with_context(|| format!("the archive {path}"))
}

/// The bytes as they are read, which is all of them where the archive is whole.
struct Hashed {
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}
