//! What was observed: the target, and what the node says of itself.

use crate::arguments::Arguments;
use crate::bad_hops::{ChartValue, Definitions, Knowledge, Question};
use crate::params::Params;
use anyhow::{Context, Result};
use host::{Command, Host};
use k3s_types::K3sVersion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const LOOK: &str = include_str!("look.sh");
const OBJECTS: &str = include_str!("objects.sh");
const VALUES: &str = include_str!("values.sh");

/// The limit per core that kube-proxy takes where its file names none.
const MAX_PER_CORE: u64 = 32768;

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub place: String,
    pub target: Target,
    pub node: Node,
    pub known: Knowledge,
}

/// The version to arrive at.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub version: K3sVersion,
    /// How a channel told it; `None`: it is pinned.
    pub channel: Option<Evidence>,
    pub warning: Option<String>,
}

/// What a channel answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub name: String,
    pub read_from: ReadFrom,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    Location,
    TagName,
    Listing,
    /// Looked up before, and handed to us.
    Given,
}

/// One node of the cluster, or a place that may become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub installed: Option<K3sVersion>,
    pub running: Option<K3sVersion>,
    /// Why the running version is not known.
    pub silence: Option<String>,
    /// What the operator hands on to components.
    pub arguments: Arguments,
    pub cgroup_v1: bool,
    /// What the kubelet's own files say (`failCgroupV1`).
    pub kubelet_fails_on_cgroup_v1: Option<bool>,
    pub proxy: Proxy,
    pub etcd: Etcd,
    /// The folder of k3s's data; `None` where k3s is not installed.
    pub data_dir: Option<String>,
    /// What the cluster has that a rule is about, by rule.
    pub found: BTreeMap<String, Vec<String>>,
}

/// What decides how kube-proxy fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// Switched off (`disable-kube-proxy`), which only servers have in their files.
    pub off: bool,
    /// What a file that the operator hands on says of the limit per core.
    pub max_per_core_in_file: Option<u64>,
    /// `net.netfilter.nf_conntrack_max`, which is the host's.
    pub conntrack_max: Option<u64>,
    pub may_set_conntrack_max: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Etcd {
    /// Whether the node holds a member's data.
    pub member: bool,
    pub version: Option<String>,
}

impl Node {
    /// An argument goes before what the kubelet's files say.
    pub(crate) fn kubelet_starts_on_cgroup_v1(&self) -> bool {
        match self.arguments.value("kubelet", "fail-cgroupv1") {
            Some(value) => value == "false",
            None => self.kubelet_fails_on_cgroup_v1 == Some(false),
        }
    }

    /// What the operator has kube-proxy ask for, where that is a limit. With a file its arguments do not count.
    fn asked_limit(&self) -> Option<String> {
        let (words, per_core) = if let Some(file) = self.arguments.value("kube-proxy", "config") {
            let per_core = self.proxy.max_per_core_in_file.unwrap_or(MAX_PER_CORE);
            (
                format!("kube-proxy-arg config={file}, whose conntrack.maxPerCore is {per_core},"),
                per_core,
            )
        } else {
            let value = self.arguments.value("kube-proxy", "conntrack-max-per-core")?;
            let words = format!("kube-proxy-arg conntrack-max-per-core={value}");
            (words, value.parse().ok()?)
        };
        (per_core != 0).then_some(words)
    }

    /// Why kube-proxy cannot have the limit that it is to ask for, once it asks for no more than `most`.
    pub(crate) fn conntrack_limit_above(&self, most: u64) -> Option<String> {
        let proxy = &self.proxy;
        if proxy.off || proxy.may_set_conntrack_max {
            return None;
        }
        let limit = match proxy.conntrack_max {
            Some(limit) if limit <= most => return None,
            Some(limit) => format!("is {limit}, above {most}"),
            None => "could not be read".to_owned(),
        };
        let asked = self.asked_limit()?;
        Some(format!(
            "{asked} asks for a limit of connections that may not be set here, and net.netfilter.nf_conntrack_max {limit}"
        ))
    }

    /// The oldest k3s that is at work or about to be: a hop begins there.
    pub fn oldest(&self) -> Option<&K3sVersion> {
        self.running.iter().chain(&self.installed).min()
    }

    pub fn newest(&self) -> Option<&K3sVersion> {
        self.running.iter().chain(&self.installed).max()
    }
}

