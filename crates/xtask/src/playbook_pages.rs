//! `playbooks/docs/playbooks/*.md`: a page for each playbook. What it does, its steps, its variables and its refusals are made from
//! the playbook, the role and safety.md, between marks as in README.md; the rest of a page is written by hand.

use crate::marks::replaced;
use crate::playbooks::{first_comment, full_names};
use crate::repo::Repo;
use crate::variables;
use anyhow::{Context, Result};
use serde_yaml_ng::{Mapping, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

pub(crate) const FOLDER: &str = "playbooks/docs/playbooks";
const DEFAULTS: &str = "roles/k3s/defaults/main.yaml";
const SAFETY: &str = "playbooks/docs/safety.md";
/// Every playbook imports it; safety.md has what it refuses.
const BEGIN: &str = "playbooks/begin.yaml";

/// Each page, by its path.
pub(crate) fn expected(repo: &Repo) -> Result<BTreeMap<String, String>> {
    let mut pages = BTreeMap::new();
    for (file, name) in full_names(repo)? {
        let path = format!("{FOLDER}/{name}.md");
        let page = page(repo, &file, &name).with_context(|| format!("making {path}"))?;
        pages.insert(path, page);
    }
    let index = index(repo)?;
    pages.insert(format!("{FOLDER}/index.md"), index);
    Ok(pages)
}

fn index(repo: &Repo) -> Result<String> {
    let mut text =
        "# Playbooks\n\nMade by `cargo xtask docs`.\n\n| `homelab.k3s.` | what it does |\n|---|---|\n"
            .to_owned();
    for (file, name) in full_names(repo)? {
        let words = first_comment(&repo.read(&format!("playbooks/{file}"))?);
        writeln!(text, "| [{name}]({name}.md) | {words} |")?;
    }
    Ok(text)
}

fn page(repo: &Repo, file: &str, name: &str) -> Result<String> {
    let path = format!("playbooks/{file}");
    let text = repo.read(&path)?;
    let written = repo
        .read(&format!("{FOLDER}/{name}.md"))
        .unwrap_or_else(|_| skeleton(name));
    let written = replaced(&written, "about", &about(&text, file, name))?;
    let written = replaced(&written, "steps", &steps(repo, &path)?)?;
    let written = replaced(&written, "refusals", &refusals(&repo.read(SAFETY)?, file)?)?;
    replaced(&written, "variables", &variable_rows(repo, &path)?)
}

fn skeleton(name: &str) -> String {
    let blocks = [
        ("", "about"),
        ("## In this order\n\n", "steps"),
        ("## What it refuses\n\n", "refusals"),
        ("## Variables\n\n", "variables"),
    ];
    let blocks =
        blocks.map(|(head, block)| format!("\n{head}<!-- BEGIN {block} -->\n<!-- END {block} -->\n"));
    format!("# {name}\n{}", blocks.concat())
}

/// The comment that the playbook begins with: its first sentence, its commands, and what follows.
fn about(text: &str, file: &str, name: &str) -> String {
    let rest = comment_lines(text).skip_while(|line| !line.trim().is_empty());
    let mut made = format!(
        "{}\n\nIn an installed collection `homelab.k3s.{name}`, in a checkout `k3s/{file}`.\n",
        first_comment(text)
    );
    for line in rest {
        // Commands are indented, in Markdown by four spaces; what they are for stands beside them.
        let line = if line.starts_with("   ") {
            let (command, words) = line.trim().split_once("  ").unwrap_or((line.trim(), ""));
            let comment = if words.is_empty() { "" } else { "  # " };
            format!("    {command}{comment}{}", words.trim())
        } else {
            line.trim().replace('<', "&lt;")
        };
        made.push_str(&line);
        made.push('\n');
    }
    made.trim_end().to_owned()
}

fn comment_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .skip_while(|line| !line.starts_with('#'))
        .map_while(|line| line.strip_prefix('#'))
}

/// The names of plays and tasks; files of tasks are opened where they are first imported.
fn steps(repo: &Repo, path: &str) -> Result<String> {
    let mut opened = BTreeSet::from([BEGIN.to_owned()]);
    let mut lines = String::new();
    add_steps(repo, path, "", &mut opened, &mut lines)?;
    Ok(lines.trim_end().to_owned())
}

fn add_steps(
    repo: &Repo,
    path: &str,
    indent: &str,
    opened: &mut BTreeSet<String>,
    lines: &mut String,
) -> Result<()> {
    let entries: Value =
        serde_yaml_ng::from_str(&repo.read(path)?).with_context(|| format!("reading {path}"))?;
    add_entries(repo, path, &entries, indent, opened, lines)
}

fn add_entries(
    repo: &Repo,
    path: &str,
    entries: &Value,
    indent: &str,
    opened: &mut BTreeSet<String>,
    lines: &mut String,
) -> Result<()> {
    for entry in entries.as_sequence().into_iter().flatten() {
        if let Some(name) = entry.get("name").and_then(Value::as_str) {
            // A loop's variable, and the default of another, say nothing here.
            writeln!(lines, "{indent}1. {}", without_templates(name))?;
        }
        let deeper = format!("{indent}    ");
        for (key, words) in [
            ("tasks", ""),
            ("block", ""),
            ("rescue", "after a failure"),
            ("always", "in any case"),
        ] {
            let Some(inner) = entry.get(key) else { continue };
            if words.is_empty() {
                add_entries(repo, path, inner, &deeper, opened, lines)?;
            } else {
                writeln!(lines, "{deeper}1. *{words}:*")?;
                add_entries(repo, path, inner, &format!("{deeper}    "), opened, lines)?;
            }
        }
        if let Some(imported) = imported(path, entry).filter(|imported| opened.insert(imported.clone())) {
            add_steps(repo, &imported, &deeper, opened, lines)?;
        }
    }
    Ok(())
}

