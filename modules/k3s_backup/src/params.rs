//! What the user asks for.

use serde::Deserialize;

/// The options; see `k3s_backup.yml` for their words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub dest: String,
    pub name: String,
    pub keep: usize,
    pub in_place: bool,
    /// The server's own configuration says it, where it is not given.
    pub data_dir: Option<String>,
    pub timeout: u64,
    pub lock_timeout: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    #[serde(default = "backups")]
    dest: String,
    #[serde(default = "pre_upgrade")]
    name: String,
    #[serde(default = "five")]
    keep: usize,
    #[serde(default)]
    in_place: bool,
    data_dir: Option<String>,
    #[serde(default = "ten_minutes")]
    timeout: u64,
    #[serde(default = "ten_minutes")]
    lock_timeout: u64,
}

fn backups() -> String {
    "/var/lib/homelab-k3s/backups".to_owned()
}

fn pre_upgrade() -> String {
    "pre-upgrade".to_owned()
}

fn five() -> usize {
    5
}

fn ten_minutes() -> u64 {
    600
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if options.name.is_empty() || !options.name.chars().all(word) {
            return Err(format!(
                "name: {:?} may hold only small letters, digits and -",
                options.name
            ));
        }
        let paths = [
            ("dest", Some(&options.dest)),
            ("data_dir", options.data_dir.as_ref()),
        ];
        for (option, path) in paths
            .into_iter()
            .filter_map(|(option, path)| Some((option, path?)))
        {
            if !path.starts_with('/') {
                return Err(format!("{option}: {path} is not an absolute path"));
            }
        }
        if options.keep == 0 {
            return Err("keep: must be at least 1: the backup just taken is one".to_owned());
        }
        Ok(Self {
            vmid: options.vmid,
            dest: options.dest,
            name: options.name,
            keep: options.keep,
            in_place: options.in_place,
            data_dir: options.data_dir,
            timeout: options.timeout,
            lock_timeout: options.lock_timeout,
        })
    }
}
