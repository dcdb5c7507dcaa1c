//! What the user asks for.

use ansible_module::defaults::number;
use serde::Deserialize;

/// Proxmox takes names of 40 characters at most, and the time with its hyphen has 17.
const LONGEST: usize = 23;

/// The options; see `pct_snapshot.yml` for their words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: u32,
    pub name: String,
    pub description: String,
    pub keep: usize,
    pub timeout: u64,
    pub lock_timeout: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: u32,
    #[serde(default = "pre_upgrade")]
    name: String,
    #[serde(default = "ours")]
    description: String,
    #[serde(default)]
    keep: usize,
    #[serde(default = "number::<600, _>")]
    timeout: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
}

fn pre_upgrade() -> String {
    "pre-upgrade".to_owned()
}

fn ours() -> String {
    "taken by homelab.k3s".to_owned()
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins = options.name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || !options.name.chars().all(word) || options.name.len() > LONGEST {
            return Err(format!(
                "name: {:?} must be a small letter, then small letters, digits and -, {LONGEST} characters at most",
                options.name
            ));
        }
        if options.timeout == 0 {
            return Err("timeout: must be at least 1 second".to_owned());
        }
        Ok(Self {
            vmid: options.vmid,
            name: options.name,
            description: options.description,
            keep: options.keep,
            timeout: options.timeout,
            lock_timeout: options.lock_timeout,
        })
    }
}