fn without_templates(name: &str) -> String {
    match name.split_once("{{") {
        Some((before, after)) => format!(
            "{}…{}",
            before,
            without_templates(after.split_once("}}").map_or("", |(_, rest)| rest))
        ),
        None => name.to_owned(),
    }
}

/// The file that an entry imports or includes, from the root.
fn imported(path: &str, entry: &Value) -> Option<String> {
    let kinds = ["import_playbook", "import_tasks", "include_tasks"];
    let file = kinds.iter().find_map(|kind| {
        let file = entry.get(format!("ansible.builtin.{kind}"))?;
        file.as_str().or_else(|| file.get("file")?.as_str())
    })?;
    let folder = Path::new(path).parent()?;
    // Ansible finds a file of tasks beside the one that names it, or from the playbook's folder.
    let folder = if file.starts_with("tasks/") {
        Path::new("playbooks")
    } else {
        folder
    };
    (!file.contains("{{"))
        .then(|| folder.join(file).to_str().map(str::to_owned))
        .flatten()
}

/// The rows of safety.md that name the playbook.
fn refusals(safety: &str, file: &str) -> Result<String> {
    let short = file.trim_start_matches("playbook-").trim_end_matches(".yaml");
    let mut rows = String::new();
    for line in safety.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let [input, playbook, happens, _test] = cells[..]
            && playbook.contains(&format!("`{short}`"))
        {
            writeln!(rows, "| {input} | {happens} |")?;
        }
    }
    let every = "Before any host is contacted: a wrong inventory, `--limit` or variable. Before anything is changed: another run that holds the \
        cluster lock, where this playbook changes the cluster. [safety.md](../safety.md) has each with its test.\n";
    Ok(if rows.is_empty() {
        every.to_owned()
    } else {
        format!("{every}\n| input | what happens |\n|---|---|\n{rows}")
    })
}

/// The variables that the playbook reads, itself or through the role's defaults, as rows.
fn variable_rows(repo: &Repo, path: &str) -> Result<String> {
    let defaults: Mapping = serde_yaml_ng::from_str(&repo.read(DEFAULTS)?).context("reading the defaults")?;
    let mut seen = BTreeSet::new();
    let mut next = words(&text_of_all(repo, path)?);
    while let Some(word) = next.pop_first() {
        if let Some(value) = defaults.get(word.as_str()) {
            next.extend(words(&serde_yaml_ng::to_string(value)?));
        }
        seen.insert(word);
        next = next.difference(&seen).cloned().collect();
    }
    let rows = variables::rows_of(repo, &seen)?;
    Ok(format!(
        "[variables.md](../variables.md) has those of all playbooks, and where to set them.\n\n\
         | variable | type | default | what it is |\n|---|---|---|---|\n{rows}"
    ))
}

/// The text of a playbook and of every file that it imports, without comments.
fn text_of_all(repo: &Repo, path: &str) -> Result<String> {
    let mut texts = String::new();
    let (mut seen, mut next) = (BTreeSet::from([BEGIN.to_owned()]), vec![path.to_owned()]);
    while let Some(path) = next.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let entries: Value =
            serde_yaml_ng::from_str(&repo.read(&path)?).with_context(|| format!("reading {path}"))?;
        texts.push_str(&serde_yaml_ng::to_string(&entries)?);
        add_imports(&path, &entries, &mut next);
    }
    Ok(texts)
}

fn add_imports(path: &str, entries: &Value, found: &mut Vec<String>) {
    for entry in entries.as_sequence().into_iter().flatten() {
        found.extend(imported(path, entry));
        for key in ["tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"] {
            if let Some(inner) = entry.get(key) {
                add_imports(path, inner, found);
            }
        }
    }
}

/// Every name in a text that begins with `k3s_`.
fn words(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("k3s_"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_has_the_sentence_the_commands_and_the_rest() {
        let text = "---\n# Check the cluster,\n# each node.\n#\n#   ansible-playbook k3s/x.yaml     now\n#\n# Made for <cron>.\n- name: a\n";
        assert_eq!(
            about(text, "x.yaml", "check"),
            "Check the cluster, each node.\n\nIn an installed collection `homelab.k3s.check`, in a checkout `k3s/x.yaml`.\n\n    \
             ansible-playbook k3s/x.yaml  # now\n\nMade for &lt;cron>."
        );
    }

    #[test]
    fn refusals_are_the_rows_that_name_the_playbook() {
        let safety = "| input | playbook | what happens | test |\n|---|---|---|---|\n| a | `upgrade-k3s` | refused | `t` |\n\
            | b | `upgrade-k3s`, `x` | stops | `t` |\n| c | `x` | runs | `t` |\n";
        let rows = refusals(safety, "playbook-upgrade-k3s.yaml").unwrap();
        assert!(
            rows.ends_with("|---|---|\n| a | refused |\n| b | stops |\n"),
            "{rows}"
        );
        assert!(!refusals(safety, "playbook-y.yaml").unwrap().contains('|'));
    }

    #[test]
    fn a_template_in_a_name_is_left_out() {
        assert_eq!(without_templates("Ask {{ a }} of {{ b }}"), "Ask … of …");
    }
}
