//! What the API server says: only the fields that are used.

use crate::cordon::Record;
use crate::owners::Seen;
use crate::selector::{Labels, Requirement};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// All that a plan is made of.
#[derive(Clone, Debug)]
pub struct State {
    pub now: SystemTime,
    pub node: Node,
    /// How many other nodes are Ready and not cordoned.
    pub other_nodes: usize,
    /// The pods on the node; empty where only the cordon is asked for.
    pub pods: Vec<Pod>,
    pub budgets: Vec<Budget>,
    /// Claims (namespace, name) whose volume exists on this node only, and that volume.
    pub pinned: Pinned,
    /// The workloads of the pods, or those that are waited for, as they are now.
    pub owners: Vec<Seen>,
    pub api: Api,
}

pub type Pinned = BTreeMap<(String, String), String>;

/// Which versions the server speaks, where they differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Api {
    /// Of the budgets: `policy/v1`, or `policy/v1beta1` before 1.21.
    pub budgets: String,
    /// Of the evictions that pods accept; 1.21 serves budgets of v1 and takes evictions of v1beta1.
    pub eviction: String,
}

/// Go writes an empty list as null at times.
pub(crate) fn null_is_empty<'de, D: Deserializer<'de>, T: Default + serde::Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Debug, Deserialize)]
pub struct List<T> {
    #[serde(default)]
    pub metadata: ListMeta,
    #[serde(deserialize_with = "null_is_empty", bound = "T: Deserialize<'de>")]
    pub items: Vec<T>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListMeta {
    #[serde(rename = "continue")]
    pub next: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Meta {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub labels: Labels,
    #[serde(deserialize_with = "null_is_empty")]
    pub annotations: Labels,
    #[serde(deserialize_with = "null_is_empty")]
    pub owner_references: Vec<OwnerReference>,
    #[serde(deserialize_with = "null_is_empty")]
    pub finalizers: Vec<String>,
    pub deletion_timestamp: Option<Time>,
}

impl Meta {
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OwnerReference {
    pub kind: String,
    pub name: String,
    pub controller: bool,
}

/// A time as the API writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Time(OffsetDateTime);

impl TryFrom<String> for Time {
    type Error = time::error::Parse;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        OffsetDateTime::parse(&text, &Rfc3339).map(Self)
    }
}

impl Time {
    pub fn until(self, now: SystemTime) -> Duration {
        now.duration_since(self.0.into()).unwrap_or_default()
    }
}

#[derive(Clone, Debug, Deserialize)]
struct NodeObject {
    metadata: Meta,
    #[serde(default)]
    spec: NodeSpec,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeSpec {
    unschedulable: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
}

/// A node, its cordon and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "NodeObject")]
pub struct Node {
    pub name: String,
    pub resource_version: String,
    pub labels: Labels,
    pub unschedulable: bool,
    /// What we wrote when we cordoned it.
    pub record: Option<Record>,
    /// Why it is not Ready.
    pub trouble: Option<String>,
}

impl From<NodeObject> for Node {
    fn from(object: NodeObject) -> Self {
        let record = object
            .metadata
            .annotations
            .get(Record::ANNOTATION)
            .map(|text| Record::parse(text));
        let ready = object
            .status
            .conditions
            .iter()
            .find(|condition| condition.r#type == "Ready");
        let trouble = match ready {
            Some(condition) if condition.status == "True" => None,
            Some(condition) => Some(format!("Ready is {} ({})", condition.status, condition.reason)),
            None => Some("it has no Ready condition".to_owned()),
        };
        Self {
            name: object.metadata.name,
            resource_version: object.metadata.resource_version,
            labels: object.metadata.labels,
            unschedulable: object.spec.unschedulable,
            record,
            trouble,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Meta,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodSpec {
    #[serde(deserialize_with = "null_is_empty")]
    volumes: Vec<Volume>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Volume {
    empty_dir: Option<IgnoredAny>,
    persistent_volume_claim: Option<ClaimName>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimName {
    claim_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodStatus {
    phase: String,
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Vec<Condition>,
}

impl Pod {
    pub fn id(&self) -> PodId {
        let Meta {
            namespace, name, uid, ..
        } = &self.metadata;
        PodId {
            namespace: namespace.clone(),
            name: name.clone(),
            uid: uid.clone(),
        }
    }

    pub fn is_mirror(&self) -> bool {
        self.metadata
            .annotations
            .contains_key("kubernetes.io/config.mirror")
    }

    pub fn is_finished(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    pub fn is_ready(&self) -> bool {
        self.status
            .conditions
            .iter()
            .any(|condition| condition.r#type == "Ready" && condition.status == "True")
    }

    pub fn has_empty_dir(&self) -> bool {
        self.spec.volumes.iter().any(|volume| volume.empty_dir.is_some())
    }

    /// The claims that the pod uses, with its namespace.
    pub fn claims(&self) -> impl Iterator<Item = (String, String)> {
        let claims = self
            .spec
            .volumes
            .iter()
            .filter_map(|volume| volume.persistent_volume_claim.as_ref());
        claims.map(|claim| (self.metadata.namespace.clone(), claim.claim_name.clone()))
    }
}

/// One pod, not the next one of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PodId {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl std::fmt::Display for PodId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Claim {
    metadata: Meta,
    #[serde(default)]
    spec: ClaimSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ClaimSpec {
    volume_name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PersistentVolume {
    metadata: Meta,
    #[serde(default)]
    spec: PersistentVolumeSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PersistentVolumeSpec {
    node_affinity: Option<NodeAffinity>,
}

#[derive(Debug, Deserialize)]
struct NodeAffinity {
    required: Option<NodeTerms>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeTerms {
    #[serde(deserialize_with = "null_is_empty")]
    node_selector_terms: Vec<NodeTerm>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeTerm {
    #[serde(deserialize_with = "null_is_empty")]
    match_expressions: Vec<Requirement>,
    #[serde(deserialize_with = "null_is_empty")]
    match_fields: Vec<Requirement>,
}

impl NodeTerm {
    fn allows(&self, node: &Node) -> bool {
        let fields = Labels::from([("metadata.name".to_owned(), node.name.clone())]);
        self.match_expressions
            .iter()
            .all(|requirement| requirement.met_by(&node.labels))
            && self
                .match_fields
                .iter()
                .all(|requirement| requirement.met_by(&fields))
    }
}

impl PersistentVolume {
    fn allows(&self, node: &Node) -> bool {
        let terms = self
            .spec
            .node_affinity
            .as_ref()
            .and_then(|affinity| affinity.required.as_ref());
        terms.is_none_or(|terms| terms.node_selector_terms.iter().any(|term| term.allows(node)))
    }
}

/// The claims whose volume no other node of the cluster may use: local volumes, and whatever else says so by
/// its node affinity (each storage driver has labels of its own, so the nodes are tried, not the keys).
pub(crate) fn pinned(claims: &[Claim], volumes: &[PersistentVolume], node: &Node, others: &[Node]) -> Pinned {
    let only_here = |volume: &&PersistentVolume| {
        volume.spec.node_affinity.is_some()
            && volume.allows(node)
            && !others.iter().any(|other| volume.allows(other))
    };
    let here: Vec<&str> = volumes
        .iter()
        .filter(only_here)
        .map(|volume| volume.metadata.name.as_str())
        .collect();
    let bound = |claim: &&Claim| here.contains(&claim.spec.volume_name.as_str());
    let key = |claim: &Claim| (claim.metadata.namespace.clone(), claim.metadata.name.clone());
    claims
        .iter()
        .filter(bound)
        .map(|claim| (key(claim), claim.spec.volume_name.clone()))
        .collect()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BudgetObject {
    metadata: Meta,
    #[serde(default)]
    spec: BudgetSpec,
    #[serde(default)]
    status: Headroom,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BudgetSpec {
    selector: Option<LabelSelector>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LabelSelector {
    #[serde(deserialize_with = "null_is_empty")]
    match_labels: Labels,
    #[serde(deserialize_with = "null_is_empty")]
    match_expressions: Vec<Requirement>,
}

/// What a budget leaves for evictions. The names are the API's, read and told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all(deserialize = "camelCase"))]
pub struct Headroom {
    pub disruptions_allowed: i64,
    pub current_healthy: i64,
    pub desired_healthy: i64,
    pub expected_pods: i64,
}

/// A `PodDisruptionBudget`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BudgetObject")]
pub struct Budget {
    pub namespace: String,
    pub name: String,
    selector: Option<LabelSelector>,
    pub headroom: Headroom,
}

impl From<BudgetObject> for Budget {
    fn from(object: BudgetObject) -> Self {
        Self {
            namespace: object.metadata.namespace,
            name: object.metadata.name,
            selector: object.spec.selector,
            headroom: object.status,
        }
    }
}

impl Budget {
    /// An empty selector means all pods of the namespace in policy/v1, and none in v1beta1.
    pub fn selects(&self, pod: &Meta, api: &Api) -> bool {
        let Some(selector) = self.selector.as_ref().filter(|_| self.namespace == pod.namespace) else {
            return false;
        };
        if *selector == LabelSelector::default() {
            return api.budgets != "policy/v1beta1";
        }
        selector
            .match_labels
            .iter()
            .all(|(key, value)| pod.labels.get(key) == Some(value))
            && selector
                .match_expressions
                .iter()
                .all(|requirement| requirement.met_by(&pod.labels))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Groups {
    #[serde(deserialize_with = "null_is_empty")]
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    versions: Vec<GroupVersion>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Resources {
    resources: Vec<Resource>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    name: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    version: String,
}

impl Api {
    /// From what the server says of itself: its groups, and the resources of its core.
    pub(crate) fn served(groups: &Groups, core: &Resources) -> Option<Self> {
        let policy = groups.groups.iter().find(|group| group.name == "policy")?;
        let serves = |version: &&str| {
            policy
                .versions
                .iter()
                .any(|served| served.group_version == *version)
        };
        let budgets = ["policy/v1", "policy/v1beta1"].into_iter().find(serves)?;
        let eviction = core
            .resources
            .iter()
            .find(|resource| resource.name == "pods/eviction")?;
        let eviction = format!("{}/{}", eviction.group, eviction.version);
        Some(Self {
            budgets: budgets.to_owned(),
            eviction,
        })
    }
}
