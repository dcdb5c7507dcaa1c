//! The flags of `k3s server` and `k3s agent`, and their variables.

use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    Value,
    /// Repeatable.
    List,
}

pub struct Flag {
    pub name: &'static str,
    alias: &'static str,
    pub variable: &'static str,
    pub takes: Takes,
    server_only: bool,
}

/// Name, commands, what it takes, alias, variable. Of the versions between 1.33 and 1.37 together. Those that the stand-in has no
/// use for are accepted and show in the node's arguments, as everywhere.
const ROWS: &str = "
    config                            both   value   c K3S_CONFIG_FILE
    debug                             both   nothing - K3S_DEBUG
    v                                 both   value
    vmodule                           both   value
    log                               both   value   l
    alsologtostderr                   both   nothing
    data-dir                          both   value   d K3S_DATA_DIR
    token                             both   value   t K3S_TOKEN
    token-file                        both   value   - K3S_TOKEN_FILE
    server                            both   value   s K3S_URL
    node-name                         both   value   - K3S_NODE_NAME
    with-node-id                      both   nothing
    node-label                        both   list
    node-taint                        both   list
    node-ip                           both   list    i
    node-external-ip                  both   list
    node-internal-dns                 both   list
    node-external-dns                 both   list
    kubelet-arg                       both   list
    kube-proxy-arg                    both   list
    docker                            both   nothing
    container-runtime-endpoint        both   value
    default-runtime                   both   value
    image-service-endpoint            both   value
    pause-image                       both   value
    snapshotter                       both   value
    private-registry                  both   value
    disable-default-registry-endpoint both   nothing
    resolv-conf                       both   value   - K3S_RESOLV_CONF
    flannel-iface                     both   value
    flannel-conf                      both   value
    flannel-cni-conf                  both   value
    protect-kernel-defaults           both   nothing
    rootless                          both   nothing
    selinux                           both   nothing - K3S_SELINUX
    lb-server-port                    both   value   - K3S_LB_SERVER_PORT
    prefer-bundled-bin                both   nothing
    image-credential-provider-bin-dir both   value
    image-credential-provider-config  both   value
    airgap-extra-registry             both   list
    nonroot-devices                   both   nothing
    disable-apiserver-lb              both   nothing
    enable-pprof                      both   nothing
    vpn-auth                          both   value   - K3S_VPN_AUTH
    vpn-auth-file                     both   value   - K3S_VPN_AUTH_FILE
    bind-address                      both   value
    https-listen-port                 server value
    supervisor-port                   server value
    apiserver-port                    server value
    advertise-address                 server value
    advertise-port                    server value
    tls-san                           server list
    tls-san-security                  server nothing
    cluster-cidr                      server list
    service-cidr                      server list
    service-node-port-range           server value
    cluster-dns                       server list
    cluster-domain                    server value
    flannel-backend                   server value
    flannel-ipv6-masq                 server nothing
    flannel-external-ip               server nothing
    egress-selector-mode              server value
    write-kubeconfig                  server value   o K3S_KUBECONFIG_OUTPUT
    write-kubeconfig-mode             server value   - K3S_KUBECONFIG_MODE
    write-kubeconfig-group            server value   - K3S_KUBECONFIG_GROUP
    helm-job-image                    server value
    kube-apiserver-arg                server list
    kube-scheduler-arg                server list
    kube-controller-manager-arg       server list
    kube-cloud-controller-manager-arg server list
    etcd-arg                          server list
    helm-controller-arg               server list
    kine-tls                          server nothing
    datastore-endpoint                server value   - K3S_DATASTORE_ENDPOINT
    datastore-cafile                  server value   - K3S_DATASTORE_CAFILE
    datastore-certfile                server value   - K3S_DATASTORE_CERTFILE
    datastore-keyfile                 server value   - K3S_DATASTORE_KEYFILE
    etcd-expose-metrics               server nothing
    etcd-disable-snapshots            server nothing
    etcd-snapshot-name                server value
    etcd-snapshot-schedule-cron       server value
    etcd-snapshot-retention           server value
    etcd-snapshot-reconcile-interval  server value
    etcd-snapshot-dir                 server value
    etcd-snapshot-compress            server nothing
    etcd-s3                           server nothing
    etcd-s3-endpoint                  server value
    etcd-s3-endpoint-ca               server value
    etcd-s3-skip-ssl-verify           server nothing
    etcd-s3-access-key                server value   - AWS_ACCESS_KEY_ID
    etcd-s3-secret-key                server value   - AWS_SECRET_ACCESS_KEY
    etcd-s3-session-token             server value   - AWS_SESSION_TOKEN
    etcd-s3-bucket                    server value
    etcd-s3-bucket-lookup-type        server value
    etcd-s3-retention                 server value
    etcd-s3-proxy                     server value
    etcd-s3-config-secret             server value
    etcd-s3-insecure                  server nothing
    etcd-s3-timeout                   server value
    etcd-s3-region                    server value
    etcd-s3-folder                    server value
    default-local-storage-path        server value
    disable                           server list
    disable-scheduler                 server nothing
    disable-cloud-controller          server nothing
    disable-kube-proxy                server nothing
    disable-network-policy            server nothing
    disable-helm-controller           server nothing
    disable-agent                     server nothing
    disable-apiserver                 server nothing
    disable-controller-manager        server nothing
    disable-etcd                      server nothing
    embedded-registry                 server nothing
    supervisor-metrics                server nothing
    agent-token                       server value   - K3S_AGENT_TOKEN
    agent-token-file                  server value   - K3S_AGENT_TOKEN_FILE
    cluster-init                      server nothing - K3S_CLUSTER_INIT
    cluster-reset                     server nothing - K3S_CLUSTER_RESET
    cluster-reset-restore-path        server value
    secrets-encryption                server nothing
    secrets-encryption-provider       server value
    servicelb-namespace               server value
    system-default-registry           server value   - K3S_SYSTEM_DEFAULT_REGISTRY
";

pub static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| ROWS.lines().filter_map(flag).collect());

fn flag(row: &'static str) -> Option<Flag> {
    let mut words = row.split_whitespace();
    let (name, commands, takes) = (words.next()?, words.next()?, words.next()?);
    let mut optional = || words.next().filter(|word| *word != "-").unwrap_or_default();
    Some(Flag {
        name,
        server_only: commands == "server",
        takes: match takes {
            "nothing" => Takes::Nothing,
            "list" => Takes::List,
            _ => Takes::Value,
        },
        alias: optional(),
        variable: optional(),
    })
}

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
