//! The flags of `k3s server` and `k3s agent`, and their variables.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    Value,
    /// Repeatable.
    List,
}

pub struct Flag {
    pub name: &'static str,
    pub alias: &'static str,
    pub variable: &'static str,
    pub takes: Takes,
    server_only: bool,
}

const fn flag(name: &'static str, takes: Takes) -> Flag {
    Flag {
        name,
        alias: "",
        variable: "",
        takes,
        server_only: false,
    }
}

const fn server(name: &'static str, takes: Takes) -> Flag {
    Flag {
        server_only: true,
        ..flag(name, takes)
    }
}

const fn known(name: &'static str, alias: &'static str, variable: &'static str, takes: Takes) -> Flag {
    Flag {
        alias,
        variable,
        ..flag(name, takes)
    }
}

const fn known_server(name: &'static str, alias: &'static str, variable: &'static str, takes: Takes) -> Flag {
    Flag {
        server_only: true,
        ..known(name, alias, variable, takes)
    }
}

use Takes::{List, Nothing, Value};

/// Of the versions between 1.33 and 1.37 together. Those that the stand-in has no use for are accepted and show in
/// the node's arguments, as everywhere.
pub const FLAGS: &[Flag] = &[
    known("config", "c", "K3S_CONFIG_FILE", Value),
    known("debug", "", "K3S_DEBUG", Nothing),
    flag("v", Value),
    flag("vmodule", Value),
    known("log", "l", "", Value),
    flag("alsologtostderr", Nothing),
    known("data-dir", "d", "K3S_DATA_DIR", Value),
    known("token", "t", "K3S_TOKEN", Value),
    known("token-file", "", "K3S_TOKEN_FILE", Value),
    known("server", "s", "K3S_URL", Value),
    known("node-name", "", "K3S_NODE_NAME", Value),
    flag("with-node-id", Nothing),
    flag("node-label", List),
    flag("node-taint", List),
    known("node-ip", "i", "", List),
    flag("node-external-ip", List),
    flag("node-internal-dns", List),
    flag("node-external-dns", List),
    flag("kubelet-arg", List),
    flag("kube-proxy-arg", List),
    flag("docker", Nothing),
    flag("container-runtime-endpoint", Value),
    flag("default-runtime", Value),
    flag("image-service-endpoint", Value),
    flag("pause-image", Value),
    flag("snapshotter", Value),
    flag("private-registry", Value),
    flag("disable-default-registry-endpoint", Nothing),
    known("resolv-conf", "", "K3S_RESOLV_CONF", Value),
    flag("flannel-iface", Value),
    flag("flannel-conf", Value),
    flag("flannel-cni-conf", Value),
    flag("protect-kernel-defaults", Nothing),
    flag("rootless", Nothing),
    known("selinux", "", "K3S_SELINUX", Nothing),
    known("lb-server-port", "", "K3S_LB_SERVER_PORT", Value),
    flag("prefer-bundled-bin", Nothing),
    flag("image-credential-provider-bin-dir", Value),
    flag("image-credential-provider-config", Value),
    flag("airgap-extra-registry", List),
    flag("nonroot-devices", Nothing),
    flag("disable-apiserver-lb", Nothing),
    flag("enable-pprof", Nothing),
    known("vpn-auth", "", "K3S_VPN_AUTH", Value),
    known("vpn-auth-file", "", "K3S_VPN_AUTH_FILE", Value),
    flag("bind-address", Value),
    server("https-listen-port", Value),
    server("supervisor-port", Value),
    server("apiserver-port", Value),
    server("advertise-address", Value),
    server("advertise-port", Value),
    server("tls-san", List),
    known_server("tls-san-security", "", "", Nothing),
    server("cluster-cidr", List),
    server("service-cidr", List),
    server("service-node-port-range", Value),
    server("cluster-dns", List),
    server("cluster-domain", Value),
    server("flannel-backend", Value),
    server("flannel-ipv6-masq", Nothing),
    server("flannel-external-ip", Nothing),
    server("egress-selector-mode", Value),
    known_server("write-kubeconfig", "o", "K3S_KUBECONFIG_OUTPUT", Value),
    known_server("write-kubeconfig-mode", "", "K3S_KUBECONFIG_MODE", Value),
    known_server("write-kubeconfig-group", "", "K3S_KUBECONFIG_GROUP", Value),
    server("helm-job-image", Value),
    server("kube-apiserver-arg", List),
    server("kube-scheduler-arg", List),
    server("kube-controller-manager-arg", List),
    server("kube-cloud-controller-manager-arg", List),
    server("etcd-arg", List),
    server("helm-controller-arg", List),
    server("kine-tls", Nothing),
    known_server("datastore-endpoint", "", "K3S_DATASTORE_ENDPOINT", Value),
    known_server("datastore-cafile", "", "K3S_DATASTORE_CAFILE", Value),
    known_server("datastore-certfile", "", "K3S_DATASTORE_CERTFILE", Value),
    known_server("datastore-keyfile", "", "K3S_DATASTORE_KEYFILE", Value),
    server("etcd-expose-metrics", Nothing),
    server("etcd-disable-snapshots", Nothing),
    server("etcd-snapshot-name", Value),
    server("etcd-snapshot-schedule-cron", Value),
    server("etcd-snapshot-retention", Value),
    server("etcd-snapshot-reconcile-interval", Value),
    server("etcd-snapshot-dir", Value),
    server("etcd-snapshot-compress", Nothing),
    server("etcd-s3", Nothing),
    server("etcd-s3-endpoint", Value),
    server("etcd-s3-endpoint-ca", Value),
    server("etcd-s3-skip-ssl-verify", Nothing),
    known_server("etcd-s3-access-key", "", "AWS_ACCESS_KEY_ID", Value),
    known_server("etcd-s3-secret-key", "", "AWS_SECRET_ACCESS_KEY", Value),
    known_server("etcd-s3-session-token", "", "AWS_SESSION_TOKEN", Value),
    server("etcd-s3-bucket", Value),
    server("etcd-s3-bucket-lookup-type", Value),
    server("etcd-s3-retention", Value),
    server("etcd-s3-proxy", Value),
    server("etcd-s3-config-secret", Value),
    server("etcd-s3-insecure", Nothing),
    server("etcd-s3-timeout", Value),
    server("etcd-s3-region", Value),
    server("etcd-s3-folder", Value),
    server("default-local-storage-path", Value),
    server("disable", List),
    server("disable-scheduler", Nothing),
    server("disable-cloud-controller", Nothing),
    server("disable-kube-proxy", Nothing),
    server("disable-network-policy", Nothing),
    server("disable-helm-controller", Nothing),
    server("disable-agent", Nothing),
    server("disable-apiserver", Nothing),
    server("disable-controller-manager", Nothing),
    server("disable-etcd", Nothing),
    server("embedded-registry", Nothing),
    server("supervisor-metrics", Nothing),
    known_server("agent-token", "", "K3S_AGENT_TOKEN", Value),
    known_server("agent-token-file", "", "K3S_AGENT_TOKEN_FILE", Value),
    known_server("cluster-init", "", "K3S_CLUSTER_INIT", Nothing),
    known_server("cluster-reset", "", "K3S_CLUSTER_RESET", Nothing),
    server("cluster-reset-restore-path", Value),
    server("secrets-encryption", Nothing),
    server("secrets-encryption-provider", Value),
    server("servicelb-namespace", Value),
    known_server(
        "system-default-registry",
        "",
        "K3S_SYSTEM_DEFAULT_REGISTRY",
        Value,
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    Agent,
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
        }
    }
}

pub fn find(role: Role, name: &str) -> Option<&'static Flag> {
    let flag = FLAGS
        .iter()
        .find(|flag| flag.name == name || !flag.alias.is_empty() && flag.alias == name)?;
    (role == Role::Server || !flag.server_only).then_some(flag)
}
