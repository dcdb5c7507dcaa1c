//! What all objects of the API have in common.

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub type Labels = BTreeMap<String, String>;

/// Go writes an empty list as null at times.
pub fn null_is_empty<'de, D: Deserializer<'de>, T: Default + serde::Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Objects in one answer. We ask for pages of 500; a container that sends millions of `{}` instead would fill the memory of
/// the Proxmox host, where each of them takes a few hundred bytes.
const ITEMS: usize = 20_000;

#[derive(Debug, Deserialize)]
pub struct List<T> {
    #[serde(default)]
    pub metadata: ListMeta,
    #[serde(deserialize_with = "bounded", bound = "T: Deserialize<'de>")]
    pub items: Vec<T>,
}

/// A list of at most [`ITEMS`]; null is empty.
fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Items<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of objects")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = sequence.next_element()? {
                if items.len() == ITEMS {
                    return Err(A::Error::custom(format!(
                        "there are more than {ITEMS} objects in one answer"
                    )));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_any(Items(PhantomData))
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
    pub creation_timestamp: Option<Time>,
    pub deletion_timestamp: Option<Time>,
}

impl Meta {
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }

    /// Kind and name of the workload that makes a pod's successors. A Deployment names its `ReplicaSets` by itself and
    /// the hash that their pods have as a label.
    pub fn workload(&self) -> Option<(&str, &str)> {
        let OwnerReference { kind, name, .. } = self.controller()?;
        let of_deployment = || {
            let hash = self.labels.get("pod-template-hash")?;
            name.strip_suffix(hash)?.strip_suffix('-')
        };
        let deployment = (kind == "ReplicaSet").then(of_deployment).flatten();
        Some(deployment.map_or((kind, name), |deployment| ("Deployment", deployment)))
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Time(OffsetDateTime);

impl TryFrom<String> for Time {
    type Error = time::error::Parse;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        OffsetDateTime::parse(&text, &Rfc3339).map(Self)
    }
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        time.0.into()
    }
}

impl Time {
    /// How long ago it was; nothing where it is yet to come.
    pub fn until(self, now: SystemTime) -> Duration {
        now.duration_since(self.into()).unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    pub r#type: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    pub last_transition_time: Option<Time>,
}

impl Condition {
    pub fn find<'c>(conditions: &'c [Self], kind: &str) -> Option<&'c Self> {
        conditions.iter().find(|condition| condition.r#type == kind)
    }

    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// Of an object, only what all objects have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Object {
    pub metadata: Meta,
}

/// What the API server reports of itself at `/version`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiVersion {
    pub git_version: String,
}