/// Asks the node, in one visit.
pub(crate) fn look(params: &Params, host: &dyn Host) -> Result<Node> {
    let mark = host.unique();
    let seconds = params.timeout.as_secs().to_string();
    let node = params.node_name.clone().unwrap_or_default();
    let argv = ["/bin/sh", "-s", "--", &mark, &params.binary, &node, &seconds];
    // Two kubeconfigs and etcd may each be asked in vain; the rest is quick.
    let limit = params.timeout * 3 + Duration::from_secs(30);
    let output = host.run(&Command::new(argv).stdin(LOOK).within(limit))?;
    let text = output.succeed(&host.place(), "looking at the node")?.text();
    read(&text, &mark, &params.binary).with_context(|| host.place())
}

/// Asks the cluster, for a rule; none where the node is no server.
pub(crate) fn ask(params: &Params, question: Question, host: &dyn Host) -> Result<(String, Vec<String>)> {
    let (rule, script, words, doing) = match question {
        Question::Objects(rule, of) => (
            rule,
            OBJECTS,
            objects_of(of),
            format!("looking for objects of the definitions of {}", of.release),
        ),
        Question::Value(rule, of) => (
            rule,
            VALUES,
            value_of(of),
            format!("looking at the values of the chart {}", of.chart),
        ),
    };
    let seconds = params.timeout.as_secs().to_string();
    let mut argv = vec!["/bin/sh", "-s", "--", &params.binary, &seconds];
    argv.extend(words);
    let limit = params.timeout * 2 + Duration::from_secs(30);
    let output = host.run(&Command::new(argv).stdin(script).within(limit))?;
    let text = output.succeed(&host.place(), &doing)?.text();
    Ok((rule.to_owned(), text.lines().map(str::to_owned).collect()))
}

fn objects_of(of: &Definitions) -> Vec<&str> {
    let kinds = of.kinds.iter().map(String::as_str);
    [of.release.as_str(), &of.beside]
        .into_iter()
        .chain(kinds)
        .collect()
}

fn value_of(of: &ChartValue) -> Vec<&str> {
    vec![&of.chart, &of.key, &of.unless]
}

fn read(text: &str, mark: &str, binary: &str) -> Result<Node> {
    let parts = parts(text, mark);
    let part = |name: &str| parts.get(name).copied().unwrap_or_default().trim();
    let mut node = Node {
        name: part("node").to_owned(),
        data_dir: Some(part("data").to_owned()).filter(|folder| !folder.is_empty()),
        arguments: Arguments::read(part("arguments")),
        cgroup_v1: part("cgroup") == "v1",
        kubelet_fails_on_cgroup_v1: part("kubelet").parse().ok(),
        proxy: proxy(part("kube-proxy")),
        etcd: Etcd {
            member: parts.contains_key("etcd"),
            version: Some(part("etcd").to_owned()).filter(|version| !version.is_empty()),
        },
        ..Node::default()
    };
    if parts.contains_key("missing") {
        node.silence = Some("k3s is not installed".to_owned());
        return Ok(node);
    }
    let version = K3sVersion::from_version_output(part("version"));
    node.installed = Some(version.with_context(|| format!("asking {binary} --version"))?);
    match running(part("running")) {
        Ok(version) => node.running = Some(version),
        // Before its last word kubectl logs each of its tries, in lines that say the same.
        Err(_) if !part("why").is_empty() => node.silence = part("why").lines().last().map(str::to_owned),
        Err(error) => node.silence = Some(format!("{error:#}")),
    }
    Ok(node)
}

fn proxy(text: &str) -> Proxy {
    let number = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix(name));
        lines.find_map(|value| value.trim().parse().ok())
    };
    let has = |word: &str| text.lines().any(|line| line.trim() == word);
    Proxy {
        off: has("off"),
        max_per_core_in_file: number("max-per-core "),
        conntrack_max: number("nf_conntrack_max "),
        may_set_conntrack_max: has("writable"),
    }
}

/// What stands between the marks, by name.
fn parts<'a>(text: &'a str, mark: &str) -> BTreeMap<&'a str, &'a str> {
    let opening = format!("\n{mark} ");
    let sections = text.split(opening.as_str()).skip(1);
    sections
        .map(|section| section.split_once('\n').unwrap_or((section, "")))
        .collect()
}

