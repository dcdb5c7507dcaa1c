//! What the user asks for.

use crate::certificate_report::CertificateReport;
use ansible_module::defaults::{number, yes};
use k3s_certs::Fault;
use k3s_certs::rotation::check_renew_before;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::time::Duration;

/// The options; see `k3s_certificates.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub wanted: Wanted,
    pub vmid: Option<u32>,
    /// The node's own settings say both, where they are not given.
    pub data_dir: Option<String>,
    pub kubeconfig: Option<String>,
    pub paths: Vec<String>,
    pub kubeconfigs: Option<Vec<String>>,
    pub ignore: Vec<String>,
    pub warn_days: u64,
    pub fail_on_expiring: bool,
    pub renew_before: u64,
    pub force: bool,
    pub wait: bool,
    pub timeout: u64,
    pub lock_timeout: u64,
    pub nodes: Vec<Node>,
    pub hosts: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    #[default]
    Listed,
    Rotated,
    Summary,
}

/// One node: its name, and what was registered of its list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Node {
    pub host: String,
    #[serde(default, deserialize_with = "null_is_none")]
    pub seen: Seen,
}

/// A registered answer. It has many more keys; only these are read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// Every task that Ansible came by has it.
    pub(crate) changed: Option<bool>,
    pub(crate) skipped: bool,
    pub(crate) failed: bool,
    pub(crate) unreachable: bool,
    pub(crate) msg: Option<String>,
    pub(crate) certificates: Vec<CertificateReport>,
    pub(crate) unreadable: Vec<Fault>,
    pub(crate) notes: Vec<String>,
}

fn null_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Seen, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    state: Wanted,
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    data_dir: Option<String>,
    kubeconfig: Option<String>,
    paths: Option<Vec<String>>,
    kubeconfigs: Option<Vec<String>>,
    ignore: Option<Vec<String>>,
    // k3s renews within 90 or 120 days of the end, at a restart: a month before, nobody has restarted it for long.
    #[serde(default = "number::<30, _>")]
    warn_days: u64,
    #[serde(default)]
    fail_on_expiring: bool,
    #[serde(default = "number::<30, _>")]
    renew_before: u64,
    #[serde(default)]
    force: bool,
    #[serde(default = "yes")]
    wait: bool,
    #[serde(default = "number::<300, _>")]
    timeout: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
    nodes: Option<Vec<Value>>,
    hosts: Option<Vec<String>>,
}

/// Ten thousand days: no certificate of k3s lasts as long.
const MOST_DAYS: u64 = 10_000;

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        options.check()?;
        let nodes = options.nodes.unwrap_or_default().into_iter().enumerate();
        Ok(Self {
            wanted: options.state,
            vmid: options.vmid,
            data_dir: options
                .data_dir
                .map(|folder| folder.trim_end_matches('/').to_owned()),
            kubeconfig: options.kubeconfig,
            paths: options.paths.unwrap_or_default(),
            kubeconfigs: options.kubeconfigs,
            ignore: options.ignore.unwrap_or_default(),
            warn_days: options.warn_days,
            fail_on_expiring: options.fail_on_expiring,
            renew_before: options.renew_before,
            force: options.force,
            wait: options.wait,
            timeout: options.timeout,
            lock_timeout: options.lock_timeout,
            nodes: nodes.map(node).collect::<Result<_, _>>()?,
            hosts: options.hosts.unwrap_or_default(),
        })
    }
}

fn node((index, value): (usize, Value)) -> Result<Node, String> {
    serde_json::from_value(value).map_err(|error| format!("nodes: number {}: {error}", index + 1))
}

impl Options {
    fn check(&self) -> Result<(), String> {
        let paths = [&self.paths, &self.kubeconfigs].into_iter().flatten().flatten();
        let named = [("data_dir", &self.data_dir), ("kubeconfig", &self.kubeconfig)].into_iter();
        let named = named.filter_map(|(option, path)| Some((option, path.as_ref()?)));
        for (option, path) in named.chain(paths.map(|path| ("paths and kubeconfigs", path))) {
            if !path.starts_with('/') || path.contains('\n') {
                return Err(format!("{option}: {path:?} is not an absolute path"));
            }
        }
        if self.warn_days > MOST_DAYS {
            return Err(format!(
                "warn_days: {} days are more than {MOST_DAYS}",
                self.warn_days
            ));
        }
        check_renew_before(self.renew_before)?;
        let summary = self.state == Wanted::Summary;
        if summary != self.nodes.is_some() {
            return Err("nodes: is what state: summary needs, and no other state".to_owned());
        }
        if !summary && self.hosts.is_some() {
            return Err("hosts: is for state: summary".to_owned());
        }
        if self.state == Wanted::Rotated && self.kubeconfigs.is_some() {
            return Err("kubeconfigs: are read with state: listed; state: rotated renews a node".to_owned());
        }
        for (option, given) in [("force", self.force), ("wait", !self.wait)] {
            if self.state != Wanted::Rotated && given {
                return Err(format!("{option}: is for state: rotated"));
            }
        }
        Ok(())
    }
}

impl Params {
    pub fn warn_window(&self) -> Duration {
        days(self.warn_days)
    }

    pub fn renew_window(&self) -> Duration {
        days(self.renew_before)
    }
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(options: Value) -> String {
        serde_json::from_value::<Params>(options).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (options, reason) in [
            (
                json!({"data_dir": "x"}),
                "data_dir: \"x\" is not an absolute path",
            ),
            (json!({"kubeconfig": "k3s.yaml"}), "kubeconfig: "),
            (json!({"paths": ["/a", "b"]}), "paths and kubeconfigs: \"b\""),
            (
                json!({"kubeconfigs": ["~/.kube/config"]}),
                "paths and kubeconfigs: ",
            ),
            (json!({"paths": ["/a\n/b"]}), "paths and kubeconfigs: "),
            (json!({"warn_days": 10_001}), "warn_days: "),
            (
                json!({"state": "rotated", "renew_before": 365}),
                "renew_before: k3s signs a certificate for 365 days",
            ),
            (json!({"state": "summary"}), "nodes: "),
            (json!({"nodes": []}), "nodes: "),
            (json!({"hosts": []}), "hosts: "),
            (
                json!({"state": "rotated", "kubeconfigs": ["/a"]}),
                "kubeconfigs: ",
            ),
            (json!({"force": true}), "force: "),
            (json!({"wait": false}), "wait: "),
            (
                json!({"state": "summary", "nodes": [{"host": "a"}, {}]}),
                "nodes: number 2: ",
            ),
            (json!({"state": "renewed"}), "unknown variant"),
        ] {
            let error = refused(options.clone());
            assert!(error.starts_with(reason), "{options}: {error}");
        }
    }

    #[test]
    fn a_folder_may_end_with_a_slash() {
        let params: Params = serde_json::from_value(json!({"data_dir": "/data/k3s/"})).unwrap();
        assert_eq!(params.data_dir.as_deref(), Some("/data/k3s"));
    }
}
