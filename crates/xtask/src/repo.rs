//! Where things lie.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const COLLECTION: &str = "homelab.k3s";

pub(crate) struct Repo {
    pub root: PathBuf,
}

impl Repo {
    /// The checkout that this program was built from.
    pub(crate) fn here() -> Self {
        let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = crate_folder.ancestors().nth(2).unwrap_or(crate_folder);
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    pub(crate) fn read(&self, relative: &str) -> Result<String> {
        fs::read_to_string(self.path(relative)).with_context(|| format!("reading {relative}"))
    }

    /// The names of the modules, deprecated ones included.
    pub(crate) fn modules(&self) -> Result<Vec<String>> {
        Ok(self.sidecars()?.into_keys().collect())
    }

    /// The folders of the modules, as names of crates.
    pub(crate) fn module_crates(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = fs::read_dir(self.path("modules"))
            .context("listing modules/")?
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("Cargo.toml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    /// The path of each module's sidecar. A folder has further ones for the deprecated names of its module.
    pub(crate) fn sidecars(&self) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        for folder in self.module_crates()? {
            let folder = format!("modules/{folder}");
            let entries = fs::read_dir(self.path(&folder)).with_context(|| format!("listing {folder}/"))?;
            for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                if path.extension().is_some_and(|end| end == "yml") {
                    found.insert(name.to_string(), format!("{folder}/{name}.yml"));
                }
            }
        }
        Ok(found)
    }

    /// The folders of all crates, as paths relative to the root. `fuzz` is a workspace of its own, without code of its own.
    pub(crate) fn crates(&self) -> Vec<String> {
        let parents = ["", "crates", "modules", "lab"].map(|parent| self.path(parent));
        let entries = parents.iter().flat_map(fs::read_dir).flatten().flatten();
        let folders = entries
            .map(|entry| entry.path())
            .filter(|path| path.join("Cargo.toml").is_file() && *path != self.path("fuzz"));
        let relative = |path: PathBuf| path.strip_prefix(&self.root).ok()?.to_str().map(str::to_owned);
        let mut found: Vec<String> = folders.filter_map(relative).collect();
        found.sort();
        found
    }

    /// The YAML files below some folders, as paths relative to the root.
    pub(crate) fn yaml_files(&self, folders: &[&str]) -> Vec<String> {
        self.files(folders, &["yml", "yaml"])
    }

    /// The files with one of these endings below some folders, as paths relative to the root.
    pub(crate) fn files(&self, folders: &[&str], endings: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for folder in folders {
            collect(&self.path(folder), endings, &mut found);
        }
        let relative = |path: &PathBuf| path.strip_prefix(&self.root).ok()?.to_str().map(str::to_owned);
        let mut found: Vec<String> = found.iter().filter_map(relative).collect();
        found.sort();
        found
    }
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(&path, endings, found);
        } else if path
            .extension()
            .is_some_and(|end| endings.iter().any(|ending| end == *ending))
        {
            found.push(path);
        }
    }
}
