//! Kernel settings that are the machine's, not a namespace's: raised for the lab, put back after it.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A systemd in every container uses up the defaults of a bare machine.
const WANTED: [(&str, u64); 3] = [
    ("fs/inotify/max_user_instances", 65_536),
    ("fs/inotify/max_user_watches", 1_048_576),
    ("kernel/keys/maxkeys", 2_000),
];

pub type Saved = BTreeMap<String, u64>;

/// The values that will have to be put back.
pub fn to_raise() -> Result<Saved> {
    let mut saved = Saved::new();
    for (name, wanted) in WANTED {
        let found = read(name)?;
        if found < wanted {
            saved.insert(name.to_owned(), found);
        }
    }
    Ok(saved)
}

pub fn raise(saved: &Saved) -> Result<()> {
    WANTED
        .iter()
        .filter(|(name, _)| saved.contains_key(*name))
        .try_for_each(|(name, wanted)| write(name, *wanted))
}

pub fn put_back(saved: &Saved) -> Result<()> {
    saved.iter().try_for_each(|(name, value)| write(name, *value))
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(name)
}

fn read(name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(path(name)).with_context(|| format!("reading sysctl {name}"))?;
    text.trim()
        .parse()
        .with_context(|| format!("reading sysctl {name}: found {text:?}"))
}

fn write(name: &str, value: u64) -> Result<()> {
    std::fs::write(path(name), value.to_string()).with_context(|| format!("setting sysctl {name} to {value}"))
}
