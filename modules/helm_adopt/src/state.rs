//! What is true of the release, of what it is to own, and of the Job that installs it.

use crate::job::HelmJob;
use crate::kind::{Kind, Wanted};
use crate::params::ReleaseId;
use crate::release::Release;
use cluster::{Chart, Meta, null_is_empty};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// By which Helm finds what belongs to a release.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub(crate) const RELEASE_NAME: &str = "meta.helm.sh/release-name";
pub(crate) const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";
pub(crate) const HELM: &str = "Helm";
/// What k3s's controller of charts does where nobody says otherwise: it deletes the release and all that it made.
pub(crate) const REINSTALL: &str = "reinstall";

#[derive(Clone, Debug, Default)]
pub struct State {
    pub location: String,
    pub chart: Option<Chart>,
    pub config: Option<Config>,
    /// All revisions of all releases.
    pub revisions: Vec<RevisionLine>,
    /// The newest revision of ours.
    pub release: Option<Release>,
    pub job: Option<HelmJob>,
    /// What is to be the release's, if it exists.
    pub found: Vec<Found>,
    /// Definitions that are the release's by the version of one server, and not by that of another.
    pub unclear: Vec<String>,
    pub servers: Vec<String>,
    /// What is saved before anything is changed: more than is claimed, as a reinstall takes all that the release made.
    pub saved: Vec<Saved>,
    /// Custom resources of the claimed definitions, by the definition's name.
    pub counts: BTreeMap<String, u64>,
    /// Services of type `LoadBalancer` that the selector selects, as `namespace/name`.
    pub balancers: Vec<String>,
}

/// A `HelmChartConfig`: what an operator adds to a packaged chart.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Config {
    pub metadata: Meta,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub spec: ConfigSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigSpec {
    #[serde(deserialize_with = "null_is_empty")]
    pub failure_policy: String,
    /// Values in several forms, of which later versions have more.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// What a `HelmChartConfig` was before we set its policy. It is an annotation on it, so that no kill loses it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// There was none.
    pub created: bool,
    /// The policy that it had.
    pub policy: Option<String>,
}

impl Record {
    pub const ANNOTATION: &'static str = "homelab.k3s/helm-adopt";
}

impl Config {
    /// Whether nobody has said anything by it but which policy there is to be.
    pub fn says_nothing_else(&self) -> bool {
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        self.spec.others.values().all(is_empty)
    }

    /// `None`: it is as its owner wants it. A record that cannot be read is still ours.
    pub fn record(&self) -> Option<Record> {
        let text = self.metadata.annotations.get(Record::ANNOTATION)?;
        Some(serde_json::from_str(text).unwrap_or_default())
    }
}

impl State {
    /// What the controller would do about a release that has failed.
    pub fn policy(&self) -> &str {
        let own = self
            .config
            .as_ref()
            .map_or("", |config| &config.spec.failure_policy);
        let charts = self.chart.as_ref().map_or("", |chart| &chart.spec.failure_policy);
        [own, charts]
            .into_iter()
            .find(|policy| !policy.is_empty())
            .unwrap_or(REINSTALL)
    }

    pub fn guard(&self) -> Option<Record> {
        self.config.as_ref().and_then(Config::record)
    }

    pub fn is_deployed(&self) -> bool {
        self.release.as_ref().is_some_and(Release::is_deployed)
    }

    /// The newest revision of a release that is not taken down.
    pub fn live(&self, id: &ReleaseId) -> Option<&RevisionLine> {
        newest(&self.revisions, id).filter(|line| line.status != "uninstalled")
    }
}

/// A Secret of Helm, by its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionLine {
    pub id: ReleaseId,
    pub revision: u32,
    pub status: String,
}

pub(crate) fn newest<'a>(lines: &'a [RevisionLine], id: &ReleaseId) -> Option<&'a RevisionLine> {
    lines
        .iter()
        .filter(|line| line.id == *id)
        .max_by_key(|line| line.revision)
}

/// How kubectl is asked for them: the Secrets hold every value of every release, and stay where they are.
pub(crate) const REVISIONS: &str = r#"k get secrets -A -l owner=helm -o jsonpath='{range .items[*]}{.metadata.namespace}{" "}{.metadata.labels.name}{" "}{.metadata.labels.version}{" "}{.metadata.labels.status}{"\n"}{end}'"#;

/// Lines of what [`REVISIONS`] prints; one that is none of Helm's is passed over.
pub(crate) fn revisions(text: &str) -> Vec<RevisionLine> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [namespace, name, revision, status] = words.as_slice() else {
            return None;
        };
        Some(RevisionLine {
            id: ReleaseId {
                namespace: (*namespace).to_owned(),
                name: (*name).to_owned(),
            },
            revision: revision.parse().ok()?,
            status: (*status).to_owned(),
        })
    };
    text.lines().filter_map(line).collect()
}

/// The three marks of an object by which Helm finds its release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub managed_by: Option<String>,
    pub name: Option<String>,
    pub namespace: Option<String>,
}

impl Marks {
    pub fn of(meta: &Meta) -> Self {
        Self {
            managed_by: meta.labels.get(MANAGED_BY).cloned(),
            name: meta.annotations.get(RELEASE_NAME).cloned(),
            namespace: meta.annotations.get(RELEASE_NAMESPACE).cloned(),
        }
    }

    pub fn wanted(release: &ReleaseId) -> Self {
        Self {
            managed_by: Some(HELM.to_owned()),
            name: Some(release.name.clone()),
            namespace: Some(release.namespace.clone()),
        }
    }

    /// The release that they name. Half a name is nobody's.
    pub fn owner(&self) -> Option<ReleaseId> {
        Some(ReleaseId {
            namespace: self.namespace.clone()?,
            name: self.name.clone()?,
        })
    }
}

/// An object that is to be the release's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub wanted: Wanted,
    pub marks: Marks,
}

/// What an export holds of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The path of the object itself.
    pub object: String,
    /// For a definition, that of its resources.
    pub resources: Option<String>,
}

impl Saved {
    pub fn of(wanted: &Wanted, namespace: &str, resources: Option<String>) -> Self {
        Self {
            object: format!("{}/{}", wanted.kind.list(namespace), wanted.name),
            resources: resources.filter(|_| wanted.kind == Kind::Definition),
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
