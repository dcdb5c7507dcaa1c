//! The flags of `k3s server` and `k3s agent` from v1.30 on, and the first build that has those that came later.
//!
//! Read from `pkg/cli/cmds` in k3s's sources: main where it was at v1.30.0, v1.31.0, v1.32.0, v1.33.1, v1.34.1 and v1.35.0, the release
//! branches of June 2026 (1.33 to 1.36), and main of 2026-07-28, which is on its way to v1.37. No flag has gone in that time.
//! `cargo run -p k3s-node --example k3s_flags -- <folder of k3s's sources>` says what other sources have.

use crate::{K3sVersion, Role};

/// What a k3s makes of a flag in its configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Reads,
    /// Only builds from this one on are known to have it; a release branch may have got it earlier.
    From(&'static str),
    /// The other role has it.
    OtherRole,
    /// No k3s that is known here has it.
    Unknown,
}

/// What k3s makes of a flag, of whose builds the version is one; without a version, what any of them makes of it.
pub fn reading(key: &str, role: Role, version: Option<&K3sVersion>) -> Reading {
    let name = key.strip_suffix('+').unwrap_or(key);
    if !has(name, role) {
        return if has(name, role.other()) {
            Reading::OtherRole
        } else {
            Reading::Unknown
        };
    }
    let later = LATER
        .iter()
        .find(|later| later.name == name && later.role.is_none_or(|only| only == role));
    match (later, version) {
        (Some(later), Some(version)) if (version.minor, version.patch) < later.from() => {
            Reading::From(later.first)
        }
        _ => Reading::Reads,
    }
}

/// Every flag of a role, whenever it came.
pub fn of(role: Role) -> impl Iterator<Item = &'static str> {
    let alone = match role {
        Role::Server => &SERVERS[..],
        Role::Agent => &AGENTS[..],
    };
    BOTH.iter().chain(alone).copied()
}

/// Whether servers or agents have it, whenever it came.
pub(crate) fn is_known(name: &str) -> bool {
    Role::ALL.into_iter().any(|role| has(name, role))
}

fn has(name: &str, role: Role) -> bool {
    of(role).any(|flag| flag == name)
}

/// A flag that v1.30.0 does not have.
struct Later {
    name: &'static str,
    /// The one role that got it later; none: whoever has it.
    role: Option<Role>,
    first: &'static str,
}

impl Later {
    /// Minor and patch of the first build.
    fn from(&self) -> (u32, u32) {
        let mut numbers = self
            .first
            .split('.')
            .skip(1)
            .filter_map(|number| number.parse().ok());
        (
            numbers.next().unwrap_or_default(),
            numbers.next().unwrap_or_default(),
        )
    }
}

const fn later(name: &'static str, first: &'static str) -> Later {
    Later {
        name,
        role: None,
        first,
    }
}

const fn later_for_agents(name: &'static str, first: &'static str) -> Later {
    Later {
        name,
        role: Some(Role::Agent),
        first,
    }
}

const LATER: [Later; 19] = [
    later("apiserver-bind-address", "v1.32.0"),
    later("apiserver-port", "v1.32.0"),
    later_for_agents("bind-address", "v1.31.0"),
    later_for_agents("enable-pprof", "v1.31.0"),
    later("etcd-s3-bucket-lookup-type", "v1.33.1"),
    later("etcd-s3-config-secret", "v1.31.0"),
    later("etcd-s3-proxy", "v1.31.0"),
    later("etcd-s3-retention", "v1.33.4"),
    later("etcd-s3-session-token", "v1.33.0"),
    later("etcd-snapshot-reconcile-interval", "v1.33.0"),
    later("helm-controller-arg", "v1.36.3"),
    later("node-external-dns", "v1.32.0"),
    later("node-internal-dns", "v1.32.0"),
    later("nonroot-devices", "v1.32.0"),
    later("secrets-encryption-provider", "v1.33.0"),
    later("supervisor-metrics", "v1.31.0"),
    later("supervisor-port", "v1.32.0"),
    later("write-kubeconfig-group", "v1.31.0"),
    later("write-kubeconfig-name", "v1.37.0"),
];

/// Of servers and agents, in the order of the alphabet.
const BOTH: [&str; 51] = [
    "airgap-extra-registry",
    "alsologtostderr",
    "bind-address",
    "c",
    "config",
    "container-runtime-endpoint",
    "d",
    "data-dir",
    "debug",
    "default-runtime",
    "disable-default-registry-endpoint",
    "docker",
    "enable-pprof",
    "flannel-cni-conf",
    "flannel-conf",
    "flannel-iface",
    "i",
    "image-credential-provider-bin-dir",
    "image-credential-provider-config",
    "image-service-endpoint",
    "kube-proxy-arg",
    "kubelet-arg",
    "l",
    "lb-server-port",
    "log",
    "node-external-dns",
    "node-external-ip",
    "node-internal-dns",
    "node-ip",
    "node-label",
    "node-name",
    "node-taint",
    "nonroot-devices",
    "pause-image",
    "prefer-bundled-bin",
    "private-registry",
    "protect-kernel-defaults",
    "resolv-conf",
    "rootless",
    "s",
    "selinux",
    "server",
    "snapshotter",
    "t",
    "token",
    "token-file",
    "v",
    "vmodule",
    "vpn-auth",
    "vpn-auth-file",
    "with-node-id",
];

