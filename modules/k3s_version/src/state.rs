//! What was observed: the target, and what the node says of itself.

use crate::ask::json_start;
use crate::bad_hops::Knowledge;
use crate::node::{Etcd, Node, Proxy};
use crate::params::Params;
use crate::paths::{Paths, arguments};
use crate::questions::{self, ETCD};
use anyhow::{Context, Result, bail};
use host::Host;
use k3s_node::settings::DEFAULT_DATA;
use k3s_node::{Facts, NodeSettings};
use k3s_types::K3sVersion;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use yaml_tree::{Map, Node as Yaml, first_document};

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub location: String,
    pub target: Target,
    pub node: Node,
    pub known: Knowledge,
}

/// The version to arrive at.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub version: K3sVersion,
    /// How a channel named it; `None`: it is pinned.
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

/// Asks the node: in one visit where things are as on most nodes, else in a second one.
pub(crate) fn look(params: &Params, host: &dyn Host) -> Result<Node> {
    let mut at = Paths::usual(params);
    let (mut settings, mut facts) = visit(params, host, &at)?;
    for _ in 0..2 {
        let mut wanted = Paths::of(params, &settings);
        at.node = facts.lossy("asked").unwrap_or_default();
        // k3s has not been started there yet: what it has is where it was.
        if at.data == wanted.data && !is_used(&facts) {
            DEFAULT_DATA.clone_into(&mut wanted.data);
        }
        if wanted == at {
            break;
        }
        at = wanted;
        (settings, facts) = visit(params, host, &at)?;
    }
    if let Some(why) = settings.unreadable() {
        bail!("{}: {why}", host.location());
    }
    read(&facts, &settings, at, &params.binary).with_context(|| host.location())
}

fn visit(params: &Params, host: &dyn Host, at: &Paths) -> Result<(NodeSettings, Facts)> {
    // Two kubeconfigs and etcd, on both loopbacks, may each be asked in vain; the rest is quick.
    let limit = params.timeout * 4 + Duration::from_secs(30);
    let command = questions::all(params, at).command(&params.binary).within(limit);
    let output = host
        .run(&command)?
        .succeed(&host.location(), "checking the node")?;
    let facts = Facts::parse(&output.stdout).with_context(|| host.location())?;
    let settings = NodeSettings::read(&facts, &at.config).with_context(|| host.location())?;
    Ok((settings, facts))
}

fn is_used(facts: &Facts) -> bool {
    ["server", "agent"]
        .iter()
        .any(|part| facts.lossy(&format!("data:{part}")).is_some())
}

fn read(facts: &Facts, settings: &NodeSettings, at: Paths, binary: &str) -> Result<Node> {
    let text = |name: &str| facts.lossy(name).unwrap_or_default();
    let mut node = Node {
        name: at.node,
        kubeconfig: at.kubeconfig.clone(),
        arguments: arguments(settings),
        cgroup_v1: !facts.has("cgroup-v2"),
        kubelet_fails_on_cgroup_v1: kubelet_fails_on_cgroup_v1(facts, &at.data),
        proxy: proxy(facts, settings),
        etcd: Etcd {
            member: facts.has("etcd"),
            version: ETCD.iter().find_map(|(name, _)| etcd_version(&text(name))),
        },
        ..Node::default()
    };
    let Some(version) = facts.lossy("version") else {
        node.silence = Some("k3s is not installed".to_owned());
        return Ok(node);
    };
    node.data_dir = Some(at.data.clone());
    node.agentless = !settings.settings().has_agent();
    let version = K3sVersion::from_version_output(&version);
    node.installed = Some(version.with_context(|| format!("asking {binary} --version"))?);
    let kubeconfigs = questions::kubeconfigs(&at.data, &at.kubeconfig);
    let said = answered(facts, &kubeconfigs);
    match said.as_deref().map(running) {
        Some(Ok(version)) => node.running = Some(version),
        Some(Err(error)) => node.silence = Some(format!("{error:#}")),
        None if node.agentless => {
            node.silence = Some(
                "this server runs no kubelet (disable-agent): it has no Node to read that from".to_owned(),
            );
        }
        None => node.silence = Some(silence(facts, &kubeconfigs)),
    }
    Ok(node)
}

/// The node as one of the kubeconfigs brought it.
fn answered(facts: &Facts, kubeconfigs: &[String]) -> Option<String> {
    let mut names = kubeconfigs.iter().map(|file| format!("node:{file}"));
    let name = names.find(|name| facts.has(name) && facts.status(name) == 0)?;
    facts.lossy(&name)
}

/// Before its last word kubectl logs each of its tries, in lines that say the same.
fn silence(facts: &Facts, kubeconfigs: &[String]) -> String {
    let mut said = kubeconfigs
        .iter()
        .filter_map(|file| facts.lossy(&format!("node:{file}")));
    let last = said.find_map(|text| text.lines().last().map(str::to_owned));
    last.unwrap_or_else(|| "this node has no kubeconfig of k3s".to_owned())
}

/// The one line of etcd's metrics that is handed over: `etcd_server_version{server_version="3.5.25"} 1`.
fn etcd_version(text: &str) -> Option<String> {
    let rest = text.split_once("server_version=\"")?.1;
    Some(rest.split_once('"')?.0.to_owned())
}

/// What the kubelet's own files say; the last one wins. k3s copies a file and a folder that are named by an argument in
/// among the others, so what it has copied earlier does not count.
fn kubelet_fails_on_cgroup_v1(facts: &Facts, data: &str) -> Option<bool> {
    let copies = format!("{data}/agent/etc/kubelet.conf.d");
    let named_file = facts.lossy("kubelet-file");
    let mut named_folder = facts.below("kubelet-folder:");
    let is_copy = |path: &String| {
        (named_file.is_some() && *path == format!("{copies}/10-cli-config.conf"))
            || (!named_folder.is_empty() && path.starts_with(&format!("{copies}/20-cli-config-dir/")))
    };
    let mut own = facts.below("kubelet:");
    own.retain(|(path, _)| !is_copy(path));
    own.sort();
    named_folder.sort();
    let texts = named_folder.into_iter().chain(own).map(|(_, text)| text);
    let said = named_file.into_iter().chain(texts);
    said.filter_map(|text| map(&text)?.text("failCgroupV1")?.parse().ok())
        .next_back()
}

fn proxy(facts: &Facts, settings: &NodeSettings) -> Proxy {
    let file = facts.lossy("proxy-file").and_then(|text| map(&text));
    let per_core = file.and_then(|file| file.get("conntrack")?.as_map()?.text("maxPerCore")?.parse().ok());
    Proxy {
        off: settings.settings().is_on("disable-kube-proxy"),
        max_per_core_in_file: per_core,
        conntrack_max: facts.lossy("conntrack-max").and_then(|limit| limit.parse().ok()),
        may_set_conntrack_max: facts.lossy("conntrack-writable").is_some(),
    }
}

/// A file of a component's configuration; one that is not a YAML dictionary is skipped.
fn map(text: &str) -> Option<Map> {
    match first_document(text) {
        Ok(Some(Yaml::Map(map))) => Some(map),
        _ => None,
    }
}

/// The kubelet's version, of the node as JSON. Before it a new k3s may report that it unpacks itself, and kubectl may warn
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
    let start = json_start(text).unwrap_or(0);
    let mut objects = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Object>();
    let object = objects.next().context("it is empty").and_then(|read| Ok(read?));
    let object = object.context("reading the node's kubeletVersion")?;
    Ok(object.status.node_info.kubelet_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_running_versions_of_mixed_nodes() {
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
}
