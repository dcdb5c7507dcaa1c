//! Which certificate files belong to which of k3s's services, in the order of its own list, and who signs them.

/// The listener's certificate lies in `dynamic-cert.json`, not in a file of its own.
pub const LISTENER: &str = "k3s-server";

/// A service, whether agents have it too, and its pairs below the data folder, without `.crt` and `.key`.
pub struct Service {
    pub name: &'static str,
    pub on_agents: bool,
    pub stems: &'static [&'static str],
}

const fn server(name: &'static str, stems: &'static [&'static str]) -> Service {
    Service {
        name,
        on_agents: false,
        stems,
    }
}

const fn everywhere(name: &'static str, stems: &'static [&'static str]) -> Service {
    Service {
        name,
        on_agents: true,
        stems,
    }
}

pub const SERVICES: &[Service] = &[
    server("admin", &["server/tls/client-admin"]),
    server(
        "etcd",
        &[
            "server/tls/etcd/client",
            "server/tls/etcd/server-client",
            "server/tls/etcd/peer-server-client",
        ],
    ),
    server(
        "api-server",
        &[
            "server/tls/client-kube-apiserver",
            "server/tls/serving-kube-apiserver",
        ],
    ),
    server(
        "controller-manager",
        &[
            "server/tls/client-controller",
            "server/tls/kube-controller-manager/kube-controller-manager",
        ],
    ),
    server("cloud-controller", &["server/tls/client-k3s-cloud-controller"]),
    server(
        "scheduler",
        &[
            "server/tls/client-scheduler",
            "server/tls/kube-scheduler/kube-scheduler",
        ],
    ),
    server("supervisor", &["server/tls/client-supervisor"]),
    server(LISTENER, &[]),
    everywhere(
        "k3s-controller",
        &["server/tls/client-k3s-controller", "agent/client-k3s-controller"],
    ),
    server("auth-proxy", &["server/tls/client-auth-proxy"]),
    everywhere("kubelet", &["agent/client-kubelet", "agent/serving-kubelet"]),
    everywhere(
        "kube-proxy",
        &["server/tls/client-kube-proxy", "agent/client-kube-proxy"],
    ),
];

/// The file of the authority that signs a pair, below `server/tls`, without `.crt` and `.key`.
pub fn authority(stem: &str) -> &'static str {
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    match name {
        "peer-server-client" => "etcd/peer-ca",
        _ if folder.ends_with("/etcd") => "etcd/server-ca",
        "client-auth-proxy" => "request-header-ca",
        _ if name.starts_with("serving-") || name.starts_with("kube-") => "server-ca",
        _ => "client-ca",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_its_authority() {
        let cases = [
            ("server/tls/client-admin", "client-ca"),
            ("server/tls/client-auth-proxy", "request-header-ca"),
            ("server/tls/serving-kube-apiserver", "server-ca"),
            ("server/tls/kube-scheduler/kube-scheduler", "server-ca"),
            ("server/tls/etcd/client", "etcd/server-ca"),
            ("server/tls/etcd/peer-server-client", "etcd/peer-ca"),
            ("agent/serving-kubelet", "server-ca"),
            ("agent/client-kubelet", "client-ca"),
        ];
        for (stem, wanted) in cases {
            assert_eq!(authority(stem), wanted, "{stem}");
        }
    }
}
