//! The tables of README.md, between `<!-- BEGIN name -->` and `<!-- END name -->`.

use crate::repo::Repo;
use crate::sidecar;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
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
            "| [{name}]({}) | {} |",
            sidecar.path,
            sidecar.short_description()
        )?;
    }
    Ok(table)
}

fn playbooks(repo: &Repo) -> Result<String> {
    let full_names = full_names(repo)?;
    let mut table = "| playbook | in an installed collection | what it does |\n|---|---|---|\n".to_owned();
    for path in repo.yaml_files(&["playbooks"]) {
        let Some(name) = path
            .strip_prefix("playbooks/")
            .filter(|name| name.starts_with("playbook-"))
        else {
            continue;
        };
        writeln!(
            table,
            "| [k3s/{name}]({path}) | `homelab.k3s.{}` | {} |",
            full_names.get(name).with_context(|| format!(
                "{path}: no file of playbooks/*.yml imports it under a name without dashes"
            ))?,
            first_comment(&repo.read(&path)?)
        )?;
    }
    Ok(table)
}

/// The names under which an installed collection has the playbooks, by the files that they import: Ansible finds none with dashes.
fn full_names(repo: &Repo) -> Result<BTreeMap<String, String>> {
    let mut names = BTreeMap::new();
    for path in repo.yaml_files(&["playbooks"]) {
        let Some(name) = path
            .strip_prefix("playbooks/")
            .and_then(|name| name.strip_suffix(".yml"))
        else {
            continue;
        };
        let text = repo.read(&path)?;
        let imported = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("ansible.builtin.import_playbook: "));
        names.extend(imported.map(|imported| (imported.to_owned(), name.to_owned())));
    }
    Ok(names)
}

/// A playbook says what it does in the comment that it begins with, up to the first empty line of it.
fn first_comment(text: &str) -> String {
    let comments = text
        .lines()
        .skip_while(|line| !line.starts_with('#'))
        .map_while(|line| line.strip_prefix('#'))
        .map(str::trim)
        .take_while(|line| !line.is_empty());
    comments.collect::<Vec<_>>().join(" ")
}

fn replaced(text: &str, name: &str, table: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- BEGIN {name} -->\n"), format!("<!-- END {name} -->"));
    let missing = || format!("README.md has no line {}", begin.trim());
    let (before, rest) = text.split_once(&begin).with_context(missing)?;
    let (_old, after) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{before}{begin}\n{table}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_old_table() {
        let text = "a\n<!-- BEGIN X -->\nold\n<!-- END X -->\nb\n";
        let once = replaced(text, "X", "new\n").unwrap();
        assert_eq!(once, "a\n<!-- BEGIN X -->\n\nnew\n\n<!-- END X -->\nb\n");
        assert_eq!(replaced(&once, "X", "new\n").unwrap(), once);
        assert!(replaced("no marks", "X", "").is_err());
    }

    #[test]
    fn a_playbook_begins_with_what_it_does() {
        let text = "---\n# Upgrades the cluster,\n# node by node.\n#\n# More.\n- hosts: all\n";
        assert_eq!(first_comment(text), "Upgrades the cluster, node by node.");
    }
}
