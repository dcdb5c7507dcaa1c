//! The stub `plugins/modules/<name>.py`: what every tool of Ansible reads of a module. The program itself is
//! found and run by the action plugin.

use crate::literal::{python, quoted};
use crate::sidecar::{DocumentedOption, Sidecar, typed_options};
use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_yaml_ng::{Mapping, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the program's types know and the documentation does not: `<program> --spec`.
#[derive(Deserialize)]
pub(crate) struct Spec {
    pub options: BTreeMap<String, OptionSpec>,
}

#[derive(Deserialize)]
pub(crate) struct OptionSpec {
    #[serde(default)]
    pub no_log: bool,
}

pub(crate) fn stub(module: &str, sidecar: &Sidecar, spec: &Spec) -> Result<String> {
    let path = &sidecar.path;
    let mut text = format!(
        "#!/usr/bin/python\n\
         # Copyright: the homelab.k3s authors\n\
         # GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)\n\
         # Made by `cargo xtask install` from {path}; what is changed here is lost.\n\
         \n\
         from __future__ import annotations\n"
    );
    let parts = [
        ("DOCUMENTATION", yaml(&sidecar.documentation)?),
        ("EXAMPLES", sidecar.examples.clone()),
        ("RETURN", yaml(&sidecar.returned)?),
    ];
    for (name, yaml) in parts {
        ensure!(
            !yaml.contains("\"\"\""),
            "writing the stub of {module}: {name} contains \"\"\", which would end the Python text"
        );
        write!(text, "\n{name} = r\"\"\"\n---\n{}\n\"\"\"\n", yaml.trim_end())?;
    }
    write!(
        text,
        "\nfrom ansible.module_utils.basic import AnsibleModule\n\nARGUMENT_SPEC = {{\n"
    )?;
    for (name, option) in sidecar.options()? {
        let no_log = spec.options.get(&name).is_some_and(|option| option.no_log);
        let line = format!("    {}: {},", quoted(&name), argument(&name, &option, no_log)?);
        writeln!(text, "{}", folded_entries(&line))?;
    }
    let check_mode = if sidecar.supports_check_mode() {
        "True"
    } else {
        "False"
    };
    write!(
        text,
        "}}\n\n\n\
         def main():\n    \
             module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode={check_mode})\n    \
             module.fail_json(\"the program of homelab.k3s.{module} is run by the collection's action plugin, \"\n                     \
             \"which was not found: install the complete collection\")\n\n\n\
         if __name__ == \"__main__\":\n    main()\n"
    )?;
    Ok(text)
}

/// As `PyYAML` reads it (YAML 1.1 makes a date of what looks like one), in lines that the sanity tests allow.
fn yaml(mapping: &Mapping) -> Result<String> {
    let text = serde_yaml_ng::to_string(mapping)?;
    let lines: Vec<String> = text.lines().map(with_quoted_date).collect();
    let folded: Vec<String> = lines
        .iter()
        .map(|line| {
            let indent = " ".repeat(line.len() - line.trim_start().len() + 4);
            // A line of a plain text that begins with a letter is nothing else.
            folded(line, &indent, |rest| rest.starts_with(char::is_alphabetic))
        })
        .collect();
    let made = folded.join("\n") + "\n";
    let same = serde_yaml_ng::from_str::<Mapping>(&made).is_ok_and(|read| read == *mapping);
    // A text with lines of its own (a block) cannot be folded.
    Ok(if same { made } else { lines.join("\n") + "\n" })
}

fn with_quoted_date(line: &str) -> String {
    let value = line.split_once("sample: ").map_or_else(
        || line.trim_start().strip_prefix("- ").unwrap_or_default(),
        |(_, value)| value,
    );
    let is_date = value.len() >= 10
        && value.bytes().take(10).enumerate().all(|(at, byte)| {
            if at == 4 || at == 7 {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        });
    if is_date {
        line.replace(value, &quoted(value))
    } else {
        line.to_owned()
    }
}

/// The longest line of a stub.
const WIDTH: usize = 150;

/// Breaks a long line at spaces after which `may_begin` allows a line; what follows is indented.
fn folded(line: &str, indent: &str, may_begin: impl Fn(&str) -> bool) -> String {
    let (mut made, mut rest) = (String::new(), line.to_owned());
    while rest.len() > WIDTH {
        let content = rest.len() - rest.trim_start().len();
        let Some(at) = rest
            .char_indices()
            .filter(|(at, letter)| {
                *letter == ' ' && *at > content + 20 && *at <= WIDTH && may_begin(&rest[at + 1..])
            })
            .map(|(at, _)| at)
            .last()
        else {
            break;
        };
        let next = format!("{indent}{}", &rest[at + 1..]);
        made.push_str(&rest[..at]);
        made.push('\n');
        rest = next;
    }
    made + &rest
}

/// Breaks a long line of Python between the entries of its dictionaries, each below the first one of its own, as pycodestyle asks.
fn folded_entries(line: &str) -> String {
    let (mut made, mut column, mut opened, mut in_text, mut escaped) =
        (String::new(), 0, Vec::new(), false, false);
    for (at, letter) in line.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '{' | '[' if !in_text => opened.push(column + 1),
            '}' | ']' if !in_text => _ = opened.pop(),
            ' ' if !in_text
                && line[..at].ends_with(',')
                && column + 1 + until_next_entry(&line[at + 1..]) > WIDTH =>
            {
                column = opened.last().copied().unwrap_or(4);
                made.push('\n');
                made.push_str(&" ".repeat(column));
                continue;
            }
            _ => {}
        }
        made.push(letter);
        column += 1;
    }
    made
}

