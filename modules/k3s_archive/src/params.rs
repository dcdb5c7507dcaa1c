//! What the user asks for.

use serde::Deserialize;

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
    Taken(Taking),
    /// Of what is in the folder, only the newest are to be left.
    Pruned(Taking),
    /// This file is to be an archive that is whole; the hash, where it is known, that of the file.
    Verified {
        path: String,
        sha256: Option<String>,
    },
}

/// How an archive is to be made, or which are to be left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taking {
    pub dest: String,
    pub name: String,
    pub node_name: String,
    pub keep: usize,
    /// The server's own configuration says it, where it is not given.
    pub data_dir: Option<String>,
    pub most: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Goal {
    Taken,
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
    #[serde(default = "two_weeks")]
    keep: usize,
    data_dir: Option<String>,
    #[serde(default = "four_gib")]
    max_mb: u64,
    path: Option<String>,
    sha256: Option<String>,
    #[serde(default = "ten_minutes")]
    timeout: u64,
    #[serde(default = "ten_minutes")]
    lock_timeout: u64,
}

fn taken() -> Goal {
    Goal::Taken
}

fn k3s() -> String {
    "k3s".to_owned()
}

fn two_weeks() -> usize {
    14
}

/// Twice what etcd takes before it refuses to grow.
fn four_gib() -> u64 {
    4096
}

fn ten_minutes() -> u64 {
    600
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        Ok(Self {
            vmid: options.vmid,
            timeout: options.timeout,
            lock_timeout: options.lock_timeout,
            wanted: match options.state {
                Goal::Taken => Wanted::Taken(taking(options)?),
                Goal::Pruned if options.vmid.is_some() => return Err(here("pruned")),
                Goal::Pruned => Wanted::Pruned(taking(options)?),
                Goal::Verified => verified(options)?,
            },
        })
    }
}

fn taking(options: Options) -> Result<Taking, String> {
    let needed =
        |name: &str, value: Option<String>| value.ok_or_else(|| format!("{name}: is needed with this state"));
    for (name, given) in [("path", &options.path), ("sha256", &options.sha256)] {
        if given.is_some() {
            return Err(format!("{name}: belongs to state=verified"));
        }
    }
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if options.name.is_empty() || !options.name.chars().all(word) {
        return Err(format!(
            "name: {:?} may hold only small letters, digits and -",
            options.name
        ));
    }
    let node_name = needed("node_name", options.node_name)?;
    if node_name.is_empty() || !node_name.chars().all(|c| word(c) || c == '.') {
        return Err(format!("node_name: {node_name:?} is not a name of a node"));
    }
    let dest = needed("dest", options.dest)?;
    absolute("dest", &dest)?;
    if let Some(data_dir) = &options.data_dir {
        absolute("data_dir", data_dir)?;
    }
    if options.keep == 0 {
        return Err("keep: must be at least 1: the backup just taken is one".to_owned());
    }
    Ok(Taking {
        // Names are compared with what `ls` says.
        dest: dest.trim_end_matches('/').to_owned(),
        name: options.name,
        node_name,
        keep: options.keep,
        data_dir: options.data_dir,
        most: options.max_mb.saturating_mul(1 << 20),
    })
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

fn here(state: &str) -> String {
    format!("vmid: state={state} works on the machine that the task runs on")
}

fn absolute(option: &str, path: &str) -> Result<(), String> {
    if path.starts_with('/') && path.len() > 1 {
        return Ok(());
    }
    Err(format!("{option}: {path} is not an absolute path"))
}
