//! Where a pod may run: what it asks of nodes, what it tolerates of them, and which nodes its volumes reach.
//!
//! Room (CPU, memory) is left to others, and preferences to the scheduler.

use crate::object::{Labels, Meta, null_is_empty};
use crate::selector::{LabelSelector, Requirement};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The part of a pod's `spec` that chooses nodes. `PodSpec` reads it: to flatten it there would read every spec twice.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(Deserialize), serde(default, rename_all = "camelCase"))]
pub(crate) struct Placement {
    #[cfg_attr(test, serde(deserialize_with = "null_is_empty"))]
    pub(crate) node_selector: Labels,
    pub(crate) affinity: Option<Affinity>,
    #[cfg_attr(test, serde(deserialize_with = "null_is_empty"))]
    pub(crate) tolerations: Vec<Toleration>,
    #[cfg_attr(test, serde(deserialize_with = "null_is_empty"))]
    pub(crate) volumes: Vec<Volume>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Volume {
    empty_dir: Option<IgnoredAny>,
    host_path: Option<HostPath>,
    persistent_volume_claim: Option<ClaimName>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct HostPath {
    path: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimName {
    claim_name: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Affinity {
    node_affinity: Option<NodeAffinity>,
    pod_anti_affinity: Option<PodAntiAffinity>,
}

#[derive(Clone, Debug, Deserialize)]
struct PodAntiAffinity {
    #[serde(
        rename = "requiredDuringSchedulingIgnoredDuringExecution",
        default,
        deserialize_with = "null_is_empty"
    )]
    required: Vec<PodTerm>,
}

/// Pods that a pod must not be beside.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodTerm {
    label_selector: Option<LabelSelector>,
    #[serde(deserialize_with = "null_is_empty")]
    namespaces: Vec<String>,
    /// Only the empty one is understood, which means all.
    namespace_selector: Option<LabelSelector>,
    topology_key: String,
}

/// As pods and volumes have it.
#[derive(Clone, Debug, Deserialize)]
struct NodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", alias = "required")]
    required: Option<NodeTerms>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeTerms {
    #[serde(deserialize_with = "null_is_empty")]
    node_selector_terms: Vec<NodeTerm>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeTerm {
    #[serde(deserialize_with = "null_is_empty")]
    match_expressions: Vec<Requirement>,
    #[serde(deserialize_with = "null_is_empty")]
    match_fields: Vec<Requirement>,
}

/// A taint of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taint {
    pub key: String,
    #[serde(deserialize_with = "null_is_empty", skip_serializing_if = "String::is_empty")]
    pub value: String,
    pub effect: String,
    /// What the API has beside these, such as when it was added: it goes back as it came.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Toleration {
    #[serde(deserialize_with = "null_is_empty")]
    key: String,
    #[serde(deserialize_with = "null_is_empty")]
    operator: String,
    #[serde(deserialize_with = "null_is_empty")]
    value: String,
    #[serde(deserialize_with = "null_is_empty")]
    effect: String,
}

impl Placement {
    /// Whether it asks for certain nodes at all.
    pub(crate) fn is_choosy(&self) -> bool {
        self.terms().is_some() || !self.node_selector.is_empty()
    }

    /// Whether a node of this name, with these labels, is what it asks for.
    pub(crate) fn fits(&self, name: &str, labels: &Labels) -> bool {
        let selected = self
            .node_selector
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        selected && self.terms().is_none_or(|terms| terms.allow(name, labels))
    }

    pub(crate) fn tolerates(&self, taint: &Taint) -> bool {
        self.tolerations.iter().any(|toleration| toleration.covers(taint))
    }

    /// The names of the claims whose volumes it uses.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &str> {
        let claims = self
            .volumes
            .iter()
            .filter_map(|volume| volume.persistent_volume_claim.as_ref());
        claims.map(|claim| claim.claim_name.as_str())
    }

