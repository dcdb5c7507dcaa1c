//! What a node is configured with, setting by setting and value by value; and which settings all servers must share.
//!
//! k3s compares them while a server joins, and only then: a server that differs does not start.

use crate::config::Config;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    List,
}

struct Setting {
    name: &'static str,
    takes: Takes,
    default: &'static str,
}

const fn switch(name: &'static str) -> Setting {
    Setting {
        name,
        takes: Takes::Nothing,
        default: "false",
    }
}

const fn value(name: &'static str, default: &'static str) -> Setting {
    Setting {
        name,
        takes: Takes::Value,
        default,
    }
}

const fn list(name: &'static str, default: &'static str) -> Setting {
    Setting {
        name,
        takes: Takes::List,
        default,
    }
}

/// With what k3s takes where nothing is said: said by one and left out by another is the same then. k3s' own list is `CriticalControlArgs` in
/// `pkg/daemons/config/types.go` (compared from v1.30.0 to main of July 2026: `supervisor-metrics` came with v1.31, the provider with v1.33).
/// Of `disable` it looks at `servicelb` only, and at `disable-kube-proxy` not at all; servers that differ there undo each other's components.
const SHARED: [Setting; 17] = [
    list("cluster-cidr", "10.42.0.0/16"),
    list("service-cidr", "10.43.0.0/16"),
    list("cluster-dns", "10.43.0.10"),
    value("cluster-domain", "cluster.local"),
    list("disable", ""),
    switch("disable-cloud-controller"),
    switch("disable-helm-controller"),
    switch("disable-kube-proxy"),
    switch("disable-network-policy"),
    value("egress-selector-mode", "agent"),
    switch("embedded-registry"),
    value("flannel-backend", "vxlan"),
    switch("flannel-external-ip"),
    switch("flannel-ipv6-masq"),
    switch("secrets-encryption"),
    value("secrets-encryption-provider", "aescbc"),
    switch("supervisor-metrics"),
];

/// Not compared, but taken over: names under which the cluster is reached should hold on every server.
const CARRIED: Setting = list("tls-san", "");

/// Values of settings, each a list.
pub type Shared = BTreeMap<String, Vec<String>>;

/// The sources, in the order in which k3s heeds them.
pub struct Said<'a> {
    pub args: &'a [String],
    pub config: &'a Config,
}

/// What is said, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    pub values: Vec<String>,
    pub location: String,
}

impl Said<'_> {
    /// All that has to be the same on all servers, and is said.
    pub fn shared(&self) -> Shared {
        let all = SHARED.iter().chain([&CARRIED]);
        all.filter_map(|setting| Some((setting.name.to_owned(), self.configured(setting)?.values)))
            .collect()
    }

    /// All of that as it holds here, said or not; lists in one order.
    pub fn effective(&self) -> Shared {
        let effective = |setting: &Setting| {
            let configured = self.configured(setting).map(|configured| configured.values);
            let values = configured.unwrap_or_else(|| split(setting.default));
            let values = as_set(&values).into_iter().map(str::to_owned);
            (setting.name.to_owned(), values.collect())
        };
        SHARED.iter().map(effective).collect()
    }

    /// What of it is configured otherwise here: by name, location, here and there.
    pub fn differing(&self, wanted: &Shared) -> Vec<(String, Configured, Vec<String>)> {
        let differs = |setting: &Setting| {
            let configured = self.configured(setting)?;
            let other = wanted.get(setting.name).cloned();
            let other = other.unwrap_or_else(|| split(setting.default));
            let same = as_set(&configured.values) == as_set(&other);
            (!same).then(|| (setting.name.to_owned(), configured, other))
        };
        SHARED.iter().filter_map(differs).collect()
    }

    /// What is said there, and is not said here.
    pub fn missing(&self, wanted: &Shared) -> Shared {
        let all = SHARED.iter().chain([&CARRIED]);
        all.filter(|setting| self.configured(setting).is_none())
            .filter_map(|setting| Some((setting.name.to_owned(), wanted.get(setting.name)?.clone())))
            .collect()
    }

    /// The arguments follow what the files say: a single value is replaced, a list goes on.
    fn configured(&self, setting: &Setting) -> Option<Configured> {
        let (arguments, files) = (self.in_arguments(setting), self.in_files(setting));
        match (arguments, files) {
            (Some(mut arguments), Some(files)) if setting.takes == Takes::List => {
                arguments.values.splice(..0, files.values);
                arguments.location = format!("{} and {}", files.location, arguments.location);
                Some(arguments)
            }
            (arguments, files) => arguments.or(files),
        }
    }

    /// Every value of a flag that may come several times, in the order in which k3s passes them on. None is split at its commas.
    pub fn every(&self, name: &str) -> Vec<String> {
        let (mut values, _) = self.config.all(name);
        values.extend(self.argument_values(name, Takes::List));
        values
    }

    fn in_arguments(&self, setting: &Setting) -> Option<Configured> {
        let values = self.argument_values(setting.name, setting.takes);
        joined(setting, values, format!("the argument --{}", setting.name))
    }

    fn in_files(&self, setting: &Setting) -> Option<Configured> {
        let (values, location) = self.config.all(setting.name);
        joined(setting, values, location)
    }

    fn argument_values(&self, wanted: &str, takes: Takes) -> Vec<String> {
        let mut values = Vec::new();
        for (at, word) in self.args.iter().enumerate() {
            let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let Some(flag) = flag else { continue };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None if takes == Takes::Nothing => (flag, Some("true".to_owned())),
                None => (flag, self.args.get(at + 1).cloned()),
            };
            if name == wanted {
                values.extend(value);
            }
        }
        values
    }
}

