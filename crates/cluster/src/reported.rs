//! What `kubectl get node NAME lease -o json` prints: the most that a kubelet may read of itself.

use crate::lease::Lease;
use crate::node::Node;
use crate::object::ApiVersion;
use k3s_types::K3sVersion;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::time::SystemTime;

/// A node as its kubelet last reported it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The version of the kubelet that last spoke to the API.
    pub running: Option<K3sVersion>,
    pub internal_ips: Vec<IpAddr>,
    pub ready: bool,
    /// Why it is Ready or not, in the kubelet's words.
    pub ready_message: String,
    /// Condition `EtcdIsVoter`; none if the Node has none.
    pub voter: Option<bool>,
    /// The machine that last spoke for it.
    pub machine_id: Option<String>,
    /// When its Lease was last renewed, in seconds since 1970. The Node itself is Ready for 40 s after its death.
    pub renewed: Option<u64>,
}

/// A list, or the one object that was found.
#[derive(Deserialize)]
struct Printed {
    #[serde(default)]
    items: Vec<serde_json::Value>,
    #[serde(flatten)]
    object: serde_json::Value,
}

impl Reported {
    /// `None`: no such node, or no answer. Around the JSON may be lines that a new k3s logs while it unpacks itself.
    pub fn parse(text: &str) -> Option<Self> {
        let Printed { mut items, object } = json_in(text)?;
        items.push(object);
        let of_kind = |kind: &str| items.iter().find(|item| item["kind"] == kind).cloned();
        let node: Node = serde_json::from_value(of_kind("Node")?).ok()?;
        let lease = of_kind("Lease").and_then(|lease| serde_json::from_value(lease).ok());
        Some(Self::of(&node, lease.as_ref()))
    }

    fn of(node: &Node, lease: Option<&Lease>) -> Self {
        let ready = node.condition("Ready");
        let renewed = lease.and_then(|lease| lease.renewed).map(SystemTime::from);
        let since_1970 = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).ok();
        Self {
            running: node.kubelet_version.parse().ok(),
            internal_ips: node.internal_ips().filter_map(|ip| ip.parse().ok()).collect(),
            ready: node.is_ready(),
            ready_message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            voter: node.condition("EtcdIsVoter").map(crate::Condition::is_true),
            machine_id: Some(node.machine_id.clone()).filter(|id| !id.is_empty()),
            renewed: renewed.and_then(since_1970).map(|at| at.as_secs()),
        }
    }
}

/// The version in what `kubectl get --raw /version` printed, of the API server itself.
pub fn api_version(text: &str) -> Option<K3sVersion> {
    json_in::<ApiVersion>(text)?.git_version.parse().ok()
}

/// The first JSON object that begins a line.
fn json_in<T: DeserializeOwned>(text: &str) -> Option<T> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
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
        let node = Reported::parse(BOTH).unwrap();
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
            Reported::parse(&node.to_string()).unwrap()
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
        let node =
            Reported::parse(r#"{"kind":"Node","status":{"nodeInfo":{"kubeletVersion":"v1.36.3+k3s1"}}}"#)
                .unwrap();
        assert_eq!((node.ready, node.voter, node.renewed), (false, None, None));
    }

    #[test]
    fn ignores_noise_around_the_answer() {
        let noisy = format!(
            "time=\"x\" level=info msg=\"Preparing data dir\"\n{BOTH}\nError from server (NotFound): leases\n"
        );
        assert!(Reported::parse(&noisy).is_some());
    }

    #[test]
    fn has_no_node_without_an_answer() {
        for text in [
            "",
            "The connection to the server localhost:8080 was refused",
            "{",
            r#"{"kind":"List","items":[]}"#,
            "{}",
            "[]",
        ] {
            assert_eq!(Reported::parse(text), None, "{text}");
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
