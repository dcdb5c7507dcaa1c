//! The command line of `k3s server` and `k3s agent`: flags, their variables, and what the config files add.

use crate::config::files;
use std::collections::BTreeMap;
use std::path::PathBuf;

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

/// The values by flag name, and the arguments as k3s records them on the Node.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub values: BTreeMap<&'static str, Vec<String>>,
    pub arguments: Vec<String>,
}

/// What k3s prints when it meets a flag that it does not know: the flag's name without its dashes.
#[derive(Debug, PartialEq)]
pub struct Unknown(pub String);

pub fn find(role: Role, name: &str) -> Option<&'static Flag> {
    let flag = FLAGS
        .iter()
        .find(|flag| flag.name == name || !flag.alias.is_empty() && flag.alias == name)?;
    (role == Role::Server || !flag.server_only).then_some(flag)
}

/// Config files first, then the command line over them; variables are asked last, as their flags were.
pub fn parse(
    role: Role,
    line: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Flags, Unknown> {
    let given = read(role, line)?;
    let file = given
        .get("config")
        .and_then(|v| v.last())
        .cloned()
        .or_else(|| variable("K3S_CONFIG_FILE"));
    let file = file.map_or_else(|| crate::paths::etc("rancher/k3s/config.yaml"), PathBuf::from);
    let configured = files::arguments(role, &file);
    let mut values = read(role, &configured)?;
    values.extend(given);
    for flag in FLAGS
        .iter()
        .filter(|flag| !flag.variable.is_empty() && find(role, flag.name).is_some())
    {
        if let Some(value) = variable(flag.variable).filter(|value| !value.is_empty()) {
            values.entry(flag.name).or_insert_with(|| vec![value]);
        }
    }
    let arguments = [vec![role.word().to_owned()], configured, line.to_vec()].concat();
    Ok(Flags { values, arguments })
}

fn read(role: Role, line: &[String]) -> Result<BTreeMap<&'static str, Vec<String>>, Unknown> {
    let mut values: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut words = line.iter();
    while let Some(word) = words.next() {
        let Some(body) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            continue;
        };
        let (name, inline) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let flag = find(role, name).ok_or_else(|| Unknown(name.to_owned()))?;
        let value = match flag.takes {
            Nothing => inline.unwrap_or_else(|| "true".to_owned()),
            Value | List => inline.or_else(|| words.next().cloned()).unwrap_or_default(),
        };
        let list = values.entry(flag.name).or_default();
        if flag.takes != List {
            list.clear();
        }
        list.push(value);
    }
    Ok(values)
}

impl Flags {
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .and_then(|values| values.last())
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    /// Repeated, and separated by commas.
    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.values.get(name).into_iter().flatten();
        values
            .flat_map(|v| v.split(','))
            .map(|v| v.trim().to_owned())
            .filter(|v| !v.is_empty())
            .collect()
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(role: Role, line: &[&str]) -> Result<Flags, Unknown> {
        let line: Vec<String> = line.iter().map(|w| (*w).to_owned()).collect();
        let mut line = line;
        line.extend(["--config".to_owned(), "/nonexistent".to_owned()]);
        parse(role, &line, |name| {
            (name == "K3S_TOKEN").then(|| "from-env".to_owned())
        })
    }

    #[test]
    fn both_spellings_lists_and_variables() {
        let flags = flags(
            Role::Server,
            &[
                "--node-label",
                "a=b",
                "--node-label=c=d",
                "--disable=traefik,coredns",
            ],
        )
        .unwrap();
        assert_eq!(flags.list("node-label"), ["a=b", "c=d"]);
        assert_eq!(flags.list("disable"), ["traefik", "coredns"]);
        assert_eq!(flags.value("token"), Some("from-env"));
    }

    #[test]
    fn a_flag_wins_over_its_variable_and_the_last_one_over_the_first() {
        let flags = flags(Role::Agent, &["-t", "one", "--token=two"]).unwrap();
        assert_eq!(flags.value("token"), Some("two"));
    }

    #[test]
    fn unknown_flags_and_the_servers_flags_on_an_agent_are_refused() {
        assert_eq!(
            flags(Role::Server, &["--nosuchflag"]).unwrap_err(),
            Unknown("nosuchflag".to_owned())
        );
        assert_eq!(
            flags(Role::Agent, &["--cluster-init"]).unwrap_err(),
            Unknown("cluster-init".to_owned())
        );
    }
}
