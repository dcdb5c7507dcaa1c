//! What the user asks for.

use ansible_module::defaults::number;
use host::Secret;
use k3s_node::Role;
use k3s_node::flags::{Reading, reading};
use k3s_types::{K3sVersion, mask};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is done about a node on which k3s is installed, and whose files are others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInstalled {
    #[default]
    Leave,
    Write,
}

/// The options; see `k3s_config.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    /// What the node is, or is to become.
    pub role: Option<Role>,
    /// What the drop-in shall say, secrets and all. None: the drop-in is nobody's business here.
    pub config: Option<Map<String, Value>>,
    pub registries: Option<Registries>,
    /// What is to be installed, where k3s is not.
    pub version: Option<K3sVersion>,
    /// Whether a server starts a new cluster.
    pub first_server: bool,
    pub on_installed: OnInstalled,
    pub lock_timeout: u64,
}

/// The registries file: its text, and what it means.
#[derive(Clone, PartialEq)]
pub struct Registries {
    pub text: String,
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registries(…)")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    role: Option<Role>,
    config: Option<Map<String, Value>>,
    #[serde(default)]
    secrets: BTreeMap<String, Secret>,
    registries: Option<Secret>,
    version: Option<K3sVersion>,
    #[serde(default)]
    first_server: bool,
    #[serde(default)]
    on_installed: OnInstalled,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        if let Some(key) = options
            .config
            .iter()
            .flat_map(Map::keys)
            .find(|key| mask::is_secret(key))
        {
            return Err(format!(
                "config: {key} is a secret, and what stands here shows in Ansible's output: give it in secrets"
            ));
        }
        let mut config = options.config;
        for (key, secret) in options.secrets {
            let config = config.get_or_insert_default();
            if config.contains_key(&key) {
                return Err(format!("secrets: {key} stands in config too"));
            }
            config.insert(key, secret.expose().into());
        }
        if let Some(altered) = config
            .iter()
            .flatten()
            .find_map(|(key, value)| altered_number(key, value))
        {
            return Err(altered);
        }
        if let Some(key) = config.iter().flat_map(Map::keys).find(|key| !is_flag(key)) {
            return Err(format!(
                "config: {key:?} is not a flag of k3s: they are written without the -- before them, such as write-kubeconfig-mode"
            ));
        }
        if options.role == Some(Role::Agent)
            && let Some(key) = config
                .iter()
                .flat_map(Map::keys)
                .find(|key| reading(key, Role::Agent, None) == Reading::OtherRole)
        {
            return Err(format!(
                "config: {key} is a flag of servers, and an agent whose file has it does not start: give it to the servers alone"
            ));
        }
        Ok(Self {
            vmid: options.vmid,
            role: options.role,
            config,
            registries: options
                .registries
                .map(|text| registries(text.expose()))
                .transpose()?,
            version: options.version,
            first_server: options.first_server,
            on_installed: options.on_installed,
            lock_timeout: options.lock_timeout,
        })
    }
}

/// The one flag that k3s reads as an octal number.
const MODE: &str = "write-kubeconfig-mode";

/// The flags that k3s reads as a time with its unit. It does not start with a number alone but 0.
const TIMES: [&str; 2] = ["etcd-s3-timeout", "etcd-snapshot-reconcile-interval"];

