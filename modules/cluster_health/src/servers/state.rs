//! What the module asks itself: each server's API at the address of its Node.

use cluster::Node;
use k3s_node::Config;
use k3s_node::shared::{Said, Shared};
use std::collections::BTreeMap;

/// etcd's default.
const USUAL_QUOTA: u64 = 2 * 1024 * 1024 * 1024;
const USUAL_PORT: &str = "6443";
const ARGS: &str = "k3s.io/node-args";

/// The servers' APIs, each asked at the address of its Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apis {
    /// Where the requests were sent from.
    pub(crate) asked_from: String,
    /// Why the Nodes could not be read.
    pub(crate) nodes_unknown: Option<String>,
    /// By the server's name in the inventory; none where its Node has no address.
    pub(crate) servers: BTreeMap<String, Api>,
}

impl Apis {
    pub(crate) fn unknown(asked_from: &str, why: String) -> Self {
        Self {
            asked_from: asked_from.to_owned(),
            nodes_unknown: Some(why),
            servers: BTreeMap::new(),
        }
    }
}

/// What a server's API answered at the address of its Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Api {
    pub(crate) address: String,
    /// Why it is not ready; none if it is.
    pub(crate) not_ready: Option<String>,
    pub(crate) version: Option<String>,
    /// The limit of etcd's database there in bytes; none: no limit.
    pub(crate) quota: Option<u64>,
    /// The settings that all servers must share, as k3s runs with them; none if its Node has no arguments.
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

impl From<&Node> for ServerNode {
    fn from(node: &Node) -> Self {
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
        (&serde_json::from_value::<Node>(node).unwrap()).into()
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
