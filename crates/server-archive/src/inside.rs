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

/// Does what these arguments ask for, where it is one of `jobs`; `None`: this is a call of the module.
pub fn asked(arguments: &[String], jobs: &[Job]) -> Option<ExitCode> {
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
pub fn print_json(answer: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    io::stdout().write_all(&line).context("answering")
}

/// `datastore` (the copy), `about` and the files that the settings name (both JSON): the archive goes to standard output.
pub fn pack(arguments: &[String]) -> Result<()> {
    let [datastore, about, named] = arguments else {
        bail!("packing takes a path, a description and a list of files")
    };
    let about: About = serde_json::from_str(about).context("reading what is to be packed")?;
    let named: Vec<String> = serde_json::from_str(named).context("reading which files are to be packed")?;
    let packing = write::Packing {
        root: Path::new(ROOT),
        about,
        named: &named,
        datastore: Path::new(datastore),
    };
    let out = BufWriter::new(io::stdout().lock());
    write::write(packing, out).map(|_| ())
}

/// Writes an archive of a server whose `/etc` is below `root`, and whose settings name no other files.
pub fn packed(root: &Path, about: About, datastore: &Path, out: impl Write) -> Result<Manifest> {
    let packing = write::Packing {
        root,
        about,
        named: &[],
        datastore,
    };
    write::write(packing, out)
}

/// `path`: answers what an archive is, where it is intact. With a second word, the lines of standard input are tokens to
/// be compared with the one in it.
pub fn check(arguments: &[String]) -> Result<()> {
    let (path, tokens) = match arguments {
        [path] => (path, String::new()),
        [path, _] => (path, io::read_to_string(io::stdin()).context("reading tokens")?),
        _ => bail!("checking an archive takes its path"),
    };
    print_json(&checked(path, &tokens)?)
}

/// Reads every byte of an archive, and compares its token with those in the lines of `tokens`.
pub fn checked(path: &str, tokens: &str) -> Result<Checked> {
    read_file(path, tokens, |file| read::check(file))
}

/// `path`, `folder`: lays an archive down, and answers what it is.
pub fn unpack(arguments: &[String]) -> Result<()> {
    let [path, folder] = arguments else {
        bail!("unpacking an archive takes its path and a folder")
    };
    print_json(&unpacked(path, folder)?)
}

/// Lays an archive down below a folder that is not there yet.
pub fn unpacked(path: &str, folder: &str) -> Result<Checked> {
    let unpack = |file: &mut Hashed| Ok((read::unpack(file, Path::new(folder))?, Vec::new()));
    read_file(path, "", unpack)
}

fn read_file(
    path: &str,
    tokens: &str,
    work: impl FnOnce(&mut Hashed) -> Result<(Manifest, Vec<u8>)>,
) -> Result<Checked> {
    let read = || {
        let mut file = Hashed {
            file: read::open(Path::new(path))?,
            hasher: Sha256::new(),
            bytes: 0,
        };
        let (manifest, own) = work(&mut file)?;
        let own = String::from_utf8_lossy(&own).into_owned();
        let tokens = tokens.lines().map(|token| password(token) == password(&own));
        anyhow::Ok(Checked {
            bytes: file.bytes,
            sha256: format!("{:x}", file.hasher.finalize()),
            manifest,
            tokens: tokens.collect(),
        })
    };
    read().with_context(|| format!("the archive {path}"))
}

/// Of a token in any form the part that is secret: `K10<hash>::server:<password>`, or the password alone.
pub fn password(token: &str) -> &str {
    let token = token.trim();
    let login = token
        .strip_prefix("K10")
        .and_then(|full| full.split_once("::"))
        .map(|(_, login)| login);
    login.map_or(token, |login| {
        login.split_once(':').map_or(login, |(_, password)| password)
    })
}

/// The bytes that are read, which is all of them where the archive is intact.
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

#[cfg(test)]
mod tests {
    use super::password;

    #[test]
    fn a_token_has_its_password_in_every_form() {
        for token in [
            "s3cr3t",
            "s3cr3t\n",
            "K10abc::server:s3cr3t\n",
            "K10abc::s3cr3t",
            "K10abc::node:s3cr3t",
        ] {
            assert_eq!(password(token), "s3cr3t");
        }
        assert_eq!(password("a:b"), "a:b");
        assert_eq!(password("K10abc::server:a:b"), "a:b");
    }
}
