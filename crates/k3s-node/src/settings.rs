//! What arguments, configuration files and environment together make of a node: its name above all.
//!
//! k3s turns the configuration files into flags that stand before those of the command line, and a variable only
//! counts where there is no flag: command line, then files, then environment.

use crate::config::{Config, Given};
use crate::env_file::Variables;
use crate::shared::Said;

pub const DEFAULT_CONFIG: &str = "/etc/rancher/k3s/config.yaml";
pub const DEFAULT_DATA: &str = "/var/lib/rancher/k3s";
pub const DEFAULT_KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";

/// The switches by which a server does part of a server's work only.
const SPLIT: [&str; 5] = [
    "disable-agent",
    "disable-apiserver",
    "disable-controller-manager",
    "disable-etcd",
    "disable-scheduler",
];

/// What a server keeps the cluster in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datastore {
    Sqlite,
    Etcd,
    /// `PostgreSQL`, `MySQL` or an etcd of its own.
    External,
    /// The embedded etcd of other servers (`disable-etcd`).
    OfOtherServers,
}

/// A setting without a value: on or off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    pub on: bool,
    pub location: String,
}

/// The three sources together.
pub struct Settings<'a> {
    pub args: &'a [String],
    pub config: &'a Config,
    pub environment: &'a Variables,
}

impl Settings<'_> {
    /// A setting by its names as a flag and its variable; one that is given without a value is not given.
    pub fn given(&self, names: &[&str], variable: &str) -> Option<Given> {
        let given = self.argument(names).or_else(|| self.in_config(names));
        let given = given.or_else(|| self.variable(variable));
        given.filter(|given| !given.value.is_empty())
    }

    fn value(&self, names: &[&str], variable: &str) -> Option<String> {
        self.given(names, variable).map(|given| given.value)
    }

    /// A switch, where anything says something about it. Not every one has a variable.
    pub fn switch(&self, name: &str, variable: Option<&str>) -> Option<Switch> {
        // On the command line it needs no value, and the word after it is none.
        if let Some(value) = last_switch(self.args, name) {
            let on = !["false", "0", "f"].contains(&value.to_ascii_lowercase().as_str());
            let location = format!("the argument --{name}");
            return Some(Switch { on, location });
        }
        let given = self.in_config(&[name]);
        let given = given.or_else(|| self.variable(variable?))?;
        Some(Switch {
            on: given.is_true(),
            location: given.location,
        })
    }

    pub fn is_on(&self, name: &str) -> bool {
        self.switch(name, None).is_some_and(|switch| switch.on)
    }

    fn argument(&self, names: &[&str]) -> Option<Given> {
        Some(Given {
            value: last_flag(self.args, names)?,
            location: format!("the argument --{}", names.first()?),
        })
    }

    fn in_config(&self, names: &[&str]) -> Option<Given> {
        names.iter().find_map(|name| self.config.given(name))
    }

    fn variable(&self, name: &str) -> Option<Given> {
        Some(Given {
            value: self.environment.get(name)?.clone(),
            location: format!("the variable {name}"),
        })
    }

    /// The name under which the node registers. k3s writes names in lower case.
    pub fn node_name(&self, hostname: &str, node_id: Option<&str>) -> String {
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

    pub fn data_dir(&self) -> String {
        self.value(&["data-dir", "d"], "K3S_DATA_DIR")
            .unwrap_or_else(|| DEFAULT_DATA.to_owned())
    }

    /// Where k3s saves the snapshots of its etcd.
    pub fn snapshot_dir(&self) -> String {
        self.value(&["etcd-snapshot-dir"], "")
            .unwrap_or_else(|| format!("{}/server/db/snapshots", self.data_dir()))
    }

    /// The kubeconfig of an administrator, which every start of a server writes.
    pub fn kubeconfig(&self) -> String {
        self.value(&["write-kubeconfig", "o"], "K3S_KUBECONFIG_OUTPUT")
            .unwrap_or_else(|| DEFAULT_KUBECONFIG.to_owned())
    }

    /// Whether k3s copies its snapshots into a bucket.
    pub fn has_s3(&self) -> bool {
        self.is_on("etcd-s3")
    }

    /// A datastore outside, where it is named; its address holds a password.
    pub fn datastore_endpoint(&self) -> Option<Given> {
        self.given(&["datastore-endpoint"], "K3S_DATASTORE_ENDPOINT")
    }

    /// The datastore of a server, as k3s decides: an etcd that was begun here (`member/wal`) is used whatever is set, and
    /// `state.db` only where nothing else is named.
    pub fn datastore(&self, has_wal: bool) -> Datastore {
        if has_wal {
            Datastore::Etcd
        } else if self.datastore_endpoint().is_some() {
            Datastore::External
        } else if self.is_on("disable-etcd") {
            Datastore::OfOtherServers
        } else if self.has_server() || self.is_switched_on("cluster-init", "K3S_CLUSTER_INIT") {
            Datastore::Etcd
        } else {
            Datastore::Sqlite
        }
    }

    fn is_switched_on(&self, name: &str, variable: &str) -> bool {
        self.switch(name, Some(variable)).is_some_and(|switch| switch.on)
    }

    /// What a server leaves to others of its cluster, by the names of its switches.
    pub fn split_roles(&self) -> Vec<&'static str> {
        SPLIT.into_iter().filter(|name| self.is_on(name)).collect()
    }

    /// Parts that are not to be installed (`disable`), in the order in which they are named.
    pub fn disabled(&self) -> Vec<String> {
        let said = Said {
            args: self.args,
            config: self.config,
        };
        let every = said.every("disable");
        let parts = every.iter().flat_map(|value| value.split(',')).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// A server that runs no kubelet has no Node object.
    pub fn has_agent(&self) -> bool {
        !self.is_on("disable-agent")
    }

    /// Whether the node's configuration names a server to join.
    pub fn has_server(&self) -> bool {
        self.value(&["server", "s"], "K3S_URL").is_some()
    }
}

