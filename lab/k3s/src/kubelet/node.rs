//! The Node object, as recorded.

use crate::clock;
use crate::config::Config;
use crate::config::flags::Role;
use crate::faults;
use crate::json::{items, set, text};
use crate::version::Version;
use serde_json::{Value, json};

/// At its first registration: labels and taints of the flags count now, and never again.
pub fn new(config: &Config, has_etcd: bool) -> Value {
    let mut metadata = metadata(config, has_etcd);
    metadata["name"] = json!(config.node_name);
    for label in config.flags.list("node-label") {
        let (key, value) = label.split_once('=').unwrap_or((&label, ""));
        set(&mut metadata, &["labels", key], json!(value));
    }
    let taints: Vec<Value> = config
        .flags
        .list("node-taint")
        .iter()
        .map(|taint| parse_taint(taint))
        .collect();
    let mut spec = json!({"providerID": format!("k3s://{}", config.node_name)});
    if !taints.is_empty() {
        spec["taints"] = json!(taints);
    }
    json!({"kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": status(config, &Value::Null, false)})
}

/// `key=value:Effect`
fn parse_taint(text: &str) -> Value {
    let (rest, effect) = text.rsplit_once(':').unwrap_or((text, "NoSchedule"));
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    let mut taint = json!({"key": key, "effect": effect});
    if !value.is_empty() {
        taint["value"] = json!(value);
    }
    taint
}

/// What k3s keeps right on every start.
pub fn metadata(config: &Config, has_etcd: bool) -> Value {
    let name = &config.node_name;
    let address = &config.node_ip;
    let mut labels = json!({
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/instance-type": "k3s", "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "k3s",
    });
    let annotations = json!({
        "alpha.kubernetes.io/provided-node-ip": address,
        "k3s.io/hostname": name, "k3s.io/internal-ip": address,
        "k3s.io/node-args": json!(config.node_args()).to_string(),
    });
    if config.role == Role::Server {
        labels["node-role.kubernetes.io/control-plane"] = json!("true");
        // Gone with 1.34.
        if !Version::current().since(34) {
            labels["node-role.kubernetes.io/master"] = json!("true");
        }
        if has_etcd {
            labels["node-role.kubernetes.io/etcd"] = json!("true");
        }
    }
    json!({"labels": labels, "annotations": annotations})
}

pub fn status(config: &Config, old: &Value, ready: bool) -> Value {
    let mut addresses = vec![json!({"type": "InternalIP", "address": config.node_ip})];
    for address in config.flags.list("node-external-ip") {
        addresses.push(json!({"type": "ExternalIP", "address": address}));
    }
    addresses.push(json!({"type": "Hostname", "address": config.node_name}));
    let pods = kubelet_argument(config, "max-pods").unwrap_or_else(|| "110".to_owned());
    let version = Version::current();
    json!({
        "addresses": addresses,
        "capacity": {"cpu": "2", "ephemeral-storage": "264212084Ki", "memory": "24684084Ki", "pods": pods},
        "allocatable": {"cpu": "2", "ephemeral-storage": "257025515114", "memory": "24684084Ki", "pods": pods},
        "conditions": conditions(old, ready),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "architecture": "amd64", "bootID": file("/proc/sys/kernel/random/boot_id"),
            "containerRuntimeVersion": version.container_runtime(),
            "kernelVersion": file("/proc/sys/kernel/osrelease"),
            "kubeProxyVersion": "", "kubeletVersion": version.to_string(),
            "machineID": file("/etc/machine-id"), "operatingSystem": "linux",
            "osImage": os_image(), "systemUUID": file("/etc/machine-id"),
        },
    })
}

/// Type, status, reason and message of a condition: what the kubelet says when it is good, and when it is not.
const CONDITIONS: &str = "
    MemoryPressure False KubeletHasSufficientMemory   kubelet has sufficient memory available
    MemoryPressure True  KubeletHasInsufficientMemory kubelet has insufficient memory available
    DiskPressure   False KubeletHasNoDiskPressure     kubelet has no disk pressure
    DiskPressure   True  KubeletHasDiskPressure       kubelet has disk pressure
    PIDPressure    False KubeletHasSufficientPID      kubelet has sufficient PID available
    PIDPressure    True  KubeletHasInsufficientPID    kubelet has insufficient PID available
    Ready          True  KubeletReady                 kubelet is posting ready status
    Ready          False KubeletNotReady              container runtime network not ready: cni config uninitialized
";

