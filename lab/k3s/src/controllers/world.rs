//! Everything that the controllers look at, at one moment.

use crate::cluster::Cluster;
use crate::json::{condition, flag, is_terminating, items, name, namespace, text, uid};
use crate::kinds;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub type Objects = Vec<Arc<Value>>;

pub struct World {
    pub nodes: Objects,
    pub leases: Objects,
    pub pods: Objects,
    pub namespaces: Objects,
    pub deployments: Objects,
    pub replicasets: Objects,
    pub statefulsets: Objects,
    pub daemonsets: Objects,
    pub jobs: Objects,
    pub budgets: Objects,
    pub claims: Objects,
    pub volumes: Objects,
    pub secrets: Objects,
    /// All objects in namespaces, by the plural of their kind.
    pub namespaced: BTreeMap<String, Objects>,
    /// All others, in the same way.
    pub clustered: BTreeMap<String, Objects>,
    pub uids: HashSet<String>,
    by_owner: BTreeMap<String, Objects>,
}

impl World {
    pub fn of(cluster: &Cluster) -> Self {
        let all = |plural: &str| cluster.all(plural);
        let mut namespaced = BTreeMap::new();
        let mut clustered = BTreeMap::new();
        let mut uids = HashSet::new();
        for kind in kinds::built_in() {
            let objects = all(&kind.plural);
            uids.extend(objects.iter().map(|object| uid(object).to_owned()));
            let place = if kind.namespaced {
                &mut namespaced
            } else {
                &mut clustered
            };
            place.insert(kind.plural.to_string(), objects);
        }
        let pods = all("pods");
        let mut by_owner: BTreeMap<String, Objects> = BTreeMap::new();
        for pod in &pods {
            by_owner
                .entry(owner_uid(pod).to_owned())
                .or_default()
                .push(Arc::clone(pod));
        }
        Self {
            nodes: all("nodes"),
            leases: cluster
                .registry
                .list(&kinds::of("leases").prefix("kube-node-lease")),
            pods,
            namespaces: all("namespaces"),
            deployments: all("deployments"),
            replicasets: all("replicasets"),
            statefulsets: all("statefulsets"),
            daemonsets: all("daemonsets"),
            jobs: all("jobs"),
            budgets: all("poddisruptionbudgets"),
            claims: all("persistentvolumeclaims"),
            volumes: all("persistentvolumes"),
            secrets: all("secrets"),
            namespaced,
            clustered,
            uids,
            by_owner,
        }
    }

    pub fn pods_of(&self, owner: &Value) -> &[Arc<Value>] {
        self.by_owner.get(uid(owner)).map_or(&[], Vec::as_slice)
    }

    pub fn node(&self, wanted: &str) -> Option<&Arc<Value>> {
        self.nodes.iter().find(|node| name(node) == wanted)
    }

    /// Of a built-in kind, by the plural.
    pub fn find(&self, plural: &str, space: &str, wanted: &str) -> Option<&Arc<Value>> {
        let all = self
            .namespaced
            .get(plural)
            .or_else(|| self.clustered.get(plural))?;
        all.iter()
            .find(|one| namespace(one) == space && name(one) == wanted)
    }

    pub fn claim(&self, space: &str, wanted: &str) -> Option<&Arc<Value>> {
        self.claims
            .iter()
            .find(|claim| namespace(claim) == space && name(claim) == wanted)
    }
}

/// The owner that controls an object.
pub fn owner(object: &Value) -> Option<&Value> {
    items(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| flag(owner, "/controller"))
}

pub fn owner_uid(object: &Value) -> &str {
    owner(object).map_or("", |owner| text(owner, "/uid"))
}

pub fn reference(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    }])
}

pub fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready") == "True"
}

pub fn has_ended(pod: &Value) -> bool {
    ["Succeeded", "Failed"].contains(&text(pod, "/status/phase"))
}

/// Counts towards its owner's number.
pub fn is_active(pod: &Value) -> bool {
    !is_terminating(pod) && !has_ended(pod)
}

/// A pod from the owner's template, without a name.
pub fn pod_from(owner: &Value) -> Value {
    let template = &owner["spec"]["template"];
    let mut metadata = json!({"namespace": namespace(owner), "ownerReferences": reference(owner)});
    for key in ["labels", "annotations"] {
        if let Some(value) = template["metadata"].get(key) {
            metadata[key] = value.clone();
        }
    }
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": template["spec"]})
}

/// Ten letters that stand for a template.
pub fn hash(template: &Value) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in template.to_string().bytes() {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let letter = |at: u32| {
        let index = usize::try_from(sum.rotate_left(at * 6) % 27).unwrap_or_default();
        char::from(LETTERS[index])
    };
    (0..10).map(letter).collect()
}

/// A number in a status: left out when it is 0, as the API does.
pub fn set_count(status: &mut Value, field: &str, number: usize) {
    if number > 0 {
        status[field] = json!(number);
    }
}

pub fn condition_of(kind: &str, status: bool, reason: &str, message: &str, since: &Value) -> Value {
    let status = if status { "True" } else { "False" };
    let before = items(since, "/status/conditions").iter();
    let before = before
        .clone()
        .find(|c| text(c, "/type") == kind && text(c, "/status") == status);
    let time = before.map_or_else(crate::clock::seconds, |c| {
        text(c, "/lastTransitionTime").to_owned()
    });
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time})
}
