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
    /// Why it is Ready or not, in the kubelet's words.
    pub(crate) ready_message: String,
    /// Condition `EtcdIsVoter`; nothing where the Node has none.
    pub(crate) voter: Option<bool>,
    /// The machine that last spoke for it.
    pub(crate) machine_id: Option<String>,
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
    #[serde(default)]
    message: String,
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
        let condition = |name: &str| conditions.iter().find(|it| it.r#type == name);
        let is_true = |it: &Condition| it.status == "True";
        let ready = condition("Ready");
        let text = |key: &str| node_info.get(key)?.as_str().map(str::to_owned);
        let internal = addresses.iter().filter(|address| address.r#type == "InternalIP");
        Some(Self {
            running: text("kubeletVersion").and_then(|version| version.parse().ok()),
            machine_id: text("machineID").filter(|id| !id.is_empty()),
            internal_ips: internal
                .filter_map(|address| address.address.parse().ok())
                .collect(),
            ready: ready.is_some_and(is_true),
            ready_message: ready.map(|it| it.message.clone()).unwrap_or_default(),
            voter: condition("EtcdIsVoter").map(is_true),
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

    /// As a server of v1.36.3+k3s1 has it, cut to what is read.
    const BOTH: &str = r#"{"apiVersion":"v1","kind":"List","items":[
        {"kind":"Node","metadata":{"name":"n1"},"status":{"nodeInfo":{"kubeletVersion":"v1.36.3+k3s1","bootID":"x"},
         "addresses":[{"type":"InternalIP","address":"10.99.0.101"},{"type":"Hostname","address":"n1"}],
         "conditions":[
          {"type":"EtcdIsVoter","status":"False","reason":"MemberIsLearner","message":"Node has not been promoted to voting member of the etcd cluster"},
          {"type":"MemoryPressure","status":"False","reason":"KubeletHasSufficientMemory","message":"kubelet has sufficient memory available"},
          {"type":"Ready","status":"True","reason":"KubeletReady","message":"kubelet is posting ready status",
           "lastHeartbeatTime":"2026-11-29T08:46:03Z","lastTransitionTime":"2026-11-29T08:45:01Z"}]}},
        {"kind":"Lease","spec":{"renewTime":"2026-11-22T17:02:29.123456Z"}}]}"#;

    #[test]
    fn reads_node_and_lease_from_one_answer() {
        let node = Node::parse(BOTH).unwrap();
        assert_eq!(node.running.unwrap().to_string(), "v1.36.3+k3s1");
        assert_eq!(node.internal_ips, ["10.99.0.101".parse::<IpAddr>().unwrap()]);
        assert_eq!(
            (node.ready, node.voter, node.renewed),
            (true, Some(false), Some(1_795_366_949))
        );
        assert_eq!(node.ready_message, "kubelet is posting ready status");
    }

    #[test]
    fn reads_nodes_of_a_cluster_with_both_address_families() {
        let list: serde_json::Value =
            serde_json::from_str(&testbed::recorded("by-hand-k3s-v1.36-nodes.json")).unwrap();
        let read = |name: &str| {
            let mut items = list["items"].as_array().unwrap().iter();
            let mut node = items.find(|it| it["metadata"]["name"] == name).unwrap().clone();
            node["kind"] = "Node".into();
            Node::parse(&node.to_string()).unwrap()
        };
        let both: Vec<IpAddr> = ["10.0.0.1", "fd00::1"].map(|text| text.parse().unwrap()).into();
        assert_eq!((read("n1").voter, read("n1").internal_ips), (Some(true), both));
        assert_eq!(read("n2").voter, Some(false), "it is a learner");
        assert_eq!(read("n3").running.unwrap().to_string(), "v1.36.3-rc1+k3s1");
        let dead = read("n4");
        assert_eq!((dead.ready, dead.voter, dead.renewed), (false, None, None));
    }

    #[test]
    fn reads_a_node_without_a_lease_which_is_printed_without_a_list() {
        let node = Node::parse(r#"{"kind":"Node","status":{"nodeInfo":{"kubeletVersion":"v1.36.3+k3s1"}}}"#)
            .unwrap();
        assert_eq!((node.ready, node.voter, node.renewed), (false, None, None));
    }

    #[test]
    fn ignores_noise_around_the_answer() {
        let noisy = format!(
            "time=\"x\" level=info msg=\"Preparing data dir\"\n{BOTH}\nError from server (NotFound): leases\n"
        );
        assert!(Node::parse(&noisy).is_some());
    }

    #[test]
    fn takes_no_answer_for_no_node() {
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
    fn reads_the_version_of_the_api_server() {
        assert_eq!(
            api_version("{\n \"gitVersion\": \"v1.36.3+k3s1\"}")
                .unwrap()
                .to_string(),
            "v1.36.3+k3s1"
        );
        assert_eq!(api_version("Unauthorized"), None);
    }
}
