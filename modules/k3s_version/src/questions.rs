//! What is asked of the node, in one visit: entering a container takes a second on a busy Proxmox host.

use crate::params::Params;
use crate::paths::Paths;
use k3s_node::Probe;
use k3s_node::probe::{Below, HOSTNAME, Is, Run};

const CONNTRACK_MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Where etcd reports its version, without TLS: kubectl is client enough for it. Where the first range of Services is of IPv6,
/// so is the loopback.
pub(crate) const ETCD: [(&str, &str); 2] = [
    ("etcd:v4", "http://127.0.0.1:2381"),
    ("etcd:v6", "http://[::1]:2381"),
];

/// More files than anybody configures for a kubelet.
const MOST: u32 = 100;

/// A server's own kubeconfig; an agent has only the kubelet's, with which it may read its own node.
pub(crate) fn kubeconfigs(data: &str, kubeconfig: &str) -> [String; 2] {
    [kubeconfig.to_owned(), format!("{data}/agent/kubelet.kubeconfig")]
}

pub(crate) fn all(params: &Params, at: &Paths) -> Probe {
    let node = if at.node.is_empty() { HOSTNAME } else { &at.node };
    let probe = Probe::new()
        .units(&at.config)
        .is("cgroup-v2", Is::There, "/sys/fs/cgroup/cgroup.controllers")
        .is("data:server", Is::Folder, &format!("{}/server", at.data))
        .is("data:agent", Is::Folder, &format!("{}/agent", at.data))
        .kernels("conntrack-max", CONNTRACK_MAX)
        .is("conntrack-writable", Is::Writable, CONNTRACK_MAX)
        .print("asked", &["printf", "%s", node]);
    of_k3s(files(probe, at), params, at, node)
}

/// What the kubelet and kube-proxy are given as files.
fn files(probe: Probe, at: &Paths) -> Probe {
    let file = |probe: Probe, name, path: &str| match path {
        "" => probe,
        path => probe.file(name, path),
    };
    let folder = |probe: Probe, name, path: &str| match path {
        "" => probe,
        folder => probe.below(
            name,
            &Below {
                folder,
                depth: 100,
                most: MOST,
                patterns: &["*.conf"],
                shown: "",
            },
        ),
    };
    let probe = file(probe, "kubelet-file", &at.kubelet_file);
    let probe = file(probe, "proxy-file", &at.proxy_file);
    let probe = folder(probe, "kubelet-folder", &at.kubelet_folder);
    folder(probe, "kubelet", &format!("{}/agent/etc/kubelet.conf.d", at.data))
}

fn of_k3s(probe: Probe, params: &Params, at: &Paths, node: &str) -> Probe {
    let binary = params.binary.as_str();
    let seconds = format!("{}s", params.timeout.as_secs());
    let kubectl = [binary, "kubectl", "--request-timeout", &seconds];
    let run = |name: &str, more: &[&str], errors, shown| {
        let argv = &[&kubectl, more].concat();
        Probe::new().run(
            name,
            &Run {
                argv,
                errors,
                shown,
                stdin: "",
            },
        )
    };
    let nodes = kubeconfigs(&at.data, &at.kubeconfig).map(|file| {
        // Raw: what asks for the API's groups first asks five times, so that an API which is away takes five limits.
        let path = format!("/api/v1/nodes/{node}");
        let get = ["--kubeconfig", &file, "get", "--raw", &path];
        let ask = run(&format!("node:{file}"), &get, true, "");
        Probe::new().when(Is::There, &file, &ask)
    });
    let etcd = ETCD.map(|(name, url)| {
        let get = [
            "--kubeconfig",
            "/dev/null",
            "--server",
            url,
            "get",
            "--raw",
            "/metrics",
        ];
        run(name, &get, false, "/^etcd_server_version{/p")
    });
    let member = Probe::new().is("etcd", Is::There, "/").first(&etcd);
    let version = Run {
        argv: &[binary, "--version"],
        errors: true,
        ..Run::default()
    };
    let wal = format!("{}/server/db/etcd/member/wal", at.data);
    probe
        .run("version", &version)
        .first(&nodes)
        .when(Is::Folder, &wal, &member)
}
