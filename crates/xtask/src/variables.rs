//! `playbooks/docs/variables.md`: the variables of the playbooks, made from the role's argument specification.

use crate::repo::Repo;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_yaml_ng::{Mapping, Value};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

const SPECIFICATION: &str = "roles/k3s/meta/argument_specs.yml";
pub(crate) const PAGE: &str = "playbooks/docs/variables.md";
const HEAD: &str = "# The variables of the playbooks\n\n\
    Made by `cargo xtask docs` from `roles/k3s/meta/argument_specs.yml`; what is changed here is lost. `inventory/group_vars/k3s_cluster.yaml`\n\
    says more, and is the file to change them in. A name that begins with `k3s_` and is not here, or a value of another type, is refused\n\
    before a run does anything.\n\n\
    | variable | type | default | what it is |\n|---|---|---|---|\n";

#[derive(Deserialize)]
struct Variable {
    description: String,
    r#type: String,
    elements: Option<String>,
    choices: Option<Vec<String>>,
    default: Option<Value>,
}

pub(crate) fn write(repo: &Repo) -> Result<()> {
    fs::write(repo.path(PAGE), expected(repo)?).with_context(|| format!("writing {PAGE}"))
}

/// The page as it should be.
pub(crate) fn expected(repo: &Repo) -> Result<String> {
    page(&repo.read(SPECIFICATION)?).with_context(|| format!("reading {SPECIFICATION}"))
}

/// The rows of some variables, in the specification's order.
pub(crate) fn rows_of(repo: &Repo, names: &BTreeSet<String>) -> Result<String> {
    let mut options =
        options(&repo.read(SPECIFICATION)?).with_context(|| format!("reading {SPECIFICATION}"))?;
    options.retain(|name, _| name.as_str().is_some_and(|name| names.contains(name)));
    rows(&options)
}

fn page(specification: &str) -> Result<String> {
    Ok(format!("{HEAD}{}", rows(&options(specification)?)?))
}

fn options(specification: &str) -> Result<Mapping> {
    let specification: Value = serde_yaml_ng::from_str(specification)?;
    specification
        .get("argument_specs")
        .and_then(|specs| specs.get("playbooks"))
        .and_then(|entry| entry.get("options"))
        .and_then(Value::as_mapping)
        .cloned()
        .context("it has no argument_specs.playbooks.options")
}

fn rows(options: &Mapping) -> Result<String> {
    let mut rows = String::new();
    for (name, option) in options {
        let name = name.as_str().context("a variable's name is a text")?;
        let option: Variable = serde_yaml_ng::from_value(option.clone()).with_context(|| name.to_owned())?;
        let words = option.description.trim().replace('|', "\\|");
        writeln!(
            rows,
            "| `{name}` | {} | {} | {words} |",
            kind(&option),
            default(&option)?
        )?;
    }
    Ok(rows)
}

fn kind(option: &Variable) -> String {
    match (&option.choices, option.elements.as_deref()) {
        (Some(choices), _) => choices.join(", "),
        (None, Some("raw") | None) => option.r#type.clone(),
        (None, Some(elements)) => format!("{} of {elements}", option.r#type),
    }
}

/// Without one, it is worked out in the run, or none is given.
fn default(option: &Variable) -> Result<String> {
    match &option.default {
        None => Ok(String::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(String::new()),
        Some(value) => Ok(format!("`{}`", serde_json::to_string(value)?.trim_matches('"'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_a_row() {
        let text = "argument_specs:\n  playbooks:\n    options:\n      k3s_a:\n        description: a | b\n        type: list\n        elements: str\n        default: []\n      \
            k3s_b: {description: c, type: str, choices: [x, \"true\"], default: x}\n";
        let page = page(text).unwrap();
        assert!(
            page.ends_with("| `k3s_a` | list of str | `[]` | a \\| b |\n| `k3s_b` | x, true | `x` | c |\n"),
            "{page}"
        );
        assert!(super::page("{}").is_err());
    }
}