/// The kubelet's version, of the node as JSON. Before it a new k3s may tell that it unpacks itself, and kubectl may warn
/// before or after it.
fn running(text: &str) -> Result<K3sVersion> {
    #[derive(Deserialize)]
    struct Object {
        status: Status,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Status {
        node_info: Info,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Info {
        kubelet_version: K3sVersion,
    }
    let start = if text.starts_with('{') {
        0
    } else {
        text.find("\n{").unwrap_or(0)
    };
    let mut objects = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Object>();
    let object = objects.next().context("it is empty").and_then(|read| Ok(read?));
    let object = object.context("reading the node's kubeletVersion")?;
    Ok(object.status.node_info.kubelet_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "\nM arguments\nkubelet-arg fail-cgroupv1=false\n\nM cgroup\nv2\n\nM kubelet\ntrue\n\nM kube-proxy\noff\nmax-per-core 7\nnf_conntrack_max 262144\nwritable\n\nM node\nk3s-1\n\nM version\nk3s version v1.31.5+k3s1 (56ec5dd4)\ngo version go1.22.10\n\nM data\n/srv/k3s\n\nM running\n";

    fn version(text: &str) -> K3sVersion {
        text.parse().unwrap()
    }

    #[test]
    fn a_node_tells_what_is_installed_and_what_runs() {
        let json = "time=\"2026\" level=info msg=\"Preparing data dir {x}\"\n{\"status\": {\"nodeInfo\": {\"kubeletVersion\": \"v1.31.4+k3s1\"}}}\n\nM why\n\n";
        let node = read(&format!("{SERVER}{json}\nM etcd\n3.5.19\n"), "M", "k3s").unwrap();
        assert_eq!(
            (node.installed, node.running),
            (Some(version("v1.31.5+k3s1")), Some(version("v1.31.4+k3s1")))
        );
        assert_eq!(
            node.etcd,
            Etcd {
                member: true,
                version: Some("3.5.19".to_owned())
            }
        );
        assert_eq!(node.arguments.value("kubelet", "fail-cgroupv1"), Some("false"));
        assert_eq!(
            (node.cgroup_v1, node.kubelet_fails_on_cgroup_v1, node.silence),
            (false, Some(true), None)
        );
        assert_eq!(
            node.proxy,
            Proxy {
                off: true,
                max_per_core_in_file: Some(7),
                conntrack_max: Some(262_144),
                may_set_conntrack_max: true,
            }
        );
        assert_eq!(
            (node.name.as_str(), node.data_dir.as_deref()),
            ("k3s-1", Some("/srv/k3s"))
        );
    }

    #[test]
    fn nodes_of_other_versions_tell_what_runs() {
        let runs = |list: &str, number: usize| {
            let list: serde_json::Value = serde_json::from_str(&testbed::recorded(list)).unwrap();
            running(&list["items"][number].to_string()).map(|version| version.to_string())
        };
        assert_eq!(
            runs("by-hand-k3s-v1.36-nodes.json", 2).unwrap(),
            "v1.36.3-rc1+k3s1"
        );
        let dirty = r#"{"status": {"nodeInfo": {"kubeletVersion": "v1.36.3+k3s-866d743e-dirty"}}}"#;
        let warned = format!("Warning: before\n{dirty}\nWarning: after it\n");
        for text in [dirty, &warned] {
            assert_eq!(running(text).unwrap().to_string(), "v1.36.3+k3s-866d743e-dirty");
        }
        assert!(running("").is_err() && running("{\"status\": {").is_err());
    }

    #[test]
    fn what_runs_is_unknown_with_a_reason_where_the_api_is_down() {
        let refused = "\nM why\nE1125 22:23:31.895219     388 memcache.go:265] \"Unhandled Error\" err=\"couldn't get current server API group list\"\nThe connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?\n";
        let node = read(&format!("{SERVER}{refused}"), "M", "k3s").unwrap();
        assert_eq!(node.running, None);
        assert!(node.silence.unwrap().starts_with("The connection to the server"));
    }

    #[test]
    fn a_place_without_k3s_is_no_error() {
        let node = read(
            "\nM arguments\n\nM cgroup\nv1\n\nM kubelet\n\nM kube-proxy\n\nM node\nk3s-1\n\nM missing\n",
            "M",
            "k3s",
        )
        .unwrap();
        assert_eq!((node.installed, node.running), (None, None));
        assert!(node.cgroup_v1 && node.silence.is_some());
        assert_eq!(
            (node.kubelet_fails_on_cgroup_v1, node.proxy),
            (None, Proxy::default())
        );
    }

    #[test]
    fn a_program_that_is_not_k3s_is_an_error_with_its_words() {
        let error = read("\nM version\nSegmentation fault\n", "M", "/opt/k3s").unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("/opt/k3s --version") && text.contains("Segmentation fault"),
            "{text}"
        );
    }
}
