//! `playbooks/docs/modules/*.md`: a page for each module, made from its sidecar. The sidecars are not in the tarball; the pages are.

use crate::repo::Repo;
use crate::sidecar::{self, Sidecar};
use anyhow::{Context, Result};
use serde_yaml_ng::{Mapping, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(crate) const FOLDER: &str = "playbooks/docs/modules";

/// Each page, by its path.
pub(crate) fn expected(repo: &Repo) -> Result<BTreeMap<String, String>> {
    let sidecars = sidecar::all(repo)?;
    let mut pages = BTreeMap::from([(format!("{FOLDER}/index.md"), index(&sidecars)?)]);
    for (name, sidecar) in &sidecars {
        let page = page(name, sidecar).with_context(|| format!("making the page of {}", sidecar.path))?;
        pages.insert(format!("{FOLDER}/{name}.md"), page);
    }
    Ok(pages)
}

fn index(sidecars: &BTreeMap<String, Sidecar>) -> Result<String> {
    let mut text = "# Modules\n\n\
        Made by `cargo xtask docs` from the modules' documentation, which `ansible-doc homelab.k3s.<module>` prints too.\n\n\
        | module | what it does |\n|---|---|\n"
        .to_owned();
    for (name, sidecar) in sidecars {
        let deprecated = if sidecar.is_deprecated() {
            " (deprecated)"
        } else {
            ""
        };
        writeln!(
            text,
            "| [{name}]({name}.md) | {}{deprecated} |",
            sidecar.short_description()
        )?;
    }
    Ok(text)
}

fn page(name: &str, sidecar: &Sidecar) -> Result<String> {
    let documentation = &sidecar.documentation;
    let mut text = format!(
        "# {name}\n\n{}. Made by `cargo xtask docs`; `ansible-doc homelab.k3s.{name}` prints the same.\n",
        sidecar.short_description()
    );
    if let Some(deprecated) = documentation.get("deprecated") {
        let words = |key| sentences(deprecated.get(key)).join(" ");
        write!(
            text,
            "\n**Deprecated.** {} Instead: {}\n",
            words("why"),
            words("alternative")
        )?;
    }
    for section in ["description", "notes"] {
        if section == "notes" && documentation.contains_key(section) {
            text.push_str("\n## Notes\n");
        }
        for sentence in sentences(documentation.get(section)) {
            write!(text, "\n- {sentence}")?;
        }
        text.push('\n');
    }
    let text = text.trim_end();
    let mut rows = String::new();
    if let Some(Value::Mapping(options)) = documentation.get("options") {
        option_rows(&mut rows, "", options)?;
    }
    let attributes = attribute_rows(documentation.get("attributes"))?;
    let mut returned = String::new();
    returned_rows(&mut returned, "", &sidecar.returned)?;
    Ok(format!(
        "{text}\n\n## Options\n\n| option | type | default | what it is |\n|---|---|---|---|\n{rows}\n\
         ## Support\n\n| for | support | what it means |\n|---|---|---|\n{attributes}\n\
         ## Examples\n\n```yaml\n{}\n```\n\n\
         ## Results\n\n| key | type | returned | what it is |\n|---|---|---|---|\n{returned}",
        sidecar.examples.trim_end()
    ))
}

fn option_rows(rows: &mut String, parent: &str, options: &Mapping) -> Result<()> {
    for (name, option) in options {
        let name = format!("{parent}{}", name.as_str().unwrap_or_default());
        let default = match (
            option.get("required").and_then(Value::as_bool),
            option.get("default"),
        ) {
            (Some(true), _) => "required".to_owned(),
            (_, Some(default)) => format!("`{}`", json(default)?),
            _ => String::new(),
        };
        writeln!(
            rows,
            "| `{name}` | {} | {default} | {} |",
            kind(option),
            cell(option.get("description"))
        )?;
        if let Some(Value::Mapping(suboptions)) = option.get("suboptions") {
            option_rows(rows, &format!("{name}."), suboptions)?;
        }
    }
    Ok(())
}

fn returned_rows(rows: &mut String, parent: &str, returned: &Mapping) -> Result<()> {
    for (name, value) in returned {
        let name = format!("{parent}{}", name.as_str().unwrap_or_default());
        writeln!(
            rows,
            "| `{name}` | {} | {} | {} |",
            kind(value),
            cell(value.get("returned")),
            cell(value.get("description"))
        )?;
        if let Some(Value::Mapping(contained)) = value.get("contains") {
            returned_rows(rows, &format!("{name}."), contained)?;
        }
    }
    Ok(())
}

fn attribute_rows(attributes: Option<&Value>) -> Result<String> {
    let mut rows = String::new();
    for (name, attribute) in attributes.and_then(Value::as_mapping).into_iter().flatten() {
        let name = name.as_str().unwrap_or_default().replace('_', " ");
        let support = attribute
            .get("support")
            .and_then(Value::as_str)
            .unwrap_or_default();
        writeln!(
            rows,
            "| {name} | {support} | {} |",
            cell(attribute.get("description"))
        )?;
    }
    Ok(rows)
}

/// The type with its elements, or the choices.
fn kind(option: &Value) -> String {
    let text = |key| option.get(key).and_then(Value::as_str);
    if let Some(Value::Sequence(choices)) = option.get("choices") {
        let choices = choices.iter().map(|choice| format!("`{}`", plain(choice)));
        return choices.collect::<Vec<_>>().join(", ");
    }
    let kind = text("type").unwrap_or("raw");
    text("elements").map_or_else(|| kind.to_owned(), |elements| format!("{kind} of {elements}"))
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| json(value).unwrap_or_default(), str::to_owned)
}