/// The configuration file that these arguments and variables name; the variable comes first, as in k3s.
pub fn config_path(args: &[String], environment: &Variables) -> String {
    named_config(args, environment)
        .filter(|path| path.starts_with('/'))
        .unwrap_or_else(|| DEFAULT_CONFIG.to_owned())
}

/// The path that is named: k3s takes an address on the network too. Of several arguments it takes the first one, other
/// than with any other flag, and only in these spellings.
pub fn named_config(args: &[String], environment: &Variables) -> Option<String> {
    let given = environment.get("K3S_CONFIG_FILE").filter(|path| !path.is_empty());
    let named = |(at, word): (usize, &String)| match word.split_once('=') {
        Some(("--config" | "-c", path)) => Some(path.to_owned()),
        None if word == "--config" || word == "-c" => args.get(at + 1).cloned(),
        _ => None,
    };
    given.cloned().or_else(|| args.iter().enumerate().find_map(named))
}

/// What follows the `=` of the last occurrence of a switch; empty where nothing does.
fn last_switch<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    args.iter().rev().find_map(|word| {
        let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
        let (found, value) = flag.split_once('=').unwrap_or((flag, ""));
        (found == name).then_some(value)
    })
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

    fn settings_of<T>(args: &str, file: &str, look: impl Fn(&Settings) -> T) -> T {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let config = Config::read(std::iter::once(("/c.yaml", file)));
        look(&Settings {
            args: &args,
            config: &config,
            environment: &Variables::new(),
        })
    }

    #[test]
    fn the_datastore_is_what_k3s_would_use() {
        let cases = [
            ("", "", Datastore::Sqlite),
            ("--cluster-init", "", Datastore::Etcd),
            ("--cluster-init=false", "", Datastore::Sqlite),
            ("--server https://a:6443 --token t", "", Datastore::Etcd),
            (
                "",
                "datastore-endpoint: postgres://u:p@db/k3s",
                Datastore::External,
            ),
            (
                "--disable-etcd --server https://a:6443",
                "",
                Datastore::OfOtherServers,
            ),
            (
                "",
                "disable-etcd: yes\nserver: https://a:6443",
                Datastore::OfOtherServers,
            ),
        ];
        for (args, file, expected) in cases {
            let (fresh, begun) = settings_of(args, file, |settings| {
                (settings.datastore(false), settings.datastore(true))
            });
            assert_eq!(fresh, expected, "{args} {file}");
            assert_eq!(begun, Datastore::Etcd, "{args} {file}: etcd was begun here");
        }
    }

    #[test]
    fn folders_and_disabled_parts_follow_what_is_set() {
        let file = "data-dir: /srv/k3s\ndisable: [traefik, servicelb]\netcd-s3: on\n";
        settings_of(
            "--disable metrics-server,coredns --disable-apiserver",
            file,
            |it| {
                assert_eq!(it.snapshot_dir(), "/srv/k3s/server/db/snapshots");
                assert_eq!(
                    it.disabled(),
                    ["traefik", "servicelb", "metrics-server", "coredns"]
                );
                assert_eq!(it.split_roles(), ["disable-apiserver"]);
                assert!(it.has_s3());
                assert_eq!(it.kubeconfig(), DEFAULT_KUBECONFIG);
            },
        );
        let elsewhere = settings_of("--etcd-snapshot-dir=/mnt/vault/etcd -o /a.yaml", "", |it| {
            (it.snapshot_dir(), it.kubeconfig())
        });
        assert_eq!(elsewhere, ("/mnt/vault/etcd".to_owned(), "/a.yaml".to_owned()));
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
        let remote = Variables::from([("K3S_CONFIG_FILE".to_owned(), "https://a/c.yaml".to_owned())]);
        assert_eq!(config_path(&args, &remote), DEFAULT_CONFIG);
        assert_eq!(named_config(&args, &remote).as_deref(), Some("https://a/c.yaml"));
    }

    #[test]
    fn the_configuration_file_is_the_first_that_is_named_and_an_empty_variable_names_none() {
        let of = |args: &str, variable: &str| {
            let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
            let environment = Variables::from([("K3S_CONFIG_FILE".to_owned(), variable.to_owned())]);
            config_path(&args, &environment)
        };
        assert_eq!(of("--config /a.yaml --config /b.yaml", ""), "/a.yaml");
        assert_eq!(of("-c=/a.yaml", ""), "/a.yaml");
        assert_eq!(of("-config /a.yaml", ""), DEFAULT_CONFIG);
        assert_eq!(of("--config /a.yaml", "/v.yaml"), "/v.yaml");
    }

    #[test]
    fn reads_a_switch_with_its_location() {
        let switch = |args: &str, file: &str, variable: Option<&str>| {
            let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
            let config = Config::read(std::iter::once(("/c.yaml", file)));
            let environment = variable
                .map(|value| ("K3S_CLUSTER_INIT".to_owned(), value.to_owned()))
                .into_iter()
                .collect();
            let settings = Settings {
                args: &args,
                config: &config,
                environment: &environment,
            };
            settings
                .switch("cluster-init", Some("K3S_CLUSTER_INIT"))
                .map(|switch| (switch.on, switch.location))
        };
        let argument = "the argument --cluster-init".to_owned();
        assert_eq!(switch("", "", None), None);
        for on in ["--cluster-init x", "--cluster-init false", "--cluster-init=true"] {
            assert_eq!(switch(on, "", None), Some((true, argument.clone())), "{on}");
        }
        for off in ["--cluster-init=0", "--cluster-init=False"] {
            assert_eq!(switch(off, "", None), Some((false, argument.clone())), "{off}");
        }
        let overruled = switch("--cluster-init=false", "cluster-init: true", Some("true"));
        assert_eq!(overruled, Some((false, argument)));
        for (file, on) in [("true", true), ("yes", true), ("false", false), ("\"1\"", true)] {
            let found = switch("", &format!("cluster-init: {file}"), Some("x"));
            assert_eq!(found, Some((on, "/c.yaml".to_owned())), "{file}");
        }
        assert_eq!(
            switch("", "", Some("true")),
            Some((true, "the variable K3S_CLUSTER_INIT".to_owned()))
        );
    }
}
