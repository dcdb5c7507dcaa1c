//! What the user asks for.

use ansible_module::defaults::number;
use cluster::{Kubectl, Taint, check_program, k3s_kubectl};
use host::Host;
use serde::Deserialize;
use std::time::Duration;

/// The options; see `node_taint.yml` for their words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub nodes: Vec<String>,
    pub state: Wanted,
    pub key: String,
    /// None: any value will do.
    pub value: Option<String>,
    pub effect: Effect,
    pub force: bool,
    pub kubectl: Vec<String>,
    pub request_timeout: Duration,
    pub lock_timeout: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    #[default]
    Present,
    Absent,
}

/// What evicts is not among them: that is a drain's work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Effect {
    #[default]
    NoSchedule,
    PreferNoSchedule,
}

impl Effect {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
        }
    }
}

impl Params {
    pub(crate) fn kubectl<'a>(&'a self, host: &'a dyn Host) -> Kubectl<'a> {
        Kubectl {
            host,
            program: &self.kubectl,
            request_timeout: self.request_timeout,
        }
    }

    /// The taint to set.
    pub(crate) fn taint(&self) -> Taint {
        Taint {
            key: self.key.clone(),
            value: self.value.clone().unwrap_or_default(),
            effect: self.effect.word().to_owned(),
            ..Taint::default()
        }
    }

    /// Whether a taint is the one meant: a node has one of each key and effect.
    pub(crate) fn means(&self, taint: &Taint) -> bool {
        taint.key == self.key && taint.effect == self.effect.word()
    }

    /// Whether its value is the desired one too.
    pub(crate) fn has_value(&self, taint: &Taint) -> bool {
        self.value.as_ref().is_none_or(|value| *value == taint.value)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    nodes: Vec<String>,
    #[serde(default)]
    state: Wanted,
    #[serde(default = "control_plane")]
    key: String,
    value: Option<String>,
    #[serde(default)]
    effect: Effect,
    #[serde(default)]
    force: bool,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
    #[serde(default = "number::<10, _>")]
    request_timeout: u32,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
}

fn control_plane() -> String {
    "node-role.kubernetes.io/control-plane".to_owned()
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        check(&options)?;
        Ok(Self {
            vmid: options.vmid,
            nodes: options.nodes.iter().map(|name| name.to_lowercase()).collect(),
            state: options.state,
            key: options.key,
            value: options.value,
            effect: options.effect,
            force: options.force,
            kubectl: options.kubectl,
            request_timeout: Duration::from_secs(options.request_timeout.into()),
            lock_timeout: options.lock_timeout,
        })
    }
}

fn check(options: &Options) -> Result<(), String> {
    if options.nodes.is_empty() {
        return Err("nodes: there is none".to_owned());
    }
    // They become arguments of kubectl.
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let is_name =
        |name: &&String| name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(letter);
    if let Some(name) = options.nodes.iter().find(|name| !is_name(name)) {
        return Err(format!(
            "nodes: {name:?} cannot be the name of a node (letters, digits, - and .)"
        ));
    }
    let word = |c: char| letter(c) || c == '_';
    if !is_key(&options.key, word) {
        return Err(format!(
            "key: {:?} cannot be the key of a taint (as in node-role.kubernetes.io/control-plane)",
            options.key
        ));
    }
    if let Some(value) = &options.value
        && !value.chars().all(word)
    {
        return Err(format!(
            "value: {value:?} cannot be the value of a taint (letters, digits, -, _ and .)"
        ));
    }
    check_program(&options.kubectl)?;
    if options.request_timeout == 0 {
        return Err("request_timeout: must be at least 1 second".to_owned());
    }
    Ok(())
}

/// `name` or `domain/name`.
fn is_key(key: &str, letter: impl Fn(char) -> bool) -> bool {
    let part = |part: &str| !part.is_empty() && part.chars().all(&letter);
    match key.split_once('/') {
        Some((domain, name)) => part(domain) && part(name),
        None => part(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::options;
    use serde_json::json;

    #[test]
    fn nodes_are_enough() {
        let params: Params = options(json!({"nodes": ["K3s-Controller-1"]})).unwrap();
        assert_eq!(params.nodes, ["k3s-controller-1"]);
        assert_eq!(
            params.taint().to_string(),
            "node-role.kubernetes.io/control-plane:NoSchedule"
        );
        assert_eq!(params.state, Wanted::Present);
    }

    #[test]
    fn waits_for_the_lock_up_to_its_timeout() {
        use ansible_module::{Module as _, Target};
        let params = options(json!({"pct_id": 101, "lock_timeout": 5})).unwrap();
        let expected = Target {
            vmid: Some(101),
            lock_timeout: Some(5),
        };
        assert_eq!(crate::NodeTaint::target(&params), expected);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let table = [
            (json!({"nodes": []}), "nodes: "),
            (json!({"nodes": ["a b"]}), "nodes: "),
            (json!({"nodes": ["--all"]}), "nodes: "),
            (json!({"key": ""}), "key: "),
            (json!({"key": "a/b/c"}), "key: "),
            (json!({"key": "a b"}), "key: "),
            (json!({"value": "a b"}), "value: "),
            (json!({"effect": "NoExecute"}), "unknown variant"),
            (json!({"kubectl": []}), "kubectl: "),
            (json!({"request_timeout": 0}), "request_timeout: "),
        ];
        for (more, start) in table {
            let error = options(more.clone()).unwrap_err();
            assert!(error.contains(start), "{more}: {error}");
        }
    }
}
