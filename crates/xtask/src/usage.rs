//! Where our modules are used in YAML, and whether every option that is given there is documented.

use crate::repo::COLLECTION;
use serde::Deserialize as _;
use serde_yaml_ng::{Deserializer, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Names of options by module.
pub(crate) type Known = BTreeMap<String, BTreeSet<String>>;

/// What is wrong with the uses of our modules in this text of one or more YAML documents.
pub(crate) fn faults(location: &str, text: &str, known: &Known) -> Vec<String> {
    let mut faults = Vec::new();
    for document in Deserializer::from_str(text) {
        match Value::deserialize(document) {
            Ok(value) => walk(&value, known, &mut faults),
            Err(error) => {
                faults.push(format!("is not YAML: {error}"));
                break;
            }
        }
    }
    faults
        .into_iter()
        .map(|fault| format!("{location}: {fault}"))
        .collect()
}

/// The code blocks of a Markdown text that are YAML.
pub(crate) fn yaml_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in markdown.lines() {
        match (&mut block, line.trim_end()) {
            (None, "```yaml" | "```yml") => block = Some(String::new()),
            (Some(text), "```") => {
                blocks.push(std::mem::take(text));
                block = None;
            }
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

/// A module's name is looked for as a key at any depth: tasks, blocks, handlers and `module_defaults` alike.
fn walk(value: &Value, known: &Known, faults: &mut Vec<String>) {
    match value {
        Value::Mapping(map) => {
            for (key, value) in map {
                if let Some(module) = key.as_str().and_then(own_module) {
                    faults.extend(faults_of_use(module, value, known));
                }
                walk(value, known, faults);
            }
        }
        Value::Sequence(values) => values.iter().for_each(|value| walk(value, known, faults)),
        Value::Tagged(tagged) => walk(&tagged.value, known, faults),
        _ => {}
    }
}

fn own_module(key: &str) -> Option<&str> {
    let module = key.strip_prefix(COLLECTION)?.strip_prefix('.')?;
    (!module.contains('.')).then_some(module)
}

fn faults_of_use(module: &str, arguments: &Value, known: &Known) -> Vec<String> {
    let Some(options) = known.get(module) else {
        return vec![format!("{COLLECTION}.{module} is not a module")];
    };
    match arguments {
        Value::Mapping(given) => given
            .keys()
            .filter_map(Value::as_str)
            .filter(|option| !options.contains(*option))
            .map(|option| format!("{COLLECTION}.{module} has no option {option}"))
            .collect(),
        Value::Null => Vec::new(),
        // Of several playbooks, in one variable: its options are looked at where that is set.
        Value::String(template) if template.starts_with("{{ k3s_arguments_") => Vec::new(),
        _ => vec![format!(
            "{COLLECTION}.{module} is given its options in one text: write them as a mapping"
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let options = ["vmid", "argv"].map(str::to_owned).into();
        faults("p.yml", text, &BTreeMap::from([("pct_exec".to_owned(), options)]))
    }

    #[test]
    fn options_are_looked_up_wherever_a_module_stands() {
        assert!(
            found("- hosts: all\n  tasks:\n    - homelab.k3s.pct_exec: {vmid: 1, argv: [a]}\n").is_empty()
        );
        assert_eq!(
            found("- block:\n    - rescue:\n        - homelab.k3s.pct_exec: {vmdi: 1}\n"),
            ["p.yml: homelab.k3s.pct_exec has no option vmdi"]
        );
        assert_eq!(
            found("module_defaults:\n  homelab.k3s.pct_exec: {when: x}\n  group/homelab.k3s.all: {}\n"),
            ["p.yml: homelab.k3s.pct_exec has no option when"]
        );
        assert_eq!(
            found("- homelab.k3s.pct: {}"),
            ["p.yml: homelab.k3s.pct is not a module"]
        );
        assert_eq!(found("- homelab.k3s.pct_exec: vmid=1").len(), 1);
        assert!(found("module_defaults:\n  homelab.k3s.pct_exec: \"{{ k3s_arguments_pct_exec['homelab.k3s.pct_exec'] }}\"\n").is_empty());
        assert_eq!(found("a: [").len(), 1);
    }

    #[test]
    fn examples_are_found_in_markdown() {
        assert_eq!(yaml_blocks("x\n```yaml\na: 1\n```\n```sh\nls\n```\n"), ["a: 1\n"]);
    }
}
