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
        ("DOCUMENTATION", serde_yaml_ng::to_string(&sidecar.documentation)?),
        ("EXAMPLES", sidecar.examples.clone()),
        ("RETURN", serde_yaml_ng::to_string(&sidecar.returned)?),
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
        writeln!(
            text,
            "    {}: {},",
            quoted(&name),
            argument(&name, &option, no_log)?
        )?;
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
             \"which was not found: install the whole collection\")\n\n\n\
         if __name__ == \"__main__\":\n    main()\n"
    )?;
    Ok(text)
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
