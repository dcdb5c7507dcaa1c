//! What an operator hands on to the components inside k3s (`kubelet-arg` and the like), and what Kubernetes has
//! removed of that (`removed_arguments.json`).

use anyhow::{Context, Result};
use k3s_node::shared::Said;
use k3s_node::{Role, flags};
use k3s_types::K3sVersion;
use k3s_types::builds::numbers;
use serde::Deserialize;

const REMOVED: &str = include_str!("../removed_arguments.json");

/// In the order in which k3s hands them on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments(Vec<Argument>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Argument {
    /// As in `kubelet-arg`, without `-arg`.
    component: String,
    name: String,
    value: Option<String>,
}

impl Arguments {
    /// Of every component, as k3s hands them on.
    pub(crate) fn of(said: &Said) -> Self {
        let keys = flags::of(Role::Server).filter(|flag| flag.ends_with("-arg"));
        let lines = keys.flat_map(|key| {
            let every = said.every(key).into_iter();
            every.map(move |argument| format!("{key} {}\n", argument.trim_start_matches("--")))
        });
        Self::read(&lines.collect::<String>())
    }

    /// Reads lines `kubelet-arg name=value`.
    pub(crate) fn read(text: &str) -> Self {
        let arguments = text.lines().filter_map(|line| {
            let (component, argument) = line.trim().split_once(' ')?;
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument, None),
            };
            Some(Argument {
                component: component.strip_suffix("-arg")?.to_owned(),
                name: name.to_owned(),
                value,
            })
        });
        Self(arguments.collect())
    }

    /// The value that counts: of an argument that is there twice, the last.
    pub fn value(&self, component: &str, name: &str) -> Option<&str> {
        let mut found = self.0.iter().rev();
        found
            .find(|argument| argument.component == component && argument.name == name)
            .and_then(|argument| argument.value.as_deref())
    }

    fn has(&self, component: &str, name: &str) -> bool {
        self.0
            .iter()
            .any(|argument| argument.component == component && argument.name == name)
    }

    /// Each component with a feature gate that it is to set.
    fn feature_gates(&self) -> impl Iterator<Item = (&str, &str)> {
        let gates = self.0.iter().filter(|argument| argument.name == "feature-gates");
        gates.flat_map(|argument| {
            let list = argument.value.as_deref().unwrap_or_default();
            let names = list.split(',').filter_map(|gate| gate.split('=').next());
            names.map(|name| (argument.component.as_str(), name.trim()))
        })
    }
}

/// What Kubernetes no longer has, by the minor that is the first without it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removed {
    arguments: Vec<Gone>,
    feature_gates: Vec<Gone>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gone {
    since: String,
    /// Every component has the same feature gates.
    component: Option<String>,
    names: Vec<String>,
}

impl Removed {
    pub(crate) fn all() -> Result<Self> {
        serde_json::from_str(REMOVED).context("reading the list of removed arguments")
    }

    /// Those of the arguments that `from` (`None`: a new node) still has and `to` has not.
    pub(crate) fn among(
        &self,
        arguments: &Arguments,
        from: Option<&K3sVersion>,
        to: &K3sVersion,
    ) -> Vec<String> {
        let crossed = |gone: &&Gone| {
            let without = |version: &K3sVersion| vec![version.major, version.minor] >= numbers(&gone.since);
            without(to) && !from.is_some_and(without)
        };
        let plain = self.arguments.iter().filter(crossed);
        let plain = plain.flat_map(|gone| {
            let component = gone.component.as_deref().unwrap_or_default();
            let there = gone
                .names
                .iter()
                .filter(move |name| arguments.has(component, name));
            there.map(move |name| format!("{component}-arg {name} (gone in {})", gone.since))
        });
        let gates = self.feature_gates.iter().filter(crossed);
        let gates = gates.flat_map(|gone| {
            let there = arguments
                .feature_gates()
                .filter(|(_, gate)| gone.names.iter().any(|name| name == gate));
            there.map(|(component, gate)| {
                format!("{component}-arg feature-gates={gate} (gone in {})", gone.since)
            })
        });
        plain.chain(gates).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> K3sVersion {
        text.parse().unwrap()
    }

    fn removed(arguments: &str, from: Option<&str>, to: &str) -> Vec<String> {
        let from = from.map(version);
        Removed::all()
            .unwrap()
            .among(&Arguments::read(arguments), from.as_ref(), &version(to))
    }

    #[test]
    fn of_an_argument_that_is_there_twice_the_last_counts() {
        let arguments = Arguments::read(
            "kube-proxy-arg conntrack-max-per-core=9\nkubelet-arg v\nkube-proxy-arg conntrack-max-per-core=0\n",
        );
        assert_eq!(arguments.value("kube-proxy", "conntrack-max-per-core"), Some("0"));
        assert_eq!(arguments.value("kubelet", "conntrack-max-per-core"), None);
        assert_eq!(arguments.value("kubelet", "v"), None, "it has no value");
    }

    #[test]
    fn an_argument_counts_for_its_own_component() {
        let kubelet = "kubelet-arg cloud-provider\n";
        assert!(removed(kubelet, Some("v1.32.1+k3s1"), "v1.33.1+k3s1").is_empty());
        let server = "kube-apiserver-arg cloud-provider\n";
        assert_eq!(
            removed(server, Some("v1.32.1+k3s1"), "v1.33.1+k3s1"),
            ["kube-apiserver-arg cloud-provider (gone in 1.33)"]
        );
        assert!(removed(server, Some("v1.33.1+k3s1"), "v1.34.1+k3s1").is_empty());
    }

    #[test]
    fn each_feature_gate_of_a_list_is_looked_up() {
        let gates = "kubelet-arg feature-gates=KubeletInUserNamespace=true,SidecarContainers=true\n\
            kube-apiserver-arg feature-gates=AppArmor=true\n";
        assert_eq!(
            removed(gates, Some("v1.36.5+k3s1"), "v1.37.1+k3s1"),
            ["kubelet-arg feature-gates=SidecarContainers (gone in 1.37)"]
        );
        assert_eq!(
            removed(gates, None, "v1.36.5+k3s1"),
            ["kube-apiserver-arg feature-gates=AppArmor (gone in 1.33)"],
            "on a new node everything counts that is gone by then"
        );
    }
}
