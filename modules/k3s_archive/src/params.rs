//! What the user asks for.

use ansible_module::defaults::number;
use serde::Deserialize;

/// What our snapshots are called in k3s's own folder, for the moment that they are there.
pub(crate) const SNAPSHOT: &str = "homelab-archive";

/// The options; see `k3s_archive.yml` for their words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub wanted: Wanted,
    pub timeout: u64,
    pub lock_timeout: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Another backup of the server.
    Made(Backup),
    /// Of the archives in the folder, only the newest are to be left.
    Pruned { dest: String, series: Series },
    /// This file is to be a complete archive; the hash, where it is known, that of the file.
    Verified { path: String, sha256: Option<String> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    pub kind: Kind,
    pub series: Series,
    /// Without it, that of the server's own configuration.
    pub data_dir: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One file on the Proxmox host with all that a restore needs.
    Archive {
        dest: String,
        node: String,
        /// The largest datastore, and the largest file, in bytes.
        most: u64,
    },
    /// The datastore and the token, in a folder of the container.
    Copy { dest: String },
    /// A snapshot of etcd, where k3s keeps its own.
    Snapshot,
}

/// Backups of one name, of which the newest are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// What is before the time in the names.
    pub name: String,
    pub keep: usize,
}

impl Series {
    /// Of these, oldest first, those that go when `new` more are there.
    pub(crate) fn surplus<'a>(&self, old: &'a [String], new: usize) -> &'a [String] {
        &old[..(old.len() + new).saturating_sub(self.keep).min(old.len())]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Goal {
    Taken,
    Copied,
    Snapshot,
    Pruned,
    Verified,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    #[serde(default = "taken")]
    state: Goal,
    dest: Option<String>,
    #[serde(default = "k3s")]
    name: String,
    node_name: Option<String>,
    #[serde(default = "number::<14, _>")]
    keep: usize,
    data_dir: Option<String>,
    #[serde(default = "number::<4096, _>")]
    max_mb: u64,
    path: Option<String>,
    sha256: Option<String>,
    #[serde(default = "number::<600, _>")]
    timeout: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
}

fn taken() -> Goal {
    Goal::Taken
}

fn k3s() -> String {
    "k3s".to_owned()
}

/// Twice what etcd takes before it refuses to grow.
impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        Ok(Self {
            vmid: options.vmid,
            timeout: options.timeout,
            lock_timeout: options.lock_timeout,
            wanted: match options.state {
                Goal::Taken | Goal::Copied | Goal::Snapshot => backup(options).map(Wanted::Made)?,
                Goal::Pruned => pruned(options)?,
                Goal::Verified => verified(options)?,
            },
        })
    }
}

fn backup(options: Options) -> Result<Backup, String> {
    refuse("path", options.path.as_ref(), "verified")?;
    refuse("sha256", options.sha256.as_ref(), "verified")?;
    let mut series = series(&options.name, options.keep)?;
    let kind = match options.state {
        Goal::Snapshot => {
            refuse("dest", options.dest.as_ref(), "taken, copied or pruned")?;
            refuse("node_name", options.node_name.as_ref(), "taken or pruned")?;
            Kind::Snapshot
        }
        Goal::Copied => {
            refuse("node_name", options.node_name.as_ref(), "taken or pruned")?;
            Kind::Copy {
                dest: folder(options.dest)?,
            }
        }
        _ => {
            let node = node(options.node_name)?;
            series.name = format!("{}-{node}", series.name);
            Kind::Archive {
                dest: folder(options.dest)?,
                node,
                most: options.max_mb.saturating_mul(1 << 20),
            }
        }
    };
    Backup::new(kind, series, options.data_dir)
}

impl Backup {
    fn new(kind: Kind, series: Series, data_dir: Option<String>) -> Result<Self, String> {
        if let Some(data_dir) = &data_dir {
            absolute("data_dir", data_dir)?;
        }
        Ok(Self {
            kind,
            series,
            data_dir,
        })
    }

    /// The datastore and the token, in a folder of the container.
    pub fn copy(dest: String, name: &str, keep: usize, data_dir: Option<String>) -> Result<Self, String> {
        let kind = Kind::Copy {
            dest: folder(Some(dest))?,
        };
        Self::new(kind, series(name, keep)?, data_dir)
    }

    /// A snapshot of etcd, where k3s keeps its own.
    pub fn snapshot(name: &str, keep: usize, data_dir: Option<String>) -> Result<Self, String> {
        Self::new(Kind::Snapshot, series(name, keep)?, data_dir)
    }
}

fn pruned(options: Options) -> Result<Wanted, String> {
    refuse("path", options.path.as_ref(), "verified")?;
    refuse("sha256", options.sha256.as_ref(), "verified")?;
    let mut series = series(&options.name, options.keep)?;
    series.name = format!("{}-{}", series.name, node(options.node_name)?);
    let dest = folder(options.dest)?;
    if options.vmid.is_some() {
        return Err(here("pruned"));
    }
    Ok(Wanted::Pruned { dest, series })
}

fn verified(options: Options) -> Result<Wanted, String> {
    let Some(path) = options.path else {
        return Err("path: is needed with state=verified".to_owned());
    };
    absolute("path", &path)?;
    if options.vmid.is_some() {
        return Err(here("verified"));
    }
    let sha256 = options.sha256.map(|hash| hash.trim().to_lowercase());
    if sha256
        .as_ref()
        .is_some_and(|hash| hash.len() != 64 || !hash.chars().all(|c| c.is_ascii_hexdigit()))
    {
        return Err("sha256: 64 hexadecimal digits are wanted".to_owned());
    }
    Ok(Wanted::Verified { path, sha256 })
}

fn series(name: &str, keep: usize) -> Result<Series, String> {
    if name.is_empty() || !name.chars().all(is_of_a_word) {
        return Err(format!(
            "name: {name:?} may hold only small letters, digits and -"
        ));
    }
    if name == SNAPSHOT {
        return Err(format!(
            "name: {SNAPSHOT} is what this module calls snapshots that it moves elsewhere, and leftovers of that name are removed; choose another"
        ));
    }
    if keep == 0 {
        return Err("keep: must be at least 1: the backup just taken is one".to_owned());
    }
    Ok(Series {
        name: name.to_owned(),
        keep,
    })
}

fn node(name: Option<String>) -> Result<String, String> {
    let name = name.ok_or("node_name: is needed with this state")?;
    if name.is_empty() || !name.chars().all(|c| is_of_a_word(c) || c == '.') {
        return Err(format!("node_name: {name:?} is not a name of a node"));
    }
    Ok(name)
}

fn is_of_a_word(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn folder(dest: Option<String>) -> Result<String, String> {
    let dest = dest.ok_or("dest: is needed with this state")?;
    absolute("dest", &dest)?;
    // Names are compared with what `ls` prints.
    Ok(dest.trim_end_matches('/').to_owned())
}

fn refuse(option: &str, given: Option<&String>, states: &str) -> Result<(), String> {
    match given {
        Some(_) => Err(format!("{option}: belongs to state={states}")),
        None => Ok(()),
    }
}

fn here(state: &str) -> String {
    format!("vmid: state={state} works on the machine that the task runs on")
}

fn absolute(option: &str, path: &str) -> Result<(), String> {
    if path.starts_with('/') && path.len() > 1 {
        return Ok(());
    }
    Err(format!("{option}: {path} is not an absolute path"))
}