/// Of servers alone. An agent whose file has one does not start.
const SERVERS: [&str; 82] = [
    "advertise-address",
    "advertise-port",
    "agent-token",
    "agent-token-file",
    "apiserver-bind-address",
    "apiserver-port",
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "cluster-init",
    "cluster-reset",
    "cluster-reset-restore-path",
    "datastore-cafile",
    "datastore-certfile",
    "datastore-endpoint",
    "datastore-keyfile",
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
    "etcd-arg",
    "etcd-disable-snapshots",
    "etcd-expose-metrics",
    "etcd-s3",
    "etcd-s3-access-key",
    "etcd-s3-bucket",
    "etcd-s3-bucket-lookup-type",
    "etcd-s3-config-secret",
    "etcd-s3-endpoint",
    "etcd-s3-endpoint-ca",
    "etcd-s3-folder",
    "etcd-s3-insecure",
    "etcd-s3-proxy",
    "etcd-s3-region",
    "etcd-s3-retention",
    "etcd-s3-secret-key",
    "etcd-s3-session-token",
    "etcd-s3-skip-ssl-verify",
    "etcd-s3-timeout",
    "etcd-snapshot-compress",
    "etcd-snapshot-dir",
    "etcd-snapshot-name",
    "etcd-snapshot-reconcile-interval",
    "etcd-snapshot-retention",
    "etcd-snapshot-schedule-cron",
    "flannel-backend",
    "flannel-external-ip",
    "flannel-ipv6-masq",
    "helm-controller-arg",
    "helm-job-image",
    "https-listen-port",
    "kine-tls",
    "kube-apiserver-arg",
    "kube-cloud-controller-arg",
    "kube-cloud-controller-manager-arg",
    "kube-controller-arg",
    "kube-controller-manager-arg",
    "kube-scheduler-arg",
    "o",
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
    "write-kubeconfig",
    "write-kubeconfig-group",
    "write-kubeconfig-mode",
    "write-kubeconfig-name",
];

/// Of agents alone. A server skips it.
const AGENTS: [&str; 1] = ["disable-apiserver-lb"];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(key: &str, role: Role, version: &str) -> Reading {
        reading(key, role, Some(&version.parse().unwrap()))
    }

    #[test]
    fn the_lists_are_in_order_and_no_flag_stands_in_two() {
        assert!(BOTH.is_sorted() && SERVERS.is_sorted());
        for role in Role::ALL {
            let mut flags: Vec<&str> = of(role).collect();
            flags.sort_unstable();
            let count = flags.len();
            flags.dedup();
            assert_eq!(flags.len(), count, "{role}");
        }
        assert!(SERVERS.iter().all(|flag| !AGENTS.contains(flag)));
    }

    #[test]
    fn a_flag_is_of_servers_of_agents_or_of_both() {
        for key in [
            "disable",
            "disable+",
            "tls-san",
            "cluster-init",
            "etcd-s3-secret-key",
            "o",
            "helm-controller-arg",
        ] {
            assert_eq!(reading(key, Role::Server, None), Reading::Reads, "{key}");
            assert_eq!(reading(key, Role::Agent, None), Reading::OtherRole, "{key}");
        }
        for key in [
            "kube-proxy-arg",
            "kubelet-arg+",
            "flannel-iface",
            "server",
            "disable-default-registry-endpoint",
            "t",
        ] {
            for role in Role::ALL {
                assert_eq!(reading(key, role, None), Reading::Reads, "{key}");
            }
        }
        assert_eq!(reading("disable-apiserver-lb", Role::Agent, None), Reading::Reads);
        assert_eq!(
            reading("disable-apiserver-lb", Role::Server, None),
            Reading::OtherRole
        );
        // The first two went before v1.30.
        for key in ["no-deploy", "multi-cluster-cidr", "node-lable", "disable++"] {
            for role in Role::ALL {
                assert_eq!(reading(key, role, None), Reading::Unknown, "{key}");
            }
        }
    }

    #[test]
    fn a_flag_that_came_later_is_read_from_its_first_build_on() {
        for later in &LATER {
            let (minor, patch) = later.from();
            let role = later.role.unwrap_or(if SERVERS.contains(&later.name) {
                Role::Server
            } else {
                Role::Agent
            });
            let first = format!("v1.{minor}.{patch}");
            assert_eq!(first, later.first);
            assert_eq!(
                at(later.name, role, &format!("{first}+k3s1")),
                Reading::Reads,
                "{first}"
            );
            assert_eq!(at(later.name, role, "v1.30.0+k3s1"), Reading::From(later.first));
        }
        assert_eq!(
            at("helm-controller-arg", Role::Server, "v1.36.2+k3s1"),
            Reading::From("v1.36.3")
        );
        assert_eq!(
            at("helm-controller-arg", Role::Server, "v1.37.0+k3s1"),
            Reading::Reads
        );
        assert_eq!(at("bind-address", Role::Server, "v1.30.0+k3s1"), Reading::Reads);
        assert_eq!(
            at("bind-address", Role::Agent, "v1.30.0+k3s1"),
            Reading::From("v1.31.0")
        );
    }
}
