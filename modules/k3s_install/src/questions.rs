//! What is asked of the node, each in one visit: one costs a third of a second through pct.

use crate::record;
use crate::script::folder_of;
use crate::state::Paths;
use k3s_node::probe::{HOSTNAME, Is, Run};
use k3s_node::{FOLDER, Probe, Role, Setup};

/// Where etcd reports whether it is a voter, for versions that set no condition on the node. Where the first range of Services is of IPv6, so is the
/// loopback.
const METRICS: [&str; 2] = ["http://127.0.0.1:2381/metrics", "http://[::1]:2381/metrics"];

/// All that is to be known before anything is decided. `ask`: the API too.
pub(crate) fn all(at: &Paths, ask: bool) -> Probe {
    let probe = binary(sums(Probe::new().units(&at.config), at), at);
    let probe = probe
        .is("data:server/tls", Is::There, &tls(at))
        .is("data:agent/kubelet.kubeconfig", Is::There, &kubelets(at))
        .disk("disk", &[folder_of(&at.binary), &at.data, "/tmp"])
        .kernels("fib-trie", "/proc/net/fib_trie")
        .kernels("if-inet6", "/proc/net/if_inet6")
        .file("record", &format!("{FOLDER}/{}", record::FILE));
    if ask { of_api(probe, at) } else { probe }
}

/// The configuration files; those of variables are among the node's settings.
fn sums(probe: Probe, at: &Paths) -> Probe {
    let folder = format!("{}.d", at.config);
    probe
        .sum("sum", &at.config)
        .sums("sum", &folder, "*.yaml")
        .sums("sum", &folder, "*.yml")
        .sum("sum", "/etc/rancher/k3s/registries.yaml")
}

fn binary(probe: Probe, at: &Paths) -> Probe {
    let folder = folder_of(&at.binary);
    let of_binary = Probe::new()
        .sum("binary-sum", &at.binary)
        .print("binary-changed", &["stat", "-c", "%Z", &at.binary]);
    let script = format!("{FOLDER}/install.sh");
    let source = Probe::new().file("script-source", &format!("{script}.source"));
    let probe = ["kubectl", "crictl", "ctr"].iter().fold(probe, |probe, name| {
        probe.is(&format!("link:{name}"), Is::Link, &format!("{folder}/{name}"))
    });
    probe
        .when(Is::Executable, &at.binary, &of_binary)
        .when(Is::File, &script, &source)
        .names("staged", Is::File, folder, ".k3s-*.staged")
        .file("images-source", &format!("{FOLDER}/images.source"))
        .names("image", Is::File, &format!("{}/agent/images", at.data), "*")
}

/// The node is asked about as a server where there is one, else as the kubelet, else by whatever kubectl finds: which role it has
/// is known only afterwards.
fn of_api(probe: Probe, at: &Paths) -> Probe {
    let node = if at.node.is_empty() { HOSTNAME } else { &at.node };
    let probe = probe.print("asked", &["printf", "%s", node]);
    let probe = probe.first(&[
        Probe::new().when(Is::There, &tls(at), &node_of(at, Role::Server)),
        Probe::new().when(Is::There, &kubelets(at), &node_of(at, Role::Agent)),
        node_of(at, Role::Server),
    ]);
    // A server that runs no kubelet has no node, but an API that reports its version.
    if at.has_agent {
        return probe;
    }
    probe.when(Is::There, &tls(at), &api_version(at))
}

/// One look at a node that is coming up.
pub(crate) fn look(at: &Paths, setup: &Setup) -> Probe {
    let probe = Probe::new().show("show", &setup.name);
    let probe = if at.has_agent {
        probe.and(&node_of(at, setup.role))
    } else {
        probe
    };
    if setup.role == Role::Agent {
        return probe;
    }
    let probe = probe.and(&kubectl("readyz", at, Role::Server, &["get", "--raw", "/readyz"]));
    let probe = if at.has_agent {
        probe
    } else {
        probe.and(&api_version(at))
    };
    let etcd = format!("{}/server/db/etcd/member", at.data);
    probe.when(
        Is::Folder,
        &etcd,
        &Probe::new().is("etcd", Is::There, &etcd).first(&metrics()),
    )
}

fn metrics() -> Vec<Probe> {
    let ask = |argv: &[&str]| {
        let run = Run {
            argv,
            shown: "/^etcd_server_is_learner /p",
            ..Run::default()
        };
        Probe::new().run("etcd", &run)
    };
    let both = |url| {
        [
            ask(&["curl", "-fsS", "--max-time", "5", url]),
            ask(&["wget", "-qO", "-", "-T", "5", url]),
        ]
    };
    METRICS.into_iter().flat_map(both).collect()
}

fn node_of(at: &Paths, role: Role) -> Probe {
    let node = if at.node.is_empty() { HOSTNAME } else { &at.node };
    let [node, lease] = ["nodes", "leases.coordination.k8s.io"].map(|kind| format!("{kind}/{node}"));
    kubectl(
        "node",
        at,
        role,
        &["get", "-n", "kube-node-lease", "-o", "json", &node, &lease],
    )
}

fn api_version(at: &Paths) -> Probe {
    kubectl("api-version", at, Role::Server, &["get", "--raw", "/version"])
}

/// As the node itself: an agent has no other right than its kubelet's.
fn kubectl(name: &str, at: &Paths, role: Role, more: &[&str]) -> Probe {
    let kubelets = kubelets(at);
    let own: &[&str] = match role {
        Role::Server => &[],
        Role::Agent => &["--kubeconfig", &kubelets],
    };
    let argv = [
        &[at.binary.as_str(), "kubectl"],
        own,
        &["--request-timeout=5s"],
        more,
    ]
    .concat();
    let run = Run {
        argv: &argv,
        errors: true,
        ..Run::default()
    };
    Probe::new().run(name, &run)
}

fn tls(at: &Paths) -> String {
    format!("{}/server/tls", at.data)
}

fn kubelets(at: &Paths) -> String {
    format!("{}/agent/kubelet.kubeconfig", at.data)
}
