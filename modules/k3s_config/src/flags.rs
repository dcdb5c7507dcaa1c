//! Which flags are the servers' alone.

/// Whether an agent would not know it. Seen on v1.22.5, and the same in the sources of 2026: a server skips what it does not know in
/// its files, an agent ends with `flag provided but not defined`. A flag that is not listed here is taken for one of both.
pub(crate) fn of_servers(key: &str) -> bool {
    let flag = key.trim_end_matches('+');
    SERVERS.binary_search(&flag).is_ok() || FAMILIES.iter().any(|family| flag.starts_with(family))
}

/// Beginnings that only flags of servers have.
const FAMILIES: [&str; 8] = [
    "cluster-",
    "datastore-",
    "etcd-",
    "kube-apiserver-",
    "kube-cloud-controller-",
    "kube-controller-",
    "kube-scheduler-",
    "write-kubeconfig",
];

/// In the order of the alphabet.
const SERVERS: [&str; 37] = [
    "advertise-address",
    "advertise-port",
    "agent-token",
    "agent-token-file",
    "apiserver-bind-address",
    "apiserver-port",
    "default-local-storage-path",
    "disable",
    "disable-agent",
    "disable-apiserver",
    "disable-cloud-controller",
    "disable-controller-manager",
    "disable-etcd",
    "disable-helm-controller",
    "disable-kube-proxy",
    "disable-network-policy",
    "disable-scheduler",
    "egress-selector-mode",
    "embedded-registry",
    "flannel-backend",
    "flannel-external-ip",
    "flannel-ipv6-masq",
    "helm-job-image",
    "https-listen-port",
    "kine-tls",
    "multi-cluster-cidr",
    "no-deploy",
    "secrets-encryption",
    "secrets-encryption-provider",
    "service-cidr",
    "service-node-port-range",
    "servicelb-namespace",
    "supervisor-metrics",
    "supervisor-port",
    "system-default-registry",
    "tls-san",
    "tls-san-security",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_each_form_of_a_flag_is_found() {
        assert!(SERVERS.is_sorted());
        for flag in [
            "disable",
            "disable+",
            "tls-san",
            "cluster-init",
            "etcd-s3-secret-key",
            "write-kubeconfig-mode",
        ] {
            assert!(of_servers(flag), "{flag}");
        }
        // Those of agents that look alike.
        for flag in [
            "disable-apiserver-lb",
            "disable-default-registry-endpoint",
            "kube-proxy-arg",
            "flannel-iface",
            "server",
            "cluster",
        ] {
            assert!(!of_servers(flag), "{flag}");
        }
    }
}
