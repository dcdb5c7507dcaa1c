//! The command line of `k3s server` and `k3s agent`, and what variables and the config files add to it.

use crate::config::files;
use crate::config::flags::Takes::{List, Nothing, Value};
use crate::config::flags::{FLAGS, Role, find};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The values by flag name, and the arguments as k3s records them on the Node.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub values: BTreeMap<&'static str, Vec<String>>,
    pub arguments: Vec<String>,
}

/// What k3s prints when it meets a flag that it does not know: the flag's name without its dashes.
#[derive(Debug, PartialEq)]
pub struct Unknown(pub String);

/// Config files first, then the command line over them; variables are asked last, as their flags were.
pub fn parse(
    role: Role,
    line: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Flags, Unknown> {
    let given = read(role, line)?;
    let file = given
        .get("config")
        .and_then(|v| v.last())
        .cloned()
        .or_else(|| variable("K3S_CONFIG_FILE"));
    let file = file.map_or_else(|| crate::paths::etc("rancher/k3s/config.yaml"), PathBuf::from);
    let configured = files::arguments(role, &file);
    let mut values = read(role, &configured)?;
    values.extend(given);
    for flag in FLAGS
        .iter()
        .filter(|flag| !flag.variable.is_empty() && find(role, flag.name).is_some())
    {
        if let Some(value) = variable(flag.variable).filter(|value| !value.is_empty()) {
            values.entry(flag.name).or_insert_with(|| vec![value]);
        }
    }
    let arguments = [vec![role.word().to_owned()], configured, line.to_vec()].concat();
    Ok(Flags { values, arguments })
}

fn read(role: Role, line: &[String]) -> Result<BTreeMap<&'static str, Vec<String>>, Unknown> {
    let mut values: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut words = line.iter();
    while let Some(word) = words.next() {
        let Some(body) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            continue;
        };
        let (name, inline) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let flag = find(role, name).ok_or_else(|| Unknown(name.to_owned()))?;
        let value = match flag.takes {
            Nothing => inline.unwrap_or_else(|| "true".to_owned()),
            Value | List => inline.or_else(|| words.next().cloned()).unwrap_or_default(),
        };
        let list = values.entry(flag.name).or_default();
        if flag.takes != List {
            list.clear();
        }
        list.push(value);
    }
    Ok(values)
}

impl Flags {
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .and_then(|values| values.last())
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    /// Repeated, and separated by commas.
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.values.get(name).into_iter().flatten();
        values
            .flat_map(|v| v.split(','))
            .map(|v| v.trim().to_owned())
            .filter(|v| !v.is_empty())
            .collect()
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(role: Role, line: &[&str]) -> Result<Flags, Unknown> {
        let line: Vec<String> = line.iter().map(|w| (*w).to_owned()).collect();
        let mut line = line;
        line.extend(["--config".to_owned(), "/nonexistent".to_owned()]);
        parse(role, &line, |name| {
            (name == "K3S_TOKEN").then(|| "from-env".to_owned())
        })
    }

    #[test]
    fn both_spellings_lists_and_variables() {
        let flags = flags(
            Role::Server,
            &[
                "--node-label",
                "a=b",
                "--node-label=c=d",
                "--disable=traefik,coredns",
            ],
        )
        .unwrap();
        assert_eq!(flags.list("node-label"), ["a=b", "c=d"]);
        assert_eq!(flags.list("disable"), ["traefik", "coredns"]);
        assert_eq!(flags.value("token"), Some("from-env"));
    }

    #[test]
    fn a_flag_wins_over_its_variable_and_the_last_one_over_the_first() {
        let flags = flags(Role::Agent, &["-t", "one", "--token=two"]).unwrap();
        assert_eq!(flags.value("token"), Some("two"));
    }

    #[test]
    fn unknown_flags_and_the_servers_flags_on_an_agent_are_refused() {
        assert_eq!(
            flags(Role::Server, &["--nosuchflag"]).unwrap_err(),
            Unknown("nosuchflag".to_owned())
        );
        assert_eq!(
            flags(Role::Agent, &["--cluster-init"]).unwrap_err(),
            Unknown("cluster-init".to_owned())
        );
    }
}
