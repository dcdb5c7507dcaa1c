//! The playbooks: their full names, and what they say of themselves.

use crate::repo::Repo;
use anyhow::Result;
use std::collections::BTreeMap;

/// The names under which an installed collection has the playbooks, by the files that they import: Ansible finds none with dashes.
pub(crate) fn full_names(repo: &Repo) -> Result<BTreeMap<String, String>> {
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
pub(crate) fn first_comment(text: &str) -> String {
    let comments = text
        .lines()
        .skip_while(|line| !line.starts_with('#'))
        .map_while(|line| line.strip_prefix('#'))
        .map(str::trim)
        .take_while(|line| !line.is_empty());
    comments.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_playbook_begins_with_what_it_does() {
        let text = "---\n# Upgrades the cluster,\n# node by node.\n#\n# More.\n- hosts: all\n";
        assert_eq!(first_comment(text), "Upgrades the cluster, node by node.");
    }
}