/// k3s reports it only when it is made to.
const NETWORK: &str = "
    NetworkUnavailable False FlannelIsUp   Flannel is running on this node
    NetworkUnavailable True  FlannelIsDown Flannel is not running on this node
";

struct Condition {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

fn condition_from(row: &'static str) -> Option<Condition> {
    let mut words = row.split_whitespace();
    Some(Condition {
        kind: words.next()?,
        status: words.next()?,
        reason: words.next()?,
        message: words.collect::<Vec<_>>().join(" "),
    })
}

fn conditions(old: &Value, ready: bool) -> Vec<Value> {
    let all = reported(ready, &faults::conditions());
    all.iter().map(|condition| stamped(old, condition)).collect()
}

/// What the kubelet says of each condition; a fault of the lab decides before it.
fn reported(ready: bool, forced: &[(String, String)]) -> Vec<Condition> {
    let forced_status = |kind: &str| {
        let found = forced.iter().find(|(forced, _)| forced == kind);
        found.map(|(_, status)| status.as_str())
    };
    let network = forced_status("NetworkUnavailable").map_or("", |_| NETWORK);
    let is_wanted = |condition: &Condition| {
        let usual = if condition.kind == "Ready" && ready {
            "True"
        } else {
            "False"
        };
        forced_status(condition.kind).unwrap_or(usual) == condition.status
    };
    let rows = network
        .lines()
        .chain(CONDITIONS.lines())
        .filter_map(condition_from);
    rows.filter(is_wanted).collect()
}

/// Whether the node says something else than it should.
pub fn is_behind(node: &Value) -> bool {
    let all = reported(true, &faults::conditions());
    all.iter()
        .any(|condition| crate::json::condition(node, condition.kind) != condition.status)
}

fn stamped(old: &Value, condition: &Condition) -> Value {
    let now = clock::seconds();
    let same = |c: &&Value| text(c, "/type") == condition.kind && text(c, "/status") == condition.status;
    let before = items(old, "/status/conditions").iter().find(same);
    let since = before.map(|c| text(c, "/lastTransitionTime").to_owned());
    json!({
        "type": condition.kind, "status": condition.status, "reason": condition.reason, "message": condition.message,
        "lastHeartbeatTime": now, "lastTransitionTime": since.unwrap_or(now),
    })
}

fn kubelet_argument(config: &Config, name: &str) -> Option<String> {
    let arguments = config.flags.list("kubelet-arg");
    let values = arguments
        .iter()
        .filter_map(|a| a.trim_start_matches('-').split_once('='));
    values
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
        .next_back()
}

fn file(path: &str) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn os_image() -> String {
    let release = file("/etc/os-release");
    let line = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.unwrap_or("Linux").trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_decides_over_a_condition() {
        let forced = [("MemoryPressure".to_owned(), "True".to_owned())];
        let reason = |ready, forced: &[(String, String)], kind: &str| {
            let all = reported(ready, forced);
            all.iter()
                .find(|condition| condition.kind == kind)
                .unwrap()
                .reason
        };
        assert_eq!(
            reason(true, &forced, "MemoryPressure"),
            "KubeletHasInsufficientMemory"
        );
        assert_eq!(reason(true, &[], "MemoryPressure"), "KubeletHasSufficientMemory");
        assert_eq!(reason(true, &forced, "Ready"), "KubeletReady");
        assert_eq!(reason(false, &[], "Ready"), "KubeletNotReady");
    }

    #[test]
    fn a_server_is_control_plane_alone() {
        let line = ["--cluster-init".to_owned()];
        let flags = crate::config::line::parse(Role::Server, &line, |_| None).unwrap();
        let config = Config::new(flags, Role::Server).unwrap();
        let labels = metadata(&config, true)["labels"].take();
        let labels = labels.as_object().unwrap();
        let roles: Vec<&String> = labels
            .keys()
            .filter(|key| key.starts_with("node-role."))
            .collect();
        assert_eq!(
            roles,
            [
                "node-role.kubernetes.io/control-plane",
                "node-role.kubernetes.io/etcd"
            ]
        );
    }

    #[test]
    fn taints_are_read_as_kubectl_writes_them() {
        assert_eq!(
            parse_taint("a=b:NoExecute"),
            json!({"key": "a", "value": "b", "effect": "NoExecute"})
        );
        assert_eq!(
            parse_taint("x/y:NoSchedule"),
            json!({"key": "x/y", "effect": "NoSchedule"})
        );
    }
}