    /// The folders of its node that it uses.
    pub(crate) fn host_paths(&self) -> impl Iterator<Item = &str> {
        let paths = self.volumes.iter().filter_map(|volume| volume.host_path.as_ref());
        paths.map(|host_path| host_path.path.as_str())
    }

    pub(crate) fn has_empty_dir(&self) -> bool {
        self.volumes.iter().any(|volume| volume.empty_dir.is_some())
    }

    /// Whether the pod `own`, which asks for this, must not be where `other` is, and `together` says that they would be, by
    /// a key of nodes' labels.
    pub(crate) fn shuns(&self, own: &Meta, other: &Meta, together: impl Fn(&str) -> bool) -> bool {
        let affinity = self.affinity.as_ref();
        let parted = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let mut terms = parted.into_iter().flat_map(|parted| &parted.required);
        terms.any(|term| {
            let everywhere = term
                .namespace_selector
                .as_ref()
                .is_some_and(LabelSelector::is_empty);
            let meant = everywhere
                || term.namespaces.contains(&other.namespace)
                || term.namespaces.is_empty() && own.namespace == other.namespace;
            let selector = term.label_selector.as_ref();
            meant
                && selector.is_some_and(|selector| selector.selects(&other.labels))
                && together(&term.topology_key)
        })
    }

    /// Whether it keeps away from any pods at all.
    pub(crate) fn shuns_any(&self) -> bool {
        let anti = self
            .affinity
            .as_ref()
            .and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        anti.is_some_and(|anti| !anti.required.is_empty())
    }

    fn terms(&self) -> Option<&NodeTerms> {
        self.affinity.as_ref()?.node_affinity.as_ref()?.required.as_ref()
    }
}

impl NodeTerms {
    /// A term without a requirement is met by no node.
    fn allow(&self, name: &str, labels: &Labels) -> bool {
        let fields = Labels::from([("metadata.name".to_owned(), name.to_owned())]);
        let met = |requirements: &[Requirement], by: &Labels| {
            requirements.iter().all(|requirement| requirement.met_by(by))
        };
        self.node_selector_terms
            .iter()
            .filter(|term| !term.match_expressions.is_empty() || !term.match_fields.is_empty())
            .any(|term| met(&term.match_expressions, labels) && met(&term.match_fields, &fields))
    }
}

impl Taint {
    /// Whether it keeps pods off that do not tolerate it, rather than only being avoided.
    pub fn keeps_off(&self) -> bool {
        self.effect != "PreferNoSchedule"
    }
}

impl std::fmt::Display for Taint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let equals = if self.value.is_empty() { "" } else { "=" };
        write!(f, "{}{equals}{}:{}", self.key, self.value, self.effect)
    }
}

impl Toleration {
    /// An operator that is not known tolerates nothing: a newer Kubernetes compares numbers by some.
    fn covers(&self, taint: &Taint) -> bool {
        let exists = self.operator == "Exists";
        let key = self.key == taint.key || self.key.is_empty() && exists;
        let equal = matches!(self.operator.as_str(), "" | "Equal") && self.value == taint.value;
        let value = exists || equal;
        key && value && (self.effect.is_empty() || self.effect == taint.effect)
    }
}

/// A claim of a pod on storage, and the volume that it got.
#[derive(Debug, Deserialize)]
pub struct Claim {
    pub metadata: Meta,
    #[serde(default)]
    spec: ClaimSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClaimSpec {
    volume_name: String,
}

impl Claim {
    /// Its namespace and name, by which pods name it.
    pub fn key(&self) -> (String, String) {
        (self.metadata.namespace.clone(), self.metadata.name.clone())
    }

    /// Empty until it has one.
    pub fn volume(&self) -> &str {
        &self.spec.volume_name
    }
}

#[derive(Debug, Deserialize)]
pub struct PersistentVolume {
    pub metadata: Meta,
    #[serde(default)]
    spec: PersistentVolumeSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PersistentVolumeSpec {
    node_affinity: Option<NodeAffinity>,
}

impl PersistentVolume {
    /// Whether only some nodes reach it.
    pub fn is_choosy(&self) -> bool {
        self.spec.node_affinity.is_some()
    }

