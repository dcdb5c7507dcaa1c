//! What is asked here: the cluster's Nodes, and each server's API at its own address.

use cluster::Node;
use k3s_node::Config;
use k3s_node::shared::{Said, Shared};
use std::collections::BTreeMap;

/// What etcd takes where nobody says.
const USUAL_QUOTA: u64 = 2 * 1024 * 1024 * 1024;
const USUAL_PORT: &str = "6443";
const ARGS: &str = "k3s.io/node-args";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Where was asked.
    pub(crate) place: String,
    /// Why the Nodes are not known.
    pub(crate) nodes_unknown: Option<String>,
    /// By the server's name in the inventory; none where its Node is not known.
    pub(crate) servers: BTreeMap<String, Api>,
}

/// A server's API, as it is at the address of its Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Api {
    pub(crate) address: String,
    /// Why it does not say that it is ready, where it does not.
    pub(crate) not_ready: Option<String>,
    pub(crate) version: Option<String>,
    /// Bytes that etcd's database may have there; none: no limit.
    pub(crate) quota: Option<u64>,
    /// What has to be the same on all servers, as it runs; none where its Node does not tell.
    pub(crate) settings: Option<Shared>,
}

/// What is read of a server's Node.
#[derive(Debug)]
pub(crate) struct ServerNode {
    pub(crate) name: String,
    /// Address and port of its API.
    pub(crate) address: Option<String>,
    pub(crate) quota: Option<u64>,
    pub(crate) settings: Option<Shared>,
}

impl From<Node> for ServerNode {
    fn from(node: Node) -> Self {
        // k3s notes there what it was started with, its configuration files included.
        let args = node.annotations.get(ARGS);
        let args: Vec<String> = args
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let port = values(&args, "https-listen-port").next_back();
        let port = port.as_deref().unwrap_or(USUAL_PORT);
        Self {
            address: node.internal_ips().next().map(|address| with_port(address, port)),
            quota: quota(&args),
            settings: (!args.is_empty()).then(|| settings(&args)),
            name: node.name.clone(),
        }
    }
}

fn with_port(address: &str, port: &str) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

/// The values of a flag: in the annotation each is the word after it.
fn values<'a>(args: &'a [String], name: &'a str) -> impl DoubleEndedIterator<Item = String> + 'a {
    let is_flag = move |word: &String| word.trim_start_matches('-') == name && word.starts_with("--");
    let pairs = args.windows(2).filter(move |pair| is_flag(&pair[0]));
    pairs.map(|pair| pair[1].clone())
}

/// There `--flag=value` is two words too; a value is never a flag.
fn settings(args: &[String]) -> Shared {
    let mut joined: Vec<String> = Vec::new();
    for word in args {
        match joined.last_mut() {
            Some(flag) if flag.starts_with("--") && !flag.contains('=') && !word.starts_with('-') => {
                flag.push('=');
                flag.push_str(word);
            }
            _ => joined.push(word.clone()),
        }
    }
    let said = Said {
        args: &joined,
        config: &Config::default(),
    };
    said.effective()
}

fn quota(args: &[String]) -> Option<u64> {
    let given: Vec<String> = values(args, "etcd-arg").collect();
    let given = given
        .iter()
        .filter_map(|arg| arg.trim_start_matches('-').strip_prefix("quota-backend-bytes="))
        .next_back();
    match given.map(str::parse::<i64>) {
        Some(Ok(bytes)) if bytes < 0 => None,
        Some(Ok(bytes)) if bytes > 0 => u64::try_from(bytes).ok(),
        _ => Some(USUAL_QUOTA),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(args: Value, addresses: Value) -> ServerNode {
        let annotations = json!({ARGS: args.to_string()});
        let node = json!({"metadata": {"name": "n1", "annotations": annotations}, "status": {"addresses": addresses}});
        serde_json::from_value::<Node>(node).unwrap().into()
    }

    #[test]
    fn the_address_has_the_servers_own_port() {
        let internal = |address: &str| json!([{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": address}]);
        let table = [
            (json!(["server"]), internal("10.0.0.1"), Some("10.0.0.1:6443")),
            (
                json!(["server", "--https-listen-port", "7443", "--token", "********"]),
                internal("10.0.0.1"),
                Some("10.0.0.1:7443"),
            ),
            (json!(["server"]), internal("fd00::1"), Some("[fd00::1]:6443")),
            (json!(["server"]), Value::Null, None),
            (json!("no list"), internal("10.0.0.1"), Some("10.0.0.1:6443")),
        ];
        for (args, addresses, expected) in table {
            assert_eq!(
                node(args.clone(), addresses).address.as_deref(),
                expected,
                "{args}"
            );
        }
    }

    #[test]
    fn the_quota_is_the_last_that_is_given() {
        let table = [
            (json!(["server"]), Some(USUAL_QUOTA)),
            (
                json!([
                    "server",
                    "--etcd-arg",
                    "quota-backend-bytes=1",
                    "--etcd-arg",
                    "--quota-backend-bytes=4096"
                ]),
                Some(4096),
            ),
            (json!(["server", "--etcd-arg", "quota-backend-bytes=-1"]), None),
            (
                json!(["server", "--etcd-arg", "quota-backend-bytes=0"]),
                Some(USUAL_QUOTA),
            ),
            (
                json!(["server", "--etcd-arg", "snapshot-count=5"]),
                Some(USUAL_QUOTA),
            ),
        ];
        for (args, expected) in table {
            assert_eq!(node(args.clone(), Value::Null).quota, expected, "{args}");
        }
    }

    #[test]
    fn settings_are_as_they_run() {
        let of = |args: Value| node(args, Value::Null).settings;
        let usual = of(json!(["server"])).unwrap();
        assert_eq!(usual["flannel-backend"], ["vxlan"]);
        let spelled = json!([
            "server",
            "--embedded-registry",
            "false",
            "--flannel-backend",
            "vxlan",
            "--cluster-init"
        ]);
        assert_eq!(of(spelled).unwrap(), usual);
        let other = of(json!(["server", "--secrets-encryption", "--disable", "traefik"])).unwrap();
        assert_eq!(other["secrets-encryption"], ["true"]);
        assert_eq!(other["disable"], ["traefik"]);
        assert_eq!(of(json!("no list")), None);
    }
}