fn json(value: &Value) -> Result<String> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    serde_json::to_string(value).context("writing a default")
}

fn cell(value: Option<&Value>) -> String {
    sentences(value).join("<br>").replace('|', "\\|")
}

/// A text or a list of texts, in Markdown.
fn sentences(value: Option<&Value>) -> Vec<String> {
    let texts: Vec<&str> = match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Sequence(texts)) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().map(|text| markdown(text.trim())).collect()
}

/// Ansible's marks: `C(…)` and the like are code, `M(…)` is the page of a module.
fn markdown(text: &str) -> String {
    let mut made = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('(') {
        let before = &rest[..open];
        let letters = before.len()
            - before
                .trim_end_matches(|letter: char| letter.is_ascii_uppercase())
                .len();
        let (before, mark) = before.split_at(open - letters);
        let Some(close) = rest[open..].find(')').filter(|_| is_mark(mark)) else {
            made.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
            continue;
        };
        made.push_str(before);
        made.push_str(&marked(mark, &rest[open + 1..open + close]));
        rest = &rest[open + close + 1..];
    }
    made.push_str(rest);
    outside_code(&made)
}

fn is_mark(mark: &str) -> bool {
    ["C", "O", "V", "E", "RV", "M"].contains(&mark)
}

fn marked(mark: &str, text: &str) -> String {
    let own = text.strip_prefix("homelab.k3s.").filter(|_| mark == "M");
    own.map_or_else(
        || format!("`{text}`"),
        |module| format!("[{module}]({module}.md)"),
    )
}

/// What Markdown would read as HTML, such as `<node>`, stays text.
fn outside_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let escaped = parts.map(|(number, part)| {
        if number % 2 == 0 {
            part.replace('<', "&lt;")
        } else {
            part.to_owned()
        }
    });
    escaped.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_code_and_links() {
        for (text, made) in [
            ("Set O(keep) (or V(0)).", "Set `keep` (or `0`)."),
            (
                "As M(homelab.k3s.k3s_version) does, RV(stops)",
                "As [k3s_version](k3s_version.md) does, `stops`",
            ),
            (
                "M(ansible.builtin.command) in LXC(8)",
                "`ansible.builtin.command` in LXC(8)",
            ),
            ("a <node> and C(<name>)", "a &lt;node> and `<name>`"),
            ("an open C(mark", "an open C(mark"),
        ] {
            assert_eq!(markdown(text), made);
        }
    }

    #[test]
    fn a_page_has_options_and_results_of_every_level() {
        let sidecar = "DOCUMENTATION:\n  short_description: A toy\n  description: [Plays.]\n  options:\n    \
            name: {description: a | b, type: str, required: true}\n    \
            table: {description: [A., B.], type: dict, suboptions: {state: {description: c, choices: [on, \"off\"], default: on}}}\n\
            EXAMPLES: \"- homelab.k3s.toy: {}\\n\"\nRETURN:\n  names: {description: d, returned: success, type: list, elements: str}\n";
        let sidecar: Sidecar = serde_yaml_ng::from_str(sidecar).unwrap();
        let page = page("toy", &sidecar).unwrap();
        for line in [
            "- Plays.",
            "| `name` | str | required | a \\| b |",
            "| `table` | dict |  | A.<br>B. |",
            "| `table.state` | `on`, `off` | `on` | c |",
            "| `names` | list of str | success | d |",
            "- homelab.k3s.toy: {}",
        ] {
            assert!(
                page.lines().any(|found| found == line),
                "{line}\nis not in\n{page}"
            );
        }
    }
}
