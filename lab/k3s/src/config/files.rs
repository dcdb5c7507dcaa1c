//! `config.yaml` and `config.yaml.d/*.yaml`, turned into arguments as k3s does.

use crate::config::flags::{Role, Takes, find};
use crate::log;
use serde_yaml_ng::{Mapping, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `--key=value` for each setting; the last file wins, but `key+` adds to what earlier ones said. A server skips what it does
/// not know; an agent is given it, and ends.
pub fn arguments(role: Role, file: &Path) -> Vec<String> {
    let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in [vec![file.to_owned()], dropped(file)].concat() {
        let Some(mapping) = mapping(&path) else { continue };
        for (key, value) in &mapping {
            let Some(key) = key.as_str() else { continue };
            let (name, adds) = key.strip_suffix('+').map_or((key, false), |name| (name, true));
            let entry = settings.entry(name.to_owned()).or_default();
            if !adds {
                entry.clear();
            }
            entry.extend(texts(value));
        }
    }
    let mut arguments = Vec::new();
    for (name, values) in settings {
        match find(role, &name) {
            None if role == Role::Agent => {
                arguments.extend(values.iter().map(|value| format!("--{name}={value}")));
            }
            None => log::warn(&format!("Unknown flag --{name} found in config.yaml, skipping")),
            Some(flag) if flag.takes == Takes::List => {
                arguments.extend(values.iter().map(|value| format!("--{name}={value}")));
            }
            Some(_) => arguments.extend(values.last().map(|value| format!("--{name}={value}"))),
        }
    }
    arguments
}

fn dropped(file: &Path) -> Vec<PathBuf> {
    let mut folder = file.as_os_str().to_owned();
    folder.push(".d");
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let yaml = |path: &PathBuf| path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let mut dropped: Vec<PathBuf> = entries.filter(yaml).collect();
    dropped.sort();
    dropped
}

fn mapping(path: &Path) -> Option<Mapping> {
    let text = std::fs::read_to_string(path).ok()?;
    serde_yaml_ng::from_str::<Option<Mapping>>(&text).unwrap_or_else(|error| {
        log::fatal(&format!("failed to load {}: {error}", path.display()));
        None
    })
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Sequence(list) => list.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Bool(flag) => vec![flag.to_string()],
        Value::Number(number) => vec![number.to_string()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_files_replace_or_add() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(
            &file,
            "node-label: [a=1]\ntoken: one\ndisable: traefik\nbogus: 1\n",
        )
        .unwrap();
        std::fs::create_dir(folder.path().join("config.yaml.d")).unwrap();
        let add = |name: &str, text: &str| {
            std::fs::write(folder.path().join("config.yaml.d").join(name), text).unwrap();
        };
        add("10.yaml", "node-label+: [b=2]\n");
        add("20.yaml", "token: two\ncluster-init: true\n");
        add("30.txt", "token: three\n");
        let wanted = [
            "--cluster-init=true",
            "--disable=traefik",
            "--node-label=a=1",
            "--node-label=b=2",
            "--token=two",
        ];
        assert_eq!(arguments(Role::Server, &file), wanted);
        // An agent does not start with a flag of servers in its file.
        let output = arguments(Role::Agent, &file);
        assert!(
            output.contains(&"--cluster-init=true".to_owned()) && output.contains(&"--bogus=1".to_owned()),
            "{output:?}"
        );
    }
}