/// `disable`, and `disable+` which adds to what another file says.
fn is_flag(key: &str) -> bool {
    key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key
            .trim_end_matches('+')
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// What k3s reads from a text, and what YAML makes a number of on the way here: an octal mode, a version, a token.
fn altered_number(key: &str, value: &Value) -> Option<String> {
    let name = key.trim_end_matches('+');
    match value {
        Value::Array(items) => items.iter().find_map(|item| altered_number(key, item)),
        Value::Number(number) if name == MODE => {
            let mode = number.as_u64().unwrap_or_default();
            Some(format!(
                "config: {key}: {number} is a number, and k3s would read the mode 0{number}: write it in quotes{}",
                if mode > 0 {
                    format!(", \"0{mode:o}\" where 0{mode:o} was meant")
                } else {
                    String::new()
                }
            ))
        }
        Value::Number(number) if TIMES.contains(&name) && number.as_u64() != Some(0) => Some(format!(
            "config: {key}: {number} is a number, and k3s reads a time with its unit there: write \"{number}s\" where seconds were meant"
        )),
        Value::Number(number) if number.is_f64() => Some(format!(
            "config: {key}: {number} is a number with a fraction or beyond 64 bits, which may not be what was written: write it in quotes"
        )),
        _ => None,
    }
}

fn registries(text: &str) -> Result<Registries, String> {
    // A parser's message may repeat what it could not read, and a password is in it.
    let value: Value =
        serde_yaml_ng::from_str(text).map_err(|_| "registries: this is not YAML".to_owned())?;
    let Some(keys) = value
        .as_object()
        .map(|map| map.keys().map(String::as_str).collect::<Vec<_>>())
    else {
        return Err("registries: a dictionary was expected".to_owned());
    };
    if let Some(key) = keys
        .iter()
        .find(|key| !matches!(**key, "mirrors" | "configs" | "auths"))
    {
        return Err(format!(
            "registries: k3s reads mirrors and configs there, not {:.120}",
            mask::address(key)
        ));
    }
    Ok(Registries {
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(options: Value) -> Result<Params, String> {
        serde_json::from_value(options).map_err(|error| error.to_string())
    }

    #[test]
    fn refuses_registries_that_k3s_cannot_read_and_repeats_no_password() {
        for (options, said) in [
            (
                json!({"registries": "a: [s3cr3t"}),
                "registries: this is not YAML",
            ),
            (json!({"registries": "- a"}), "registries: a dictionary"),
            (
                json!({"registries": "https://me:s3cr3t@mirror.example: {}"}),
                "registries: k3s reads mirrors and configs there, not https://********@mirror.example",
            ),
            (
                json!({"registries": "mirror: {}"}),
                "registries: k3s reads mirrors and configs there, not mirror",
            ),
        ] {
            let refused = read(options).unwrap_err();
            assert!(refused.contains(said) && !refused.contains("s3cr3t"), "{refused}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (options, said) in [
            (
                json!({"config": {"token": "s3cr3t"}}),
                "config: token is a secret",
            ),
            (
                json!({"config": {"etcd-s3-secret-key": "x"}}),
                "etcd-s3-secret-key is a secret",
            ),
            (
                json!({"config": {"a": 1}, "secrets": {"a": "x"}}),
                "secrets: a stands in config too",
            ),
            (
                json!({"config": {"--disable": "traefik"}}),
                "\"--disable\" is not a flag",
            ),
            (
                json!({"role": "agent", "config": {"disable+": ["traefik"]}}),
                "config: disable+ is a flag of servers",
            ),
            (
                json!({"role": "agent", "config": {"helm-controller-arg": ["default-job-image=x"]}}),
                "config: helm-controller-arg is a flag of servers",
            ),
            (
                json!({"role": "agent", "secrets": {"etcd-s3-secret-key": "s3cr3t"}}),
                "config: etcd-s3-secret-key is a flag of servers",
            ),
            // What 0644 without quotes becomes in YAML 1.1, and what a node's label `version=1.10` would.
            (
                json!({"config": {"write-kubeconfig-mode": 420}}),
                "config: write-kubeconfig-mode: 420 is a number, and k3s would read the mode 0420: write it in quotes, \"0644\" where 0644",
            ),
            (
                json!({"config": {"write-kubeconfig-mode+": [420]}}),
                "write-kubeconfig-mode+: 420 is a number",
            ),
            (
                json!({"config": {"etcd-s3-timeout": 300}}),
                "config: etcd-s3-timeout: 300 is a number, and k3s reads a time with its unit there: write \"300s\"",
            ),
            (
                json!({"config": {"etcd-snapshot-reconcile-interval": 10}}),
                "write \"10s\" where seconds were meant",
            ),
            (
                json!({"config": {"node-name": 1.1}}),
                "config: node-name: 1.1 is a number with a fraction",
            ),
            (
                json!({"config": {"node-label": ["a=b", 1e30]}}),
                "config: node-label: 1e+30 is a number",
            ),
            (json!({"version": "1.36"}), "\"1.36\" is not a version of k3s"),
        ] {
            let refused = read(options).unwrap_err();
            assert!(refused.contains(said) && !refused.contains("s3cr3t"), "{refused}");
        }
    }

    #[test]
    fn a_flag_that_only_speaks_of_secrets_stands_in_config() {
        let config = json!({"secrets-encryption": true, "secrets-encryption-provider": "secretbox",
            "etcd-s3-config-secret": "s3", "token-file": "/t"});
        let params = read(json!({"config": config})).unwrap();
        assert_eq!(Value::from(params.config.unwrap()), config);
    }

    #[test]
    fn a_time_with_its_unit_is_what_k3s_reads() {
        let config = json!({"etcd-s3-timeout": "5m", "etcd-snapshot-reconcile-interval": 0});
        let params = read(json!({"config": config})).unwrap();
        assert_eq!(Value::from(params.config.unwrap()), config);
    }

    #[test]
    fn a_flag_of_servers_is_for_them_and_one_of_both_is_for_both() {
        for role in ["server", "agent"] {
            read(json!({"role": role, "config": {"node-label": ["a=b"]}, "secrets": {"vpn-auth": "x"}}))
                .unwrap();
        }
        read(json!({"role": "server", "config": {"disable": ["traefik"]}})).unwrap();
        // Without a role, options of both are accepted.
        read(json!({"config": {"disable": ["traefik"]}})).unwrap();
    }

    #[test]
    fn secrets_stand_with_the_rest_in_one_file() {
        let params = read(json!({"config": {"disable+": ["traefik"]}, "secrets": {"token": "x"}})).unwrap();
        assert_eq!(
            Value::from(params.config.unwrap()),
            json!({"disable+": ["traefik"], "token": "x"})
        );
        assert_eq!(read(json!({})).unwrap().config, None);
    }
}
