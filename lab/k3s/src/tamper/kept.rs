//! What files held before they were damaged, so that they can be put back: but only where nobody has written since.

use crate::files;
use crate::paths;
use crate::version::hex;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn store() -> PathBuf {
    paths::etc("lab/kept.json")
}

fn load() -> Result<Map<String, Value>> {
    let Ok(text) = fs::read_to_string(store()) else {
        return Ok(Map::new());
    };
    serde_json::from_str(&text).with_context(|| format!("reading {}", store().display()))
}

fn save(entries: &Map<String, Value>) -> Result<()> {
    if entries.is_empty() {
        return fs::remove_file(store()).with_context(|| format!("removing {}", store().display()));
    }
    files::write(&store(), &Value::from(entries.clone()).to_string(), 0o600)
}

fn hash(content: &str) -> Value {
    json!(hex(&Sha256::digest(content)))
}

/// Writes a file, and remembers what it held. Whoever reads it meanwhile sees the old or the new.
pub(super) fn write(path: &Path, content: &str) -> Result<()> {
    let mut entries = load()?;
    let key = path.display().to_string();
    let before = files::read(path)?;
    // Spoilt twice: what counts is what was there first.
    let known = entries.get(&key).filter(|entry| entry["after"] == hash(&before));
    let before = known.map_or_else(|| json!(before), |entry| entry["before"].clone());
    let mode = mode(path);
    entries.insert(
        key,
        json!({"before": before, "after": hash(content), "mode": mode}),
    );
    save(&entries)?;
    put(path, content, mode)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).map_or(0o600, |found| found.permissions().mode() & 0o777)
}

fn put(path: &Path, content: &str, mode: u32) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".lab-new");
    files::write(Path::new(&temporary), content, mode)?;
    fs::rename(&temporary, path).with_context(|| format!("writing {}", path.display()))
}

/// Puts one file back, or all.
pub(super) fn restore(only: Option<&Path>) -> Result<()> {
    let mut entries = load()?;
    if entries.is_empty() {
        return Ok(());
    }
    let chosen = |key: &String| only.is_none_or(|path| path.display().to_string() == *key);
    let keys: Vec<String> = entries.keys().filter(|key| chosen(key)).cloned().collect();
    for key in keys {
        let Some(entry) = entries.remove(&key) else {
            continue;
        };
        let path = Path::new(&key);
        let now = fs::read_to_string(path).unwrap_or_default();
        if hash(&now) == entry["after"] {
            let mode = entry["mode"].as_u64().and_then(|mode| u32::try_from(mode).ok());
            put(
                path,
                entry["before"].as_str().unwrap_or_default(),
                mode.unwrap_or(0o600),
            )?;
        }
    }
    save(&entries)
}
