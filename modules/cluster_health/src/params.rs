//! What the user asks for.

use crate::baseline::Baseline;
use crate::ignore::{Ignore, Rule};
use crate::servers::Given;
use ansible_module::defaults::number;
use cluster::{Kubectl, check_program, k3s_kubectl};
use host::Host;
use k3s_types::K3sVersion;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

const DAY: u32 = 24 * 60 * 60;

/// The options; see `cluster_health.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub kubectl: Vec<String>,
    /// The node's own settings say it, where it is not given; its data folder too.
    pub service: Option<String>,
    pub baseline: Baseline,
    pub ignore: Ignore,
    pub fail_on: FailOn,
    pub wait: Duration,
    pub limits: Limits,
    pub expect: Expected,
    pub scope: Scope,
    /// What the servers have answered, to be compared.
    pub servers: Option<Given>,
    /// The nodes that are judged, with the pods on them; none: the cluster.
    pub only_nodes: Vec<String>,
    pub request_timeout: Duration,
    pub data_dir: Option<String>,
}

/// From when on something is trouble.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub pending: Duration,
    pub terminating: Duration,
    pub not_ready: Duration,
    /// How long a crash counts as recent.
    pub restart_window: Duration,
    /// How long before its end a certificate is a trouble.
    pub certificates: Duration,
}

/// What the caller expects of the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    pub nodes: Vec<String>,
    pub version: Option<K3sVersion>,
    pub same_version: bool,
    /// Controllers that have not answered the caller.
    pub unanswered: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailOn {
    #[default]
    Error,
    Warning,
    Never,
}

/// What is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    #[default]
    Cluster,
    /// Only the servers, compared with each other.
    Servers,
}

impl Params {
    pub(crate) fn kubectl<'a>(&'a self, host: &'a dyn Host) -> Kubectl<'a> {
        Kubectl {
            host,
            program: &self.kubectl,
            request_timeout: self.request_timeout,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
    service: Option<String>,
    #[serde(default)]
    baseline: Baseline,
    #[serde(default)]
    ignore: Vec<Rule>,
    #[serde(default)]
    fail_on: FailOn,
    #[serde(default)]
    wait: u32,
    #[serde(default = "number::<300, _>")]
    pending_limit: u32,
    #[serde(default = "number::<300, _>")]
    terminating_limit: u32,
    #[serde(default = "number::<300, _>")]
    not_ready_limit: u32,
    #[serde(default = "number::<600, _>")]
    restart_window: u32,
    #[serde(default = "number::<30, _>")]
    certificate_warn_days: u32,
    #[serde(default)]
    expect_nodes: Vec<String>,
    expect_version: Option<K3sVersion>,
    #[serde(default)]
    same_version: bool,
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    servers: Vec<Value>,
    #[serde(default)]
    snapshot: Map<String, Value>,
    #[serde(default)]
    only_nodes: Vec<String>,
    #[serde(default)]
    unanswered: Vec<String>,
    #[serde(default = "number::<10, _>")]
    request_timeout: u32,
    data_dir: Option<String>,
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        check(&options)?;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Ok(Self {
            vmid: options.vmid,
            kubectl: options.kubectl,
            service: options.service,
            baseline: options.baseline,
            ignore: Ignore::of(options.ignore)?,
            fail_on: options.fail_on,
            wait: seconds(options.wait),
            limits: Limits {
                pending: seconds(options.pending_limit),
                terminating: seconds(options.terminating_limit),
                not_ready: seconds(options.not_ready_limit),
                restart_window: seconds(options.restart_window),
                certificates: seconds(options.certificate_warn_days) * DAY,
            },
            expect: Expected {
                nodes: options.expect_nodes,
                version: options.expect_version,
                same_version: options.same_version,
                unanswered: options.unanswered,
            },
            scope: options.scope,
            servers: (!options.servers.is_empty())
                .then(|| Given::read(options.servers, options.snapshot))
                .transpose()?,
            only_nodes: options.only_nodes,
            request_timeout: seconds(options.request_timeout),
            data_dir: options.data_dir,
        })
    }
}

fn check(options: &Options) -> Result<(), String> {
    check_program(&options.kubectl)?;
    // It becomes an argument of systemctl and journalctl.
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':');
    let is_unit =
        |name: &str| name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(letter);
    if let Some(name) = options.service.iter().find(|name| !is_unit(name)) {
        return Err(format!("service: {name:?} cannot be the name of a systemd unit"));
    }
    if let Some(path) = options.data_dir.iter().find(|path| !path.starts_with('/')) {
        return Err(format!("data_dir: {path:?} is not an absolute path"));
    }
    check_servers(options)?;
    let limits = [("request_timeout", options.request_timeout)];
    if let Some((name, _)) = limits.iter().find(|(_, seconds)| *seconds == 0) {
        return Err(format!("{name}: must be at least 1 second"));
    }
    Ok(())
}

fn check_servers(options: &Options) -> Result<(), String> {
    let are_given = !options.servers.is_empty();
    let refusal = match options.scope {
        Scope::Servers if !are_given => {
            "scope: servers are to be checked, and `servers` is empty: give it their answers"
        }
        _ if !are_given && !options.snapshot.is_empty() => {
            "snapshot: it is checked with the servers, and `servers` is empty"
        }
        _ if are_given && options.wait > 0 => {
            "wait: the answers in `servers` do not change by waiting: leave out one of the two"
        }
        _ if are_given && !options.only_nodes.is_empty() => {
            "only_nodes: `servers` are compared with each other, all of them: leave out one of the two"
        }
        _ => return Ok(()),
    };
    Err(refusal.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(options: Value) -> Result<Params, String> {
        serde_json::from_value(options).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_has_to_be_said() {
        let params = read(json!({})).unwrap();
        assert_eq!((params.fail_on, params.wait), (FailOn::Error, Duration::ZERO));
        assert_eq!(params.kubectl, ["k3s", "kubectl"]);
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let table = [
            (json!({"kubectl": []}), "kubectl: "),
            (json!({"service": "-x"}), "service: "),
            (json!({"service": "k3s agent"}), "service: "),
            (json!({"data_dir": "k3s"}), "data_dir: "),
            (json!({"expect_version": "1.31"}), "\"1.31\""),
            (json!({"request_timeout": 0}), "request_timeout: "),
            (json!({"ignore": [{}]}), "ignore: "),
            (json!({"ignore": [{"selector": "a b"}]}), "ignore: "),
            (
                json!({"ignore": [{"namespaces": "demo"}]}),
                "unknown field `namespaces`",
            ),
            (json!({"scope": "servers"}), "scope: "),
            (json!({"snapshot": {"from": "c1"}}), "snapshot: "),
            (
                json!({"servers": [{"host": "c1", "node_name": "n1"}], "wait": 5}),
                "wait: ",
            ),
            (
                json!({"servers": [{"host": "c1", "node_name": "n1"}], "only_nodes": ["n1"]}),
                "only_nodes: ",
            ),
            (
                json!({"servers": [{"host": "c1"}]}),
                "servers: number 1 (c1): missing field `node_name`",
            ),
            (
                json!({"servers": [{"host": "c1", "node_name": "n1"}], "snapshot": {"bytes": "x"}}),
                "snapshot: ",
            ),
            (json!({"baseline": 5}), "baseline: "),
            (json!({"baseline": {"changed": false}}), "baseline: "),
        ];
        for (options, start) in table {
            let error = read(options.clone()).unwrap_err();
            assert!(error.starts_with(start), "{options}: {error}");
        }
    }
}
