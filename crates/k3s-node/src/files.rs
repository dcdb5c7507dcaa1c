//! The files that a node's k3s is started with: what systemd reads for its unit, and what its settings name.

use crate::node_settings::NodeSettings;
use crate::shared::Said;
use crate::unit::{self, Unit};
use crate::units::UnitFiles;
use k3s_types::Role;

/// The settings that name a file which k3s reads, by flag and variable.
const NAME_A_FILE: [(&str, &str); 6] = [
    ("token-file", "K3S_TOKEN_FILE"),
    ("agent-token-file", "K3S_AGENT_TOKEN_FILE"),
    ("private-registry", ""),
    ("vpn-auth-file", "K3S_VPN_AUTH_FILE"),
    ("image-credential-provider-config", ""),
    ("etcd-s3-endpoint-ca", ""),
];

/// The flags that pass an argument on to a component of Kubernetes.
const COMPONENTS: [&str; 6] = [
    "kube-apiserver-arg",
    "kube-controller-manager-arg",
    "kube-scheduler-arg",
    "kube-cloud-controller-manager-arg",
    "kubelet-arg",
    "kube-proxy-arg",
];

/// The arguments of components that name a file (of the kubelet, a folder too) without which they do not start. Those
/// that name a log or a certificate of k3s's own are not among them.
const CONFIGURE: [&str; 14] = [
    "admission-control-config-file",
    "audit-policy-file",
    "audit-webhook-config-file",
    "authentication-config",
    "authentication-token-webhook-config-file",
    "authorization-config",
    "authorization-policy-file",
    "authorization-webhook-config-file",
    "config",
    "config-dir",
    "encryption-provider-config",
    "oidc-ca-file",
    "token-auth-file",
    "tracing-config-file",
];

impl NodeSettings {
    /// Full paths of files, and of folders that hold nothing else, each once. Not all of them have to be there.
    pub fn files(&self, role: Role) -> Vec<String> {
        let mut files = of_config(&self.config_path);
        files.extend(of_unit(&self.units[&role]));
        let settings = self.settings();
        let named = NAME_A_FILE.iter();
        files.extend(named.filter_map(|(flag, variable)| Some(settings.given(&[flag], variable)?.value)));
        let said = Said {
            args: settings.args,
            config: settings.config,
        };
        files.extend(COMPONENTS.iter().flat_map(|flag| of_component(&said.every(flag))));
        let mut once = Vec::new();
        for file in files {
            // A relative one is meant from a folder that only the running k3s has.
            if file.starts_with('/') && !once.contains(&file) {
                once.push(file);
            }
        }
        once
    }
}

fn of_config(path: &str) -> Vec<String> {
    vec![path.to_owned(), format!("{path}.d")]
}

/// As k3s takes such an argument apart: with hyphens before its name or without, and with a sign after it that adds to what
/// k3s itself would pass.
fn of_component(arguments: &[String]) -> Vec<String> {
    let named = arguments.iter().filter_map(|argument| {
        let (name, path) = argument.strip_prefix("--").unwrap_or(argument).split_once('=')?;
        CONFIGURE
            .contains(&name.trim_end_matches(['-', '+']))
            .then_some(path)
    });
    named.map(str::to_owned).collect()
}

/// Itself, its drop-ins and its variables, wherever they are.
fn of_unit(files: &UnitFiles) -> Vec<String> {
    let Some(text) = &files.text else {
        return Vec::new();
    };
    let name = &files.name;
    let stem = name.strip_suffix(".service").unwrap_or(name);
    let path = unit::path(name);
    let drop_ins = files.drop_ins.iter().map(|(_, text)| text);
    let variables = [text]
        .into_iter()
        .chain(drop_ins)
        .flat_map(|text| Unit::parse(text).environment_files(name));
    let mut found = vec![path.clone(), unit::env_path(name), format!("{path}.d")];
    found.extend([format!("/etc/default/{stem}"), format!("/etc/sysconfig/{stem}")]);
    found.extend(variables);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;
    use std::fmt::Write as _;

    fn files(config: &str, frames: &[(&str, &str)]) -> Vec<String> {
        let mut text = String::new();
        for (name, content) in [("hostname", "n1"), ("end", "")].iter().chain(frames) {
            let _ = write!(text, "@{name} {}\n{content}\n", content.len());
        }
        let facts = Facts::parse(text.as_bytes()).unwrap();
        NodeSettings::read(&facts, config).unwrap().files(Role::Server)
    }

    const USUAL: &str = "/etc/rancher/k3s/config.yaml";

    #[test]
    fn a_unit_is_followed_with_its_drop_ins_and_variables_wherever_they_are() {
        let unit = "[Service]\nEnvironmentFile=-/etc/default/%N\nEnvironmentFile=/opt/k3s/node.env\n\
                    ExecStart=/usr/local/bin/k3s server --config /etc/attic/k3s.yaml\n";
        let drop_in = "[Service]\nEnvironmentFile=-/etc/attic/more.env\n";
        let found = files(
            "/etc/attic/k3s.yaml",
            &[
                ("unit:k3s-node.service", unit),
                (
                    "dropin:k3s-node.service:/etc/systemd/system/k3s-node.service.d/10.conf",
                    drop_in,
                ),
            ],
        );
        assert_eq!(
            found,
            [
                "/etc/attic/k3s.yaml",
                "/etc/attic/k3s.yaml.d",
                "/etc/systemd/system/k3s-node.service",
                "/etc/systemd/system/k3s-node.service.env",
                "/etc/systemd/system/k3s-node.service.d",
                "/etc/default/k3s-node",
                "/etc/sysconfig/k3s-node",
                "/opt/k3s/node.env",
                "/etc/attic/more.env",
            ]
        );
    }

    #[test]
    fn files_that_settings_name_are_followed() {
        let unit = "[Service]\nEnvironment=K3S_AGENT_TOKEN_FILE=/srv/agent-token\n\
                    ExecStart=/usr/local/bin/k3s server --token-file=/srv/token --vpn-auth-file vpn.txt\n";
        let config = "private-registry: /srv/registries.yaml\n";
        let found = files(
            USUAL,
            &[
                ("unit:k3s.service", unit),
                ("config:/etc/rancher/k3s/config.yaml", config),
            ],
        );
        assert_eq!(
            found[7..],
            ["/srv/token", "/srv/agent-token", "/srv/registries.yaml"]
        );
    }

    #[test]
    fn files_that_components_are_started_with_are_followed_and_their_logs_are_not() {
        let unit = "[Service]\nExecStart=/usr/local/bin/k3s server --kube-apiserver-arg=audit-policy-file=/srv/audit.yaml \
                    --kube-apiserver-arg audit-log-path=/srv/audit.log\n";
        let config = "kube-apiserver-arg: [--admission-control-config-file+=/srv/psa.yaml]\n\
                      kubelet-arg: [config=/srv/kubelet.yaml, v=2]\n";
        let found = files(
            USUAL,
            &[
                ("unit:k3s.service", unit),
                ("config:/etc/rancher/k3s/config.yaml", config),
            ],
        );
        assert_eq!(
            found[7..],
            ["/srv/psa.yaml", "/srv/audit.yaml", "/srv/kubelet.yaml"]
        );
    }

    #[test]
    fn without_a_unit_there_is_the_configuration_alone() {
        assert_eq!(files(USUAL, &[]), [USUAL.to_owned(), format!("{USUAL}.d")]);
    }
}
