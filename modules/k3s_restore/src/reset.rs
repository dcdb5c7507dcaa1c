//! How k3s is run to replace its datastore: as its unit runs it, less what a reset refuses or must not show.

use crate::state::Server;
use anyhow::{Context, Result, bail};
use k3s_node::env_file::Variables;
use server_archive::Datastore;
use yaml_tree::{Format, Map, Node, parse, to_text};

/// What the reset is passed by itself, or refuses: a server to join, and another configuration than the copies. The token
/// comes by a file: no list of processes shows it.
const WITH_VALUE: [&str; 8] = [
    "server",
    "s",
    "token",
    "t",
    "token-file",
    "config",
    "c",
    "cluster-reset-restore-path",
];
/// A snapshot is a local file here, whatever else k3s does with its own.
const SWITCHES: [&str; 2] = ["cluster-reset", "etcd-s3"];
const VARIABLES: [&str; 5] = [
    "K3S_URL",
    "K3S_TOKEN",
    "K3S_TOKEN_FILE",
    "K3S_CONFIG_FILE",
    "K3S_CLUSTER_RESET",
];

pub(crate) struct Reset {
    /// All that follows `k3s server`, except the snapshot.
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Variables,
    /// Copies of the configuration: a file's name below that of the main one (empty for that itself), and its text.
    pub(crate) config: Vec<(String, String)>,
}

pub(crate) fn prepare(server: &Server) -> Result<Reset> {
    let mut arguments = without(&server.launch.args);
    // A server that ran something else so far is not known to run etcd.
    if !server.cluster_init && server.datastore != Some(Datastore::Etcd) {
        arguments.push("--cluster-init".to_owned());
    }
    if server.s3 {
        arguments.push("--etcd-s3=false".to_owned());
    }
    arguments.push("--cluster-reset".to_owned());
    let mut environment = server.launch.environment.clone();
    environment.retain(|name, _| !VARIABLES.contains(&name.as_str()));
    // There has to be a main one: k3s does not pass over a file that it was given.
    let mut config = vec![(String::new(), "{}\n".to_owned())];
    for (number, (path, text)) in server.config.iter().enumerate() {
        if *path == server.config_path {
            config[0].1 = copy(path, text)?;
        } else {
            // Only the order of their names counts.
            config.push((format!("{number:03}.yaml"), copy(path, text)?));
        }
    }
    Ok(Reset {
        arguments,
        environment,
        config,
    })
}

/// The arguments less those flags, in all their spellings.
fn without(arguments: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut rest = arguments.iter().peekable();
    while let Some(word) = rest.next() {
        let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        let (name, inline) = match flag.unwrap_or_default().split_once('=') {
            Some((name, _)) => (name, true),
            None => (flag.unwrap_or_default(), false),
        };
        if WITH_VALUE.contains(&name) {
            if !inline {
                rest.next();
            }
        } else if !SWITCHES.contains(&name) {
            kept.push(word.clone());
        }
    }
    kept
}

/// A configuration file less those keys. Comments are lost, in the copy.
fn copy(path: &str, text: &str) -> Result<String> {
    let mut values = match parse(text).with_context(|| format!("reading {path}"))? {
        None => Map::default(),
        Some(Node::Map(values)) => values,
        Some(_) => bail!("reading {path}: it is not a YAML dictionary"),
    };
    values.retain(|key| {
        let name = key.trim_end_matches('+');
        !WITH_VALUE.contains(&name) && !SWITCHES.contains(&name)
    });
    Ok(to_text(&values, Format::Yaml))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_a_reset_refuses_or_must_not_show_is_left_out_in_every_spelling() {
        let line = "--node-ip 10.0.0.1 --server https://a:6443 --token s3cr3t --disable traefik";
        assert_eq!(
            without(&words(line)),
            words("--node-ip 10.0.0.1 --disable traefik")
        );
        let line = "-s https://a --token=s3cr3t -t s3cr3t --token-file /t --config=/c -c /c --etcd-s3 --cluster-init";
        assert_eq!(without(&words(line)), ["--cluster-init"]);
        let line =
            "--server=https://a:6443 --etcd-s3=true --etcd-s3-bucket b --cluster-reset --tls-san server";
        assert_eq!(
            without(&words(line)),
            words("--etcd-s3-bucket b --tls-san server")
        );
        assert!(without(&[]).is_empty());
    }

    #[test]
    fn the_copies_of_the_configuration_say_the_rest() {
        let text = "# ours\nserver: https://a:6443\ntoken: s3cr3t\ntls-san: [a, b]\nkubelet-arg+: [x=1]\netcd-s3: true\n";
        let copied = copy("/c", text).unwrap();
        assert_eq!(copied, "tls-san:\n- a\n- b\nkubelet-arg+:\n- x=1\n");
        assert_eq!(copy("/c", "").unwrap(), "{}\n");
        // Quoted text, a number or a word of YAML 1.1 is read unchanged.
        let text = "datastore-endpoint: \"123_456\"\nnode-label: ['on', b=c]\nhttps-listen-port: 6443\nprefer-bundled-bin: yes\n";
        let copied = copy("/c", text).unwrap();
        assert_eq!(
            copied,
            "datastore-endpoint: \"123_456\"\nnode-label:\n- \"on\"\n- b=c\nhttps-listen-port: 6443\nprefer-bundled-bin: yes\n"
        );
        let error = copy("/c", "- token: s3cr3t").unwrap_err().to_string();
        assert!(error.contains("/c") && !error.contains("s3cr3t"), "{error}");
    }
}
