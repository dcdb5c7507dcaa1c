//! What an operator has set for the kubelet of this node: in k3s's arguments and configuration files, and in the folder of drop-ins that k3s has
//! for it (`<data-dir>/agent/etc/kubelet.conf.d`). An argument wins over every file.

use crate::params::Params;
use k3s_node::shared::Said;
use k3s_node::{Config, Facts, NodeSettings};
use serde_yaml_ng::Value;

/// By this name `k3s_config` writes what the inventory says.
const OURS: &str = "/etc/rancher/k3s/config.yaml.d/50-homelab-k3s.yaml";
const GATE: &str = "KubeletInUserNamespace";

/// None: nothing is said, and its version decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kubelet {
    pub(crate) fails_on_cgroup_v1: Option<bool>,
    pub(crate) in_user_namespace: Option<bool>,
}

impl Kubelet {
    pub(crate) fn read(facts: &Facts, node: &NodeSettings, params: &Params) -> Self {
        let words = arguments(node, params);
        let files = drop_ins(facts);
        let file = |read: fn(&Value) -> Option<bool>| files.iter().rev().find_map(read);
        Self {
            fails_on_cgroup_v1: argument(&words, "fail-cgroupv1")
                .and_then(truth)
                .or_else(|| file(|file| file.get("failCgroupV1")?.as_bool())),
            in_user_namespace: gate(&words)
                .or_else(|| file(|file| file.get("featureGates")?.get(GATE)?.as_bool())),
        }
    }
}

/// `kubelet-arg` of the command line and of the files, as k3s adds them up. A node that is installed has its own file: what the inventory says
/// is not written there again.
fn arguments(node: &NodeSettings, params: &Params) -> Vec<String> {
    let installed = node.setup.as_ref().is_ok_and(Option::is_some);
    let mut files = node.config_files.clone();
    if !installed && let Some(config) = &params.config {
        files.retain(|(path, _)| path != OURS);
        files.push((
            OURS.to_owned(),
            serde_yaml_ng::to_string(config).unwrap_or_default(),
        ));
        files.sort();
    }
    let said = Said {
        args: &node.launch.args,
        config: &Config::read(files.iter().map(|(path, text)| (path.as_str(), text.as_str()))),
    };
    said.every("kubelet-arg")
}

/// The last value of an argument; `true` where it has none.
fn argument<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    words.iter().rev().find_map(|word| value(word, name))
}

fn value<'a>(word: &'a str, name: &str) -> Option<&'a str> {
    let word = word.strip_prefix("--").unwrap_or(word);
    let (found, value) = word.split_once('=').unwrap_or((word, "true"));
    (found.trim_end_matches(['+', '-']) == name).then_some(value)
}

/// All `feature-gates` together are one list.
fn gate(words: &[String]) -> Option<bool> {
    let lists = words.iter().filter_map(|word| value(word, "feature-gates"));
    let gates = lists.flat_map(|list| list.split(','));
    let mut ours = gates.filter_map(|gate| gate.split_once('=').filter(|(name, _)| name.trim() == GATE));
    ours.next_back().and_then(|(_, value)| truth(value))
}

/// As Go reads it.
fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// In the order in which the kubelet reads them: the last one that says something counts. One that is not YAML is skipped.
fn drop_ins(facts: &Facts) -> Vec<Value> {
    let mut files = facts.below("kubelet:");
    files.sort();
    let read = |(_, text): &(String, String)| serde_yaml_ng::from_str(text).ok();
    files.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::params;
    use k3s_node::settings::DEFAULT_CONFIG;
    use serde_json::json;
    use std::fmt::Write as _;

    fn read(files: &[(&str, &str)], config: serde_json::Value) -> (Option<bool>, Option<bool>) {
        let mut text = String::new();
        for (name, content) in files.iter().chain([&("hostname", "n1"), &("end", "")]) {
            let _ = write!(text, "@{name} {}\n{content}\n", content.len());
        }
        let facts = Facts::parse(text.as_bytes()).unwrap();
        let node = NodeSettings::read(&facts, DEFAULT_CONFIG).unwrap();
        let kubelet = Kubelet::read(&facts, &node, &params(json!({"vmid": 111, "config": config})));
        (kubelet.fails_on_cgroup_v1, kubelet.in_user_namespace)
    }

    const MAIN: &str = "config:/etc/rancher/k3s/config.yaml";
    const DROP_IN: &str = "kubelet:/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-mine.conf";

    #[test]
    fn nothing_is_said_where_nothing_stands() {
        assert_eq!(read(&[], json!(null)), (None, None));
        assert_eq!(
            read(
                &[(MAIN, "kubelet-arg: [max-pods=50]\n"), (DROP_IN, "maxPods: 5\n")],
                json!({})
            ),
            (None, None)
        );
    }

    #[test]
    fn a_drop_in_is_as_good_as_an_argument() {
        assert_eq!(
            read(&[(DROP_IN, "failCgroupV1: false\n")], json!(null)),
            (Some(false), None)
        );
        let gates = "featureGates: {KubeletInUserNamespace: true}\n";
        assert_eq!(read(&[(DROP_IN, gates)], json!(null)), (None, Some(true)));
        for text in [
            "kubelet-arg: fail-cgroupv1=false\n",
            "kubelet-arg: [--fail-cgroupv1=0]\n",
        ] {
            assert_eq!(read(&[(MAIN, text)], json!(null)), (Some(false), None), "{text}");
        }
    }

    #[test]
    fn an_argument_wins_and_the_last_file_does() {
        let later = "kubelet:/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/60.conf";
        let files = [
            (later, "failCgroupV1: true\n"),
            (DROP_IN, "failCgroupV1: false\n"),
        ];
        assert_eq!(read(&files, json!(null)).0, Some(true));
        let argument = [
            (MAIN, "kubelet-arg: [fail-cgroupv1]\n"),
            (DROP_IN, "failCgroupV1: false\n"),
        ];
        assert_eq!(read(&argument, json!(null)).0, Some(true));
    }

    #[test]
    fn feature_gates_of_all_arguments_are_one_list() {
        let text =
            "kubelet-arg:\n- feature-gates=A=true,KubeletInUserNamespace=true\n- feature-gates=B=false\n";
        assert_eq!(read(&[(MAIN, text)], json!(null)).1, Some(true));
        let off = json!({"kubelet-arg+": ["feature-gates=KubeletInUserNamespace=false"]});
        assert_eq!(read(&[(MAIN, text)], off).1, Some(false));
    }

    #[test]
    fn what_is_to_be_written_counts_until_k3s_is_installed() {
        let config = json!({"kubelet-arg": ["fail-cgroupv1=false"]});
        assert_eq!(read(&[], config.clone()).0, Some(false));
        let ours = (
            "config:/etc/rancher/k3s/config.yaml.d/50-homelab-k3s.yaml",
            "kubelet-arg: [fail-cgroupv1=true]\n",
        );
        assert_eq!(read(&[ours], config.clone()).0, Some(false));
        let unit = (
            "unit:k3s-agent.service",
            "[Service]\nExecStart=/usr/local/bin/k3s agent\n",
        );
        assert_eq!(read(&[ours, unit], config.clone()).0, Some(true));
        let newer = (
            "unit:k3s.service",
            "[Service]\nExecStart=/usr/local/bin/k3s server --kubelet-arg=fail-cgroupv1=false\n",
        );
        assert_eq!(read(&[ours, newer], config).0, Some(false));
    }
}
