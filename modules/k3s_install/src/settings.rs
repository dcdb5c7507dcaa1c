//! What arguments, configuration files and environment together make of a node: its name above all.
//!
//! k3s turns the configuration files into flags that stand before those of the command line, and a variable only
//! counts where there is no flag: command line, then files, then environment.

use crate::env_file::Variables;
use serde_yaml_ng::Value;
use std::collections::BTreeMap;

pub(crate) const DEFAULT_CONFIG: &str = "/etc/rancher/k3s/config.yaml";
pub(crate) const DEFAULT_DATA: &str = "/var/lib/rancher/k3s";

/// `config.yaml` and what is beside it in `config.yaml.d`, read as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    values: BTreeMap<String, String>,
    /// The first file that is no YAML dictionary: k3s would not start with it.
    pub(crate) fault: Option<String>,
}

impl Config {
    /// Reads files in the order in which k3s does. The last one wins; of a list, its last item.
    pub(crate) fn read<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut config = Self::default();
        for (path, text) in files {
            match serde_yaml_ng::from_str::<Option<BTreeMap<String, Value>>>(text) {
                Ok(values) => config
                    .values
                    .extend(values.into_iter().flatten().filter_map(flag)),
                // The error's own text could repeat a line with a token in it.
                Err(_) if config.fault.is_none() => config.fault = Some(path.to_owned()),
                Err(_) => {}
            }
        }
        config
    }
}

/// `key+` appends in k3s; for a single value it is the same as `key`.
fn flag((key, value): (String, Value)) -> Option<(String, String)> {
    let text = match value {
        Value::Sequence(items) => scalar(items.last()?)?,
        value => scalar(&value)?,
    };
    Some((key.trim_end_matches('+').to_owned(), text))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The three sources together.
pub(crate) struct Settings<'a> {
    pub(crate) args: &'a [String],
    pub(crate) config: &'a Config,
    pub(crate) environment: &'a Variables,
}

impl Settings<'_> {
    fn value(&self, names: &[&str], variable: &str) -> Option<String> {
        let from_config = || {
            names
                .iter()
                .find_map(|name| self.config.values.get(*name).cloned())
        };
        let value = last_flag(self.args, names)
            .or_else(from_config)
            .or_else(|| self.environment.get(variable).cloned());
        value.filter(|value| !value.is_empty())
    }

    fn is_on(&self, name: &str) -> bool {
        match last_flag(self.args, &[name]) {
            // A switch needs no value, and the word after it is none.
            Some(value) => value != "false",
            None => self.config.values.get(name).is_some_and(|value| value == "true"),
        }
    }

    /// The name under which the node registers. k3s writes names in lower case.
    pub(crate) fn node_name(&self, hostname: &str, node_id: Option<&str>) -> String {
        let name = self
            .value(&["node-name"], "K3S_NODE_NAME")
            .unwrap_or_else(|| hostname.to_owned());
        let mut name = name.trim().to_lowercase();
        if let Some(id) = node_id.filter(|_| self.is_on("with-node-id")) {
            name.push('-');
            name.push_str(id.trim());
        }
        name
    }

    pub(crate) fn data_dir(&self) -> String {
        self.value(&["data-dir", "d"], "K3S_DATA_DIR")
            .unwrap_or_else(|| DEFAULT_DATA.to_owned())
    }

    /// A server that runs no kubelet has no Node object.
    pub(crate) fn has_agent(&self) -> bool {
        !self.is_on("disable-agent")
    }

    /// Whether the node is told which server to join.
    pub(crate) fn has_server(&self) -> bool {
        self.value(&["server", "s"], "K3S_URL").is_some()
    }
}

/// The configuration file that these arguments and variables name; the variable comes first, as in k3s.
pub(crate) fn config_path(args: &[String], environment: &Variables) -> String {
    let given = environment.get("K3S_CONFIG_FILE").cloned();
    let given = given.or_else(|| last_flag(args, &["config", "c"]));
    given
        .filter(|path| path.starts_with('/'))
        .unwrap_or_else(|| DEFAULT_CONFIG.to_owned())
}

/// The value of the last occurrence of a flag, in either spelling; empty where it has none.
fn last_flag(args: &[String], names: &[&str]) -> Option<String> {
    args.iter().enumerate().rev().find_map(|(at, word)| {
        let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (
                flag,
                args.get(at + 1).filter(|next| !next.starts_with('-')).cloned(),
            ),
        };
        names.contains(&name).then(|| value.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(args: &str, config: &[(&str, &str)], variable: Option<&str>, id: Option<&str>) -> String {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let config = Config::read(config.iter().copied());
        let environment = variable
            .map(|value| ("K3S_NODE_NAME".to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        Settings {
            args: &args,
            config: &config,
            environment: &environment,
        }
        .node_name("Host.Lan", id)
    }

    #[test]
    fn the_effective_node_name_comes_from_flag_file_variable_or_hostname() {
        let file = [("config.yaml", "node-name: From-File\n")];
        let cases = [
            (name("", &[], None, None), "host.lan"),
            (name("", &[], Some("from-env"), None), "from-env"),
            (name("", &file, Some("from-env"), None), "from-file"),
            (
                name("--node-name from-flag", &file, Some("from-env"), None),
                "from-flag",
            ),
            (name("--node-name a --node-name=Last", &file, None, None), "last"),
            (name("-node-name single", &[], None, None), "single"),
            (
                name("--with-node-id", &[], None, Some("0a1b2c3d\n")),
                "host.lan-0a1b2c3d",
            ),
            (
                name("--with-node-id=false", &[], None, Some("0a1b2c3d")),
                "host.lan",
            ),
            (
                name("--with-node-id --node-label a=b", &[], None, Some("0a1b2c3d")),
                "host.lan-0a1b2c3d",
            ),
            (
                name("", &[("c", "with-node-id: true")], None, Some("0a1b2c3d")),
                "host.lan-0a1b2c3d",
            ),
            (name("", &[], None, Some("0a1b2c3d")), "host.lan"),
        ];
        for (name, expected) in cases {
            assert_eq!(name, expected);
        }
    }

    #[test]
    fn later_files_win_and_lists_and_blank_files_are_fine() {
        let files = [
            ("config.yaml", "node-name: one\ntls-san: [a, b]\n"),
            ("10.yaml", ""),
            ("20.yaml", "node-name+: [two]\n"),
        ];
        assert_eq!(name("", &files, None, None), "two");
    }

    #[test]
    fn a_file_that_k3s_could_not_read_is_named() {
        let config = Config::read(
            [
                ("a.yaml", "x: 1"),
                ("b.yaml", "- token: s3cr3t\n- ["),
                ("c.yaml", "["),
            ]
            .into_iter(),
        );
        assert_eq!(config.fault.as_deref(), Some("b.yaml"));
    }

    #[test]
    fn other_settings_are_found_the_same_way() {
        let args = ["--data-dir=/data", "--disable-agent", "-c", "/etc/k3s.yaml"].map(str::to_owned);
        let environment = Variables::from([("K3S_URL".to_owned(), "https://a".to_owned())]);
        let config = Config::default();
        let settings = Settings {
            args: &args,
            config: &config,
            environment: &environment,
        };
        assert_eq!(settings.data_dir(), "/data");
        assert!(!settings.has_agent() && settings.has_server());
        assert_eq!(config_path(&args, &environment), "/etc/k3s.yaml");
        assert_eq!(config_path(&[], &environment), DEFAULT_CONFIG);
    }
}
