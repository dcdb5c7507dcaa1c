//! The node as the API has it: what runs, and whether it is alive.

use k3s_node::facts::rfc3339;
use k3s_types::K3sVersion;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// The version of the kubelet that last spoke to the API.
    pub(crate) running: Option<K3sVersion>,
    pub(crate) internal_ips: Vec<IpAddr>,
    pub(crate) ready: bool,
    /// Condition `EtcdIsVoter`; older k3s does not set it.
    pub(crate) voter: Option<bool>,
    /// When its Lease was last renewed: the only sign of life that is seconds old. The node object itself says
    /// `Ready` for 40 s after its death.
    pub(crate) renewed: Option<u64>,
}

#[derive(Deserialize)]
struct Object {
    kind: String,
    #[serde(default)]
    items: Vec<Object>,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    renew_time: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    node_info: BTreeMap<String, serde_json::Value>,
    addresses: Vec<Address>,
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Address {
    r#type: String,
    address: String,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
}

impl Node {
    /// Reads what `kubectl get node lease -o json` printed. Around the JSON may stand what a new k3s logs while
    /// it unpacks itself. `None`: no such node, or no answer.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut whole: Object = json_in(text)?;
        let mut objects = std::mem::take(&mut whole.items);
        objects.push(whole);
        let renewed = objects
            .iter()
            .filter(|object| object.kind == "Lease")
            .find_map(|lease| rfc3339(lease.spec.renew_time.as_deref()?));
        let node = objects.iter().find(|object| object.kind == "Node")?;
        let Status {
            node_info,
            addresses,
            conditions,
        } = &node.status;
        let condition = |name: &str| {
            conditions
                .iter()
                .find(|it| it.r#type == name)
                .map(|it| it.status == "True")
        };
        let internal = addresses.iter().filter(|address| address.r#type == "InternalIP");
        Some(Self {
            running: node_info
                .get("kubeletVersion")
                .and_then(|value| value.as_str()?.parse().ok()),
            internal_ips: internal
                .filter_map(|address| address.address.parse().ok())
                .collect(),
            ready: condition("Ready") == Some(true),
            voter: condition("EtcdIsVoter"),
            renewed,
        })
    }
}

/// The first JSON object that begins a line.
fn json_in<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    let start = if text.starts_with('{') {
        0
    } else {
        text.find("\n{")? + 1
    };
    serde_json::Deserializer::from_str(&text[start..])
        .into_iter::<T>()
        .next()?
        .ok()
}

/// The version in `/version`, of the API server itself.
pub(crate) fn api_version(text: &str) -> Option<K3sVersion> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    json_in::<Version>(text)?.git_version.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = r#"{"apiVersion":"v1","kind":"List","items":[
        {"kind":"Node","metadata":{"name":"n1"},"status":{"nodeInfo":{"kubeletVersion":"v1.21.2+k3s1","bootID":"x"},
         "addresses":[{"type":"InternalIP","address":"10.99.0.101"},{"type":"Hostname","address":"n1"}],
         "conditions":[{"type":"Ready","status":"True"},{"type":"EtcdIsVoter","status":"False"}]}},
        {"kind":"Lease","spec":{"renewTime":"2026-11-22T17:02:29.123456Z"}}]}"#;

    #[test]
    fn node_and_lease_are_read_from_one_answer() {
        let node = Node::parse(BOTH).unwrap();
        assert_eq!(node.running.unwrap().to_string(), "v1.21.2+k3s1");
        assert_eq!(node.internal_ips, ["10.99.0.101".parse::<IpAddr>().unwrap()]);
        assert_eq!(
            (node.ready, node.voter, node.renewed),
            (true, Some(false), Some(1_795_366_949))
        );
    }

    /// What kubectl prints of a node and its Lease, from the recorded lists of both.
    fn printed(nodes: &str, name: &str) -> String {
        let one = |list: &str, kind: &str| {
            let list: serde_json::Value = serde_json::from_str(&testbed::recorded(list)).unwrap();
            let mut items = list["items"].as_array().unwrap().iter();
            let mut object = items.find(|item| item["metadata"]["name"] == name).cloned();
            if let Some(object) = &mut object {
                object["kind"] = kind.into();
            }
            object
        };
        let items = [one(nodes, "Node"), one("k3s-v1.22.5-leases.json", "Lease")];
        let items: Vec<_> = items.into_iter().flatten().collect();
        serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
    }

    #[test]
    fn nodes_of_other_versions() {
        let node = Node::parse(&printed("k3s-v1.22.5-nodes.json", "k3s-controller-1")).unwrap();
        assert_eq!(node.running.unwrap().to_string(), "v1.22.5+k3s1");
        // 2026-11-25T18:09:26.655892Z
        assert_eq!(
            (node.ready, node.voter, node.renewed),
            (true, None, Some(1_795_630_166))
        );
        let new = |name: &str| Node::parse(&printed("by-hand-k3s-v1.36-nodes.json", name)).unwrap();
        let both: Vec<IpAddr> = ["10.0.0.1", "fd00::1"].map(|text| text.parse().unwrap()).into();
        assert_eq!((new("n1").voter, new("n1").internal_ips), (Some(true), both));
        assert_eq!(new("n2").voter, Some(false), "it is a learner");
        assert_eq!(new("n3").running.unwrap().to_string(), "v1.36.3-rc1+k3s1");
        let gone = new("n4");
        assert_eq!((gone.ready, gone.voter, gone.renewed), (false, None, None));
    }

    #[test]
    fn a_node_alone_is_printed_without_a_list() {
        let node = Node::parse(r#"{"kind":"Node","status":{"nodeInfo":{"kubeletVersion":"v1.21.2+k3s1"}}}"#)
            .unwrap();
        assert_eq!((node.ready, node.voter, node.renewed), (false, None, None));
    }

    #[test]
    fn noise_around_the_answer_does_not_matter() {
        let noisy = format!(
            "time=\"x\" level=info msg=\"Preparing data dir\"\n{BOTH}\nError from server (NotFound): leases\n"
        );
        assert!(Node::parse(&noisy).is_some());
    }

    #[test]
    fn no_answer_is_no_node() {
        for text in [
            "",
            "The connection to the server localhost:8080 was refused",
            "{",
            r#"{"kind":"List","items":[]}"#,
            "{}",
            "[]",
        ] {
            assert_eq!(Node::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_api_tells_its_own_version() {
        assert_eq!(
            api_version("{\n \"gitVersion\": \"v1.21.2+k3s1\"}")
                .unwrap()
                .to_string(),
            "v1.21.2+k3s1"
        );
        assert_eq!(api_version("Unauthorized"), None);
    }
}
