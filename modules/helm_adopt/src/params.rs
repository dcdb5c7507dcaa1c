//! What the user asks for.

use crate::kind::{Kind, Wanted};
use ansible_module::defaults::number;
use cluster::{Chart, Kubectl, Meta, check_program, k3s_kubectl};
use host::Host;
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// The options; see `helm_adopt.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub release: ReleaseId,
    /// Empty: those that the release and the chart's package have.
    pub resources: Vec<Wanted>,
    pub take_from: Vec<ReleaseId>,
    pub failure_policy: FailurePolicy,
    pub balancer_selector: Option<String>,
    pub dest: String,
    pub export_most: u64,
    pub timeout: Duration,
    pub request_timeout: Duration,
    pub lock_timeout: u64,
    pub kubectl: Vec<String>,
}

/// A release of Helm, as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseId {
    pub namespace: String,
    pub name: String,
}

impl ReleaseId {
    pub fn of(meta: &Meta) -> Self {
        Self {
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        }
    }

    pub fn installed_by(chart: &Chart) -> Self {
        Self {
            namespace: chart.target_namespace().to_owned(),
            name: chart.metadata.name.clone(),
        }
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What k3s's controller of charts has to do about a release that has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailurePolicy {
    #[default]
    Abort,
    Retry,
}

impl FailurePolicy {
    pub fn word(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Retry => "retry",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    release: String,
    #[serde(default = "kube_system")]
    namespace: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    take_from: Vec<String>,
    #[serde(default)]
    failure_policy: FailurePolicy,
    balancer_selector: Option<String>,
    #[serde(default = "exports")]
    dest: String,
    #[serde(default = "number::<64, _>")]
    export_max_mb: u64,
    #[serde(default = "number::<600, _>")]
    timeout: u64,
    #[serde(default = "number::<20, _>")]
    request_timeout: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
}

fn kube_system() -> String {
    "kube-system".to_owned()
}

fn exports() -> String {
    "/var/lib/homelab-k3s/exports".to_owned()
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        word("release", &options.release)?;
        word("namespace", &options.namespace)?;
        if !options.dest.starts_with('/') || options.dest.len() == 1 {
            return Err(format!(
                "dest: {} is not an absolute path of a folder",
                options.dest
            ));
        }
        let positive = [
            ("export_max_mb", options.export_max_mb),
            ("timeout", options.timeout),
            ("request_timeout", options.request_timeout),
        ];
        if let Some((option, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{option}: must be at least 1"));
        }
        check_program(&options.kubectl)?;
        if let Some(selector) = &options.balancer_selector {
            cluster::Selector::parse(selector).map_err(|fault| format!("balancer_selector: {fault}"))?;
        }
        Ok(Self {
            vmid: options.vmid,
            release: ReleaseId {
                namespace: options.namespace,
                name: options.release,
            },
            resources: options
                .resources
                .iter()
                .map(|text| resource(text))
                .collect::<Result<_, _>>()?,
            take_from: options
                .take_from
                .iter()
                .map(|text| release(text))
                .collect::<Result<_, _>>()?,
            failure_policy: options.failure_policy,
            balancer_selector: options.balancer_selector,
            dest: options.dest.trim_end_matches('/').to_owned(),
            export_most: options.export_max_mb.saturating_mul(1 << 20),
            timeout: Duration::from_secs(options.timeout),
            request_timeout: Duration::from_secs(options.request_timeout),
            lock_timeout: options.lock_timeout,
            kubectl: options.kubectl,
        })
    }
}

/// What Kubernetes takes for a name. It goes into paths, so nothing else may pass.
fn is_word(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !text.is_empty() && text.len() <= 253 && text.chars().all(letter)
}

fn word(option: &str, text: &str) -> Result<(), String> {
    if is_word(text) {
        return Ok(());
    }
    Err(format!(
        "{option}: {text:?} is not a Kubernetes name: small letters, digits, - and ."
    ))
}

fn resource(text: &str) -> Result<Wanted, String> {
    let parsed = text.split_once('/').and_then(|(kind, name)| {
        is_word(name).then_some(Wanted {
            kind: Kind::parse(kind)?,
            name: name.to_owned(),
        })
    });
    parsed.ok_or_else(|| {
        let kinds = Kind::ALL.map(Kind::name).join(", ");
        format!("resources: {text:?} is not Kind/name with one of the kinds {kinds}")
    })
}

fn release(text: &str) -> Result<ReleaseId, String> {
    let parsed = text
        .split_once('/')
        .filter(|(namespace, name)| is_word(namespace) && is_word(name));
    let (namespace, name) =
        parsed.ok_or_else(|| format!("take_from: {text:?} is not a release: namespace/name is wanted"))?;
    Ok(ReleaseId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refused(more: Value) -> String {
        let mut options = json!({"release": "traefik-crd"});
        for (key, value) in more.as_object().unwrap() {
            options[key] = value.clone();
        }
        serde_json::from_value::<Params>(options).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_option() {
        let cases = [
            (
                json!({"release": "a/b"}),
                "release: \"a/b\" is not a Kubernetes name",
            ),
            (
                json!({"namespace": "../x"}),
                "namespace: \"../x\" is not a Kubernetes name",
            ),
            (
                json!({"resources": ["Pod/x"]}),
                "resources: \"Pod/x\" is not Kind/name",
            ),
            (json!({"resources": ["IngressClass/a b"]}), "resources: "),
            (
                json!({"take_from": ["traefik"]}),
                "take_from: \"traefik\" is not a release",
            ),
            (json!({"dest": "here"}), "dest: here is not an absolute path"),
            (json!({"dest": "/"}), "dest: / is not an absolute path"),
            (json!({"export_max_mb": 0}), "export_max_mb: must be at least 1"),
            (json!({"timeout": 0}), "timeout: must be at least 1"),
            (
                json!({"request_timeout": 0}),
                "request_timeout: must be at least 1",
            ),
            (json!({"kubectl": []}), "kubectl: an empty list"),
            (json!({"balancer_selector": "a b"}), "balancer_selector: "),
            (json!({"failure_policy": "reinstall"}), "unknown variant"),
        ];
        for (options, words) in cases {
            let message = refused(options.clone());
            assert!(message.contains(words), "{options}: {message}");
        }
    }
}
