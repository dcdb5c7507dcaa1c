//! What was observed: the target, and what the node says of itself.

use crate::bad_hops::{BadHop, Definitions, Questions};
use crate::params::Params;
use anyhow::{Context, Result};
use host::{Command, Host};
use k3s_types::K3sVersion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const LOOK: &str = include_str!("look.sh");
const OBJECTS: &str = include_str!("objects.sh");

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub place: String,
    pub target: Target,
    pub node: Node,
    /// What is known to end badly, to hold the node against.
    pub bad_hops: Vec<BadHop>,
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
    /// Those of the settings asked for that the node has.
    pub settings: Vec<String>,
    pub cgroup_v1: bool,
    pub in_lxc: bool,
    pub etcd: Etcd,
    /// The folder of k3s's data; `None` where k3s is not installed.
    pub data_dir: Option<String>,
    /// Objects of the cluster that the hop would take away, by the release whose definitions they are of.
    pub objects: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Etcd {
    /// Whether the node holds a member's data.
    pub member: bool,
    pub version: Option<String>,
}

impl Node {
    pub fn has_one(&self, settings: &[String]) -> bool {
        self.settings.iter().any(|setting| settings.contains(setting))
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
pub(crate) fn look(params: &Params, questions: &Questions, host: &dyn Host) -> Result<Node> {
    let mark = host.unique();
    let seconds = params.timeout.as_secs().to_string();
    let node = params.node_name.clone().unwrap_or_default();
    let etcd = if questions.etcd { "yes" } else { "no" };
    let mut argv = vec![
        "/bin/sh",
        "-s",
        "--",
        &mark,
        &params.binary,
        &node,
        &seconds,
        etcd,
    ];
    argv.extend(questions.settings.iter().map(String::as_str));
    // Two kubeconfigs and etcd may each be asked in vain; the rest is quick.
    let limit = params.timeout * 3 + Duration::from_secs(30);
    let output = host.run(&Command::new(argv).stdin(LOOK).within(limit))?;
    let text = output.succeed(&host.place(), "looking at the node")?.text();
    read(&text, &mark, &params.binary).with_context(|| host.place())
}

/// The objects of these definitions, of the whole cluster; none where the node is no server.
pub(crate) fn objects(params: &Params, of: &Definitions, host: &dyn Host) -> Result<Vec<String>> {
    let seconds = params.timeout.as_secs().to_string();
    let mut argv = vec![
        "/bin/sh",
        "-s",
        "--",
        &params.binary,
        &seconds,
        &of.release,
        &of.beside,
    ];
    argv.extend(of.kinds.iter().map(String::as_str));
    let limit = params.timeout * 2 + Duration::from_secs(30);
    let output = host.run(&Command::new(argv).stdin(OBJECTS).within(limit))?;
    let doing = format!("looking for objects of the definitions of {}", of.release);
    let text = output.succeed(&host.place(), &doing)?.text();
    Ok(text.lines().map(str::to_owned).collect())
}

fn read(text: &str, mark: &str, binary: &str) -> Result<Node> {
    let parts = parts(text, mark);
    let part = |name: &str| parts.get(name).copied().unwrap_or_default().trim();
    let mut node = Node {
        name: part("node").to_owned(),
        data_dir: Some(part("data").to_owned()).filter(|folder| !folder.is_empty()),
        settings: part("settings").lines().map(str::to_owned).collect(),
        cgroup_v1: part("cgroup") == "v1",
        in_lxc: part("container") == "lxc",
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

    const SERVER: &str = "\nM settings\n\nM cgroup\nv2\n\nM container\nlxc\n\nM node\nk3s-1\n\nM version\nk3s version v1.31.5+k3s1 (56ec5dd4)\ngo version go1.22.10\n\nM data\n/srv/k3s\n\nM running\n";

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
        assert!(node.in_lxc && !node.cgroup_v1 && node.silence.is_none());
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
        assert_eq!(runs("k3s-v1.22.5-nodes.json", 1).unwrap(), "v1.22.5+k3s1");
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
            "\nM settings\n\nM cgroup\nv1\n\nM container\n\nM node\nk3s-1\n\nM missing\n",
            "M",
            "k3s",
        )
        .unwrap();
        assert_eq!((node.installed, node.running), (None, None));
        assert!(node.cgroup_v1 && !node.in_lxc && node.silence.is_some());
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
