//! The folder that `LAB_K3S` names.

use super::version::Version;
use crate::release::REAL;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;

/// The versions in it, oldest first. A folder that is called as no release is a mistake that would be missed otherwise.
pub(super) fn at_hand(folder: &Path) -> Result<Vec<Version>> {
    let reading = || format!("reading {REAL}={}", folder.display());
    let mut versions = Vec::new();
    for entry in fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if !entry.path().join("k3s").is_file() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let version = Version::parse(&name);
        versions.push(version.with_context(|| {
            format!(
                "{}: {name} is not called as a release is: v1.31.4+k3s1",
                reading()
            )
        })?);
    }
    if versions.is_empty() {
        bail!("{}: no <version>/k3s in it", reading());
    }
    versions.sort();
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("k3s"), "").unwrap();
        }
        folder
    }

    #[test]
    fn the_versions_come_oldest_first() {
        let folder = folder(&["v1.31.10+k3s1", "v1.31.9+k3s1", "v1.9.9+k3s1"]);
        fs::create_dir(folder.path().join("notes")).unwrap();
        let names: Vec<_> = at_hand(folder.path())
            .unwrap()
            .into_iter()
            .map(|version| version.name)
            .collect();
        assert_eq!(names, ["v1.9.9+k3s1", "v1.31.9+k3s1", "v1.31.10+k3s1"]);
    }

    #[test]
    fn an_empty_folder_and_a_strange_name_are_refused() {
        let error = at_hand(folder(&[]).path()).unwrap_err().to_string();
        assert!(error.ends_with("no <version>/k3s in it"), "{error}");
        let error = at_hand(folder(&["newest"]).path()).unwrap_err().to_string();
        assert!(error.contains("newest is not called as a release is"), "{error}");
    }
}
