//! The cluster's Nodes, as far as they tell of members.

use crate::state::{Node, Nodes};
use anyhow::{Context, Result, ensure};
use host::{Command, Host, LocalHost};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Where the API server is away the comparison has to do without it, and must not be kept waiting.
const REQUEST_TIMEOUT: &str = "--request-timeout=10s";
/// The request, and the start of kubectl on a busy node.
const LIMIT: Duration = Duration::from_secs(20);
const MEMBER: &str = "etcd.k3s.cattle.io/node-name";
const ADDRESS: &str = "etcd.k3s.cattle.io/node-address";
const ROLE: &str = "node-role.kubernetes.io/etcd";
/// Enough of a fault to act on.
const SAID: usize = 300;

#[derive(Deserialize)]
struct List {
    items: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    addresses: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    r#type: String,
    address: String,
}

/// A raw path needs no discovery, whose cache is stale for a while after an upgrade.
pub(super) fn read(kubectl: &[String]) -> Nodes {
    let arguments = ["get", "--raw", "/api/v1/nodes", REQUEST_TIMEOUT];
    let words = kubectl.iter().map(String::as_str).chain(arguments);
    let host = LocalHost::new();
    let read = host.run(&Command::new(words).within(LIMIT)).and_then(|output| {
        ensure!(!output.truncated, "the list is too long");
        parse(&output.succeed("this node", "kubectl")?.stdout)
    });
    read.unwrap_or_else(|error| Nodes::Unknown(format!("{error:#}").chars().take(SAID).collect()))
}

fn parse(json: &[u8]) -> Result<Nodes> {
    let list: List = serde_json::from_slice(json).context("reading the list of Nodes")?;
    Ok(Nodes::Known(list.items.into_iter().map(Node::from).collect()))
}

impl From<Object> for Node {
    fn from(object: Object) -> Self {
        let Metadata {
            name,
            labels,
            mut annotations,
        } = object.metadata;
        let internal = object
            .status
            .addresses
            .into_iter()
            .filter(|address| address.r#type == "InternalIP")
            .map(|address| address.address);
        Self {
            name,
            etcd: labels.get(ROLE).is_some_and(|value| value == "true"),
            member: annotations.remove(MEMBER).unwrap_or_default(),
            addresses: internal.chain(annotations.remove(ADDRESS)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_tells_its_member_and_addresses() {
        let json = include_bytes!("../../tests/recorded/nodes-k3s-1.20.8.json");
        let Nodes::Known(nodes) = parse(json).unwrap() else {
            panic!()
        };
        let told: Vec<_> = nodes
            .iter()
            .map(|node| (node.name.as_str(), node.etcd, node.member.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("n1", true, "n1-2f39e6eb"),
                ("n2", true, "n2-267291fd"),
                ("n3", true, "n3-1b114028"),
                ("n4", false, ""),
            ]
        );
        assert!(nodes[0].addresses.contains(&"10.99.0.2".to_owned()));
    }

    #[test]
    fn a_node_may_have_nothing_to_tell() {
        let node = r#"{"items":[{"metadata":{"name":"n1"}}]}"#;
        let Nodes::Known(nodes) = parse(node.as_bytes()).unwrap() else {
            panic!()
        };
        assert_eq!((nodes[0].etcd, nodes[0].addresses.len()), (false, 0));
    }

    #[test]
    fn nodes_that_cannot_be_read_are_unknown_and_say_why() {
        let why = |kubectl: &[&str]| {
            let kubectl: Vec<String> = kubectl.iter().map(ToString::to_string).collect();
            match read(&kubectl) {
                Nodes::Unknown(why) => why,
                Nodes::Known(nodes) => panic!("{nodes:?}"),
            }
        };
        assert!(why(&["no-such-program"]).contains("no-such-program"));
        let refused = why(&["sh", "-c", "echo connection refused >&2; exit 1"]);
        assert!(refused.contains("connection refused"), "{refused}");
        assert!(why(&["true"]).contains("reading the list of Nodes"));
        assert!(why(&["sh", "-c", "printf '%1000s' x >&2; exit 1"]).len() <= SAID);
    }
}
