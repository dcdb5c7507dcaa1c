//! The tables of README.md, between `<!-- BEGIN name -->` and `<!-- END name -->`.

use crate::marks::replaced;
use crate::playbooks::{first_comment, full_names};
use crate::repo::Repo;
use crate::{module_pages, playbook_pages, sidecar};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;

const README: &str = "README.md";

pub(crate) fn write(repo: &Repo) -> Result<()> {
    let text = expected(repo)?;
    fs::write(repo.path(README), text).context("writing README.md")
}

/// README.md as it should be.
pub(crate) fn expected(repo: &Repo) -> Result<String> {
    let text = replaced(&repo.read(README)?, "modules", &modules(repo)?)?;
    replaced(&text, "playbooks", &playbooks(repo)?)
}

fn modules(repo: &Repo) -> Result<String> {
    let mut table = "| module | what it does |\n|---|---|\n".to_owned();
    for (name, sidecar) in sidecar::all(repo)? {
        if sidecar.is_deprecated() {
            continue;
        }
        writeln!(
            table,
            "| [{name}]({}/{name}.md) | {} |",
            module_pages::FOLDER,
            sidecar.short_description()
        )?;
    }
    Ok(table)
}

fn playbooks(repo: &Repo) -> Result<String> {
    let full_names = full_names(repo)?;
    let mut table = "| `homelab.k3s.` | in a checkout | what it does |\n|---|---|---|\n".to_owned();
    for path in repo.yaml_files(&["playbooks"]) {
        let Some(name) = path
            .strip_prefix("playbooks/")
            .filter(|name| name.starts_with("playbook-"))
        else {
            continue;
        };
        let full_name = full_names.get(name).with_context(|| {
            format!("{path}: no file of playbooks/*.yml imports it under a name without dashes")
        })?;
        writeln!(
            table,
            "| [{full_name}]({}/{full_name}.md) | `k3s/{name}` | {} |",
            playbook_pages::FOLDER,
            first_comment(&repo.read(&path)?)
        )?;
    }
    Ok(table)
}