fn joined(setting: &Setting, values: Vec<String>, location: String) -> Option<Configured> {
    let values = match setting.takes {
        Takes::List => values.iter().flat_map(|value| split(value)).collect(),
        Takes::Nothing | Takes::Value => values.last().cloned().into_iter().collect::<Vec<_>>(),
    };
    let values: Vec<String> = values.into_iter().filter(|value| !value.is_empty()).collect();
    (!values.is_empty()).then_some(Configured { values, location })
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

fn as_set(values: &[String]) -> BTreeSet<&str> {
    values
        .iter()
        .map(String::as_str)
        .filter(|value| !value.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(args: &str, files: &[&str], look: impl Fn(&Said) -> T) -> T {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let names: Vec<String> = (0..files.len()).map(|at| format!("{at}.yaml")).collect();
        let files = names.iter().map(String::as_str).zip(files.iter().copied());
        let config = Config::read(files);
        look(&Said {
            args: &args,
            config: &config,
        })
    }

    fn shared(args: &str, files: &[&str]) -> String {
        with(args, files, |said| serde_json::to_string(&said.shared()).unwrap())
    }

    #[test]
    fn settings_are_read_as_k3s_reads_them() {
        let cases: [(&str, &[&str], &str); 7] = [
            ("", &[], "{}"),
            (
                "--node-label a=b --token s",
                &["write-kubeconfig-mode: 644"],
                "{}",
            ),
            (
                "--disable traefik --disable=servicelb,x",
                &[],
                r#"{"disable":["traefik","servicelb","x"]}"#,
            ),
            (
                "--disable traefik --cluster-domain b",
                &["disable: [metrics-server]\ncluster-domain: a"],
                r#"{"cluster-domain":["b"],"disable":["metrics-server","traefik"]}"#,
            ),
            (
                "",
                &["disable: [a]\ntls-san: [name]", "disable+: b"],
                r#"{"disable":["a","b"],"tls-san":["name"]}"#,
            ),
            (
                "",
                &["flannel-backend: vxlan", "flannel-backend: host-gw"],
                r#"{"flannel-backend":["host-gw"]}"#,
            ),
            (
                "--secrets-encryption --cluster-domain lan",
                &[],
                r#"{"cluster-domain":["lan"],"secrets-encryption":["true"]}"#,
            ),
        ];
        for (args, files, expected) in cases {
            assert_eq!(shared(args, files), expected, "{args} {files:?}");
        }
    }

    #[test]
    fn only_what_is_said_otherwise_differs() {
        let wanted: Shared = serde_json::from_str(
            r#"{"disable": ["traefik", "servicelb"], "cluster-cidr": ["10.1.0.0/16"], "tls-san": ["api"]}"#,
        )
        .unwrap();
        let differing = |args: &str, files: &[&str]| {
            with(args, files, |said| {
                said.differing(&wanted)
                    .into_iter()
                    .map(|(name, configured, other)| {
                        format!(
                            "{name}: {:?} ({}) not {other:?}",
                            configured.values, configured.location
                        )
                    })
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(differing("", &[]), [""; 0]);
        // In another order, a default that is spelled out, and what is only taken over.
        assert_eq!(
            differing(
                "--disable servicelb,traefik",
                &["flannel-backend: vxlan\ntls-san: other\nembedded-registry: false"]
            ),
            [""; 0]
        );
        assert_eq!(
            differing(
                "--disable traefik",
                &["cluster-cidr: 10.2.0.0/16\nflannel-backend: none"]
            ),
            [
                "cluster-cidr: [\"10.2.0.0/16\"] (0.yaml) not [\"10.1.0.0/16\"]",
                "disable: [\"traefik\"] (the argument --disable) not [\"traefik\", \"servicelb\"]",
                "flannel-backend: [\"none\"] (0.yaml) not [\"vxlan\"]",
            ]
        );
        let missing = with("--disable servicelb,traefik", &[], |said| said.missing(&wanted));
        assert_eq!(missing.keys().collect::<Vec<_>>(), ["cluster-cidr", "tls-san"]);
    }

    #[test]
    fn compares_arguments_of_the_kubelet_unsplit() {
        let every = with(
            "--kubelet-arg=c=1,2 --kubelet-arg d",
            &["kubelet-arg: [a=1]", "kubelet-arg+: b=2"],
            |said| said.every("kubelet-arg"),
        );
        assert_eq!(every, ["a=1", "b=2", "c=1,2", "d"]);
    }

    #[test]
    fn reports_both_locations_of_a_list() {
        let wanted = Shared::default();
        let locations = with("--disable a --supervisor-metrics", &["disable: b"], |said| {
            let differing = said.differing(&wanted);
            differing
                .into_iter()
                .map(|(_, configured, _)| configured.location)
                .collect::<Vec<_>>()
        });
        assert_eq!(
            locations,
            [
                "0.yaml and the argument --disable",
                "the argument --supervisor-metrics"
            ]
        );
    }

    #[test]
    fn what_is_not_said_is_what_k3s_takes() {
        let effective = |args: &str| {
            with(args, &[], |said| {
                serde_json::to_string(&said.effective()).unwrap()
            })
        };
        assert_eq!(
            effective("--disable b,a --flannel-backend=vxlan"),
            effective("--disable a --disable b --embedded-registry=false")
        );
        let other = effective("--secrets-encryption");
        assert!(other.contains(r#""secrets-encryption":["true"]"#), "{other}");
        assert_ne!(other, effective(""));
    }
}