    pub fn allows(&self, name: &str, labels: &Labels) -> bool {
        let terms = self
            .spec
            .node_affinity
            .as_ref()
            .and_then(|affinity| affinity.required.as_ref());
        terms.is_none_or(|terms| terms.allow(name, labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn placement(spec: Value) -> Placement {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn selector_and_required_affinity_both_have_to_fit() {
        let labels = Labels::from([("disk".to_owned(), "ssd".to_owned())]);
        let terms = |terms: Value| json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}});
        let affinity = |name: &str| {
            terms(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]))
        };
        let table = [
            (json!({}), false, true),
            (json!({"nodeSelector": null, "affinity": null}), false, true),
            (json!({"nodeSelector": {"disk": "ssd"}}), true, true),
            (json!({"nodeSelector": {"disk": "hdd"}}), true, false),
            (json!({"affinity": affinity("n1")}), true, true),
            (json!({"affinity": affinity("n2")}), true, false),
            (
                json!({"affinity": affinity("n1"), "nodeSelector": {"disk": "hdd"}}),
                true,
                false,
            ),
            (json!({"affinity": {"podAntiAffinity": {}}}), false, true),
            // Nothing is asked for: no node is that.
            (json!({"affinity": terms(json!([{}]))}), true, false),
            (json!({"affinity": terms(json!(null))}), true, false),
        ];
        for (spec, choosy, fits) in table {
            let placement = placement(spec.clone());
            assert_eq!(
                (placement.is_choosy(), placement.fits("n1", &labels)),
                (choosy, fits),
                "{spec}"
            );
        }
    }

    #[test]
    fn a_toleration_covers_key_value_and_effect() {
        let taint = Taint {
            key: "role".to_owned(),
            value: "true".to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        };
        let table = [
            (json!({"key": "role", "operator": "Exists"}), true),
            (json!({"operator": "Exists"}), true),
            (
                json!({"key": "role", "operator": "Exists", "effect": "NoSchedule"}),
                true,
            ),
            (
                json!({"key": "role", "operator": "Exists", "effect": "NoExecute"}),
                false,
            ),
            (json!({"key": "role", "operator": "Equal", "value": "true"}), true),
            (json!({"key": "role", "value": "true", "effect": null}), true),
            (json!({"key": "role"}), false),
            (json!({"key": "role", "operator": "Gt", "value": "true"}), false),
            (json!({"key": "other", "operator": "Exists"}), false),
        ];
        for (toleration, expected) in table {
            let placement = placement(json!({"tolerations": [toleration]}));
            assert_eq!(placement.tolerates(&taint), expected, "{toleration}");
        }
        assert!(!placement(json!({"tolerations": null})).tolerates(&taint));
    }

    #[test]
    fn add_ons_of_k3s_tolerate_the_taints_of_controllers() {
        let addon = placement(json!({"tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
        ]}));
        let taint = |key: &str, value: &str, effect: &str| -> Taint {
            serde_json::from_value(json!({"key": key, "value": value, "effect": effect})).unwrap()
        };
        let control_plane = "node-role.kubernetes.io/control-plane";
        let table = [
            (taint(control_plane, "true", "NoSchedule"), true),
            (taint(control_plane, "", "NoExecute"), false),
            (taint("CriticalAddonsOnly", "true", "NoExecute"), true),
            (taint("node-role.kubernetes.io/etcd", "", "NoExecute"), false),
        ];
        for (taint, tolerated) in table {
            assert_eq!(addon.tolerates(&taint), tolerated, "{taint}");
        }
    }

    #[test]
    fn a_taint_is_written_as_kubectl_writes_it() {
        let taint = |value: &str| Taint {
            key: "a/b".to_owned(),
            value: value.to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        };
        assert_eq!(
            [taint("").to_string(), taint("x").to_string()],
            ["a/b:NoSchedule", "a/b=x:NoSchedule"]
        );
        assert!(taint("").keeps_off());
    }
}