/// How long it is to the next entry. A quote in a text is escaped, so this is none in a text.
fn until_next_entry(rest: &str) -> usize {
    rest.find(", \"").map_or(rest.len(), |comma| comma + 2)
}

/// One option of the argument spec, in the words of `AnsibleModule`.
fn argument(name: &str, option: &DocumentedOption, no_log: bool) -> Result<String> {
    let mut spec = Mapping::new();
    let mut set = |key: &str, value: Value| spec.insert(key.into(), value);
    if let Some(kind) = &option.r#type {
        set("type", kind.as_str().into());
    }
    if let Some(elements) = &option.elements {
        set("elements", elements.as_str().into());
    }
    if option.required {
        set("required", true.into());
    }
    if let Some(default) = &option.default {
        set("default", default.clone());
    }
    if let Some(choices) = &option.choices {
        set("choices", choices.clone().into());
    }
    if !option.aliases.is_empty() {
        let aliases = option.aliases.iter().map(|alias| Value::from(alias.as_str()));
        set("aliases", Value::Sequence(aliases.collect()));
    }
    if no_log || sounds_secret(name) {
        // Ansible guesses by the name where nothing is said, and warns.
        set("no_log", no_log.into());
    }
    let mut text = python(&Value::Mapping(spec));
    if let Some(suboptions) = &option.suboptions {
        let mut parts = Vec::new();
        for (name, option) in typed_options(suboptions)? {
            parts.push(format!(
                "{}: {}",
                quoted(&name),
                argument(&name, &option, no_log)?
            ));
        }
        text.truncate(text.len() - 1);
        write!(text, ", \"options\": {{{}}}}}", parts.join(", "))?;
    }
    Ok(text)
}

fn sounds_secret(name: &str) -> bool {
    ["pass", "secret", "token", "key"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDECAR: &str = r#"
DOCUMENTATION:
  module: toy
  short_description: A toy
  attributes: {check_mode: {support: full}}
  options:
    token: {type: str, required: true}
    names: {type: list, elements: str, default: [a], aliases: [labels]}
    table:
      type: dict
      suboptions:
        state: {type: str, choices: [on, "off"]}
EXAMPLES: |
  - homelab.k3s.toy: {}
RETURN: {}
"#;

    #[test]
    fn long_texts_are_folded_and_dates_are_quoted() {
        let long = "word ".repeat(80);
        let text = format!(
            "{{description: [{long}], at: {{sample: \"2026-01-01T00:00:00Z\"}}, short: \"a: b\", quoted: \"it: {long}\"}}"
        );
        let mapping: Mapping = serde_yaml_ng::from_str(&text).unwrap();
        let made = yaml(&mapping).unwrap();
        assert_eq!(serde_yaml_ng::from_str::<Mapping>(&made).unwrap(), mapping);
        assert!(made.lines().all(|line| line.len() <= WIDTH), "{made}");
        assert!(made.contains("sample: \"2026-01-01T00:00:00Z\""), "{made}");
    }

    #[test]
    fn long_arguments_are_folded_between_entries() {
        let entries = "\"key\": \"a, {\\\"b\", ".repeat(20);
        let line = format!("    \"a\": {{{entries}\"options\": {{{entries}}}}},");
        let made = folded_entries(&line);
        assert!(made.lines().all(|line| line.len() <= WIDTH), "{made}");
        let joined: Vec<&str> = made.lines().map(str::trim_start).collect();
        assert_eq!(joined.join(" "), line.trim_start());
        assert!(
            made.lines().nth(1).unwrap().starts_with("          \"key\""),
            "{made}"
        );
    }

    #[test]
    fn a_stub_holds_documentation_and_spec() {
        let sidecar: Sidecar = serde_yaml_ng::from_str(SIDECAR).unwrap();
        let spec: Spec =
            serde_json::from_str(r#"{"options": {"token": {"type": "str", "no_log": true}}}"#).unwrap();
        let text = stub("toy", &sidecar, &spec).unwrap();
        for line in [
            r#"    "token": {"type": "str", "required": True, "no_log": True},"#,
            r#"    "names": {"type": "list", "elements": "str", "default": ["a"], "aliases": ["labels"]},"#,
            r#"    "table": {"type": "dict", "options": {"state": {"type": "str", "choices": ["on", "off"]}}},"#,
            "short_description: A toy",
            "- homelab.k3s.toy: {}",
            "    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line}\nis not in\n{text}"
            );
        }
    }
}
