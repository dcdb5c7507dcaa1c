//! The pages of modules and playbooks: written by `cargo xtask docs`, compared by `cargo xtask check`.

use crate::repo::Repo;
use crate::{module_pages, playbook_pages};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;

pub(crate) fn write(repo: &Repo) -> Result<()> {
    for (path, text) in expected(repo)? {
        let file = repo.path(&path);
        let folder = file.parent().with_context(|| format!("{path} has no folder"))?;
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("writing {path}"))?;
    }
    for path in without_source(repo)? {
        fs::remove_file(repo.path(&path)).with_context(|| format!("removing {path}"))?;
    }
    Ok(())
}

pub(crate) fn faults(repo: &Repo) -> Result<Vec<String>> {
    let pages = expected(repo)?.into_iter();
    let differ = pages.filter(|(path, text)| repo.read(path).unwrap_or_default() != *text);
    let differ = differ.map(|(path, _)| format!("{path}: it is not that of `cargo xtask docs`"));
    let left = without_source(repo)?
        .into_iter()
        .map(|path| format!("{path}: there is no such module or playbook; run `cargo xtask docs`"));
    Ok(differ.chain(left).collect())
}

fn expected(repo: &Repo) -> Result<BTreeMap<String, String>> {
    let mut pages = module_pages::expected(repo)?;
    pages.extend(playbook_pages::expected(repo)?);
    Ok(pages)
}

/// Pages of what was removed or renamed.
fn without_source(repo: &Repo) -> Result<Vec<String>> {
    let pages = expected(repo)?;
    let mut found = Vec::new();
    for folder in [module_pages::FOLDER, playbook_pages::FOLDER] {
        let entries = fs::read_dir(repo.path(folder)).into_iter().flatten().flatten();
        let paths = entries.map(|entry| format!("{folder}/{}", entry.file_name().to_string_lossy()));
        found.extend(paths.filter(|path| !pages.contains_key(path)));
    }
    Ok(found)
}
