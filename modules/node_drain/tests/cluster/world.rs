//! What the imitated cluster is made of, and how it behaves.

use crate::fake::Cluster;
use anyhow::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) const REFUSED: &str =
    "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?";
const BLOCKED: &str =
    "Error from server (TooManyRequests): Cannot evict pod as it would violate the pod's disruption budget.";
/// With status 500, whatever the budgets leave.
const SEVERAL: &str = "Error from server: This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
type Hook = Box<dyn Fn(&Cluster)>;

/// Seconds that a command takes, a pod needs to end, and a replica to become ready.
pub(crate) const COMMAND: f64 = 0.4;
const ENDS: f64 = 3.0;
const STARTS: f64 = 8.0;

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(crate) struct Inner {
    pub(crate) clock: f64,
    pub(crate) nodes: BTreeMap<String, Value>,
    pub(crate) pods: Vec<Pod>,
    /// Name, and replicas that it shall have.
    pub(crate) deployments: BTreeMap<String, usize>,
    pub(crate) budgets: BTreeMap<String, usize>,
    /// Whether there are two of each budget.
    pub(crate) twice: bool,
    pub(crate) least_ready: BTreeMap<String, usize>,
    pub(crate) created: usize,
    pub(crate) changes: usize,
    pub(crate) away: (f64, f64),
    pub(crate) hangs: bool,
    pub(crate) storm: bool,
    pub(crate) conflicts: usize,
    pub(crate) loses_an_answer: bool,
    pub(crate) page: usize,
    pub(crate) at_first_patch: Option<Hook>,
    pub(crate) last_body: Value,
}

#[derive(Clone, Default)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) owner: Option<(&'static str, String)>,
    pub(crate) node: Option<String>,
    pub(crate) ready_at: f64,
    /// When it was asked to end.
    pub(crate) deleted: Option<f64>,
    pub(crate) pinned: bool,
    pub(crate) stuck: bool,
}

impl Inner {
    pub(crate) fn owned<'p>(&'p self, deployment: &'p str) -> impl Iterator<Item = &'p Pod> {
        self.pods
            .iter()
            .filter(move |pod| pod.owner.as_ref().is_some_and(|(_, owner)| owner == deployment))
    }

    pub(crate) fn ready(&self, deployment: &str) -> usize {
        self.owned(deployment).filter(|pod| self.is_ready(pod)).count()
    }

    pub(crate) fn is_ready(&self, pod: &Pod) -> bool {
        pod.node.is_some() && pod.deleted.is_none() && pod.ready_at <= self.clock
    }

    pub(crate) fn pass(&mut self, seconds: f64) {
        self.clock += seconds;
        let clock = self.clock;
        self.pods
            .retain(|pod| pod.stuck || pod.deleted.is_none_or(|at| at + ENDS > clock));
        // Replicas that found no node wait for theirs.
        let free = self.nodes["n1"]["spec"]["unschedulable"] != true;
        for pod in self.pods.iter_mut().filter(|pod| pod.node.is_none() && free) {
            (pod.node, pod.ready_at) = (Some("n1".to_owned()), clock + STARTS);
        }
        for deployment in self.deployments.keys() {
            let ready = self.ready(deployment);
            let least = self.least_ready.entry(deployment.clone()).or_insert(ready);
            *least = ready.min(*least);
        }
    }

    pub(crate) fn allowed(&self, deployment: &str) -> i64 {
        let allowed =
            i64::try_from(self.ready(deployment)).unwrap() - i64::try_from(self.budgets[deployment]).unwrap();
        allowed.max(0)
    }

    /// Ends a pod; its owner starts another one at once, elsewhere.
    pub(crate) fn end(&mut self, name: &str) {
        let clock = self.clock;
        let Some(pod) = self
            .pods
            .iter_mut()
            .find(|pod| pod.name == name && pod.deleted.is_none())
        else {
            return;
        };
        pod.deleted = Some(clock);
        let (owner, pinned) = (pod.owner.clone(), pod.pinned);
        self.changes += 1;
        if owner.as_ref().is_some_and(|(kind, _)| *kind == "ReplicaSet") {
            self.created += 1;
            let node = (!pinned).then(|| "n2".to_owned());
            let name = format!("{name}-next{}", self.created);
            self.pods.push(Pod {
                name,
                owner,
                node,
                ready_at: clock + STARTS,
                pinned,
                ..Pod::default()
            });
        }
    }

    /// What a request says when it is refused.
    pub(crate) fn request(&mut self, path: &str, body: Value) -> Result<(), String> {
        let evicts = path.ends_with("/eviction");
        let name = path
            .trim_end_matches("/eviction")
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let uid = body
            .pointer("/deleteOptions/preconditions/uid")
            .or(body.pointer("/preconditions/uid"))
            .cloned();
        assert_eq!(uid, Some(json!(format!("uid-{name}"))), "{body}");
        self.last_body = body;
        if self.storm {
            return Err(
                "Error from server (TooManyRequests): too many requests, please try again later".to_owned(),
            );
        }
        let owner = self
            .pods
            .iter()
            .find(|pod| pod.name == name)
            .and_then(|pod| pod.owner.clone());
        let budget = owner
            .map(|(_, owner)| owner)
            .filter(|owner| self.budgets.contains_key(owner));
        if evicts && self.twice && budget.is_some() {
            return Err(SEVERAL.to_owned());
        }
        if evicts && budget.is_some_and(|budget| self.allowed(&budget) == 0) {
            return Err(BLOCKED.to_owned());
        }
        self.end(&name);
        Ok(())
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let fields = query
            .split('&')
            .find_map(|part| part.strip_prefix("fieldSelector="));
        let field = fields.and_then(|fields| fields.split_once("%3D"));
        let items: Vec<Value> = match path {
            "/api/v1/nodes" => self.nodes.values().cloned().collect(),
            "/api/v1/pods" => self.pods.iter().map(|pod| self.pod(pod)).collect(),
            "/apis/apps/v1/replicasets" => self.deployments.keys().map(|name| owned(name, self)).collect(),
            "/apis/apps/v1/deployments" => self.deployments.keys().map(|name| plain(name, self)).collect(),
            "/api/v1/persistentvolumeclaims" => self.pinned().map(claim).collect(),
            "/api/v1/persistentvolumes" => self.pinned().map(volume).collect(),
            "/apis/policy/v1/poddisruptionbudgets" => self.all_budgets(),
            other => panic!("nobody answers {other}"),
        };
        let selected = |item: &Value| match field {
            Some(("metadata.name", name)) => item["metadata"]["name"] == name,
            Some(("spec.nodeName", name)) => item["spec"]["nodeName"] == name,
            _ => true,
        };
        let items: Vec<Value> = items.into_iter().filter(selected).collect();
        let from = query.split('&').find_map(|part| part.strip_prefix("continue="));
        let from = from.map_or(0, |text| text.parse::<usize>().unwrap());
        let next = if from + self.page < items.len() {
            (from + self.page).to_string()
        } else {
            String::new()
        };
        json!({"metadata": {"continue": next}, "items": items.iter().skip(from).take(self.page).collect::<Vec<_>>()})
    }

    pub(crate) fn pinned(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| pod.pinned)
    }

    pub(crate) fn pod(&self, pod: &Pod) -> Value {
        let owners: Vec<Value> = pod
            .owner
            .iter()
            .map(|(kind, name)| json!({"kind": kind, "name": name, "controller": true}))
            .collect();
        let label = pod.owner.as_ref().map_or(pod.name.as_str(), |(_, owner)| owner);
        let mut volumes = vec![json!({"name": "token", "projected": {}})];
        if pod.pinned {
            volumes.push(json!({"name": "data", "persistentVolumeClaim": {"claimName": pod.name}}));
        }
        let mut object = json!({
            "metadata": {
                "name": pod.name, "namespace": "demo", "uid": format!("uid-{}", pod.name),
                "labels": {"app": label}, "ownerReferences": owners,
            },
            "spec": {"nodeName": pod.node, "volumes": volumes},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if self.is_ready(pod) { "True" } else { "False" }}]},
        });
        if let Some(at) = pod.deleted {
            let at = OffsetDateTime::from(start() + Duration::from_secs_f64(at));
            object["metadata"]["deletionTimestamp"] = at.format(&Rfc3339).unwrap().into();
        }
        if pod.stuck {
            object["metadata"]["finalizers"] = json!(["example.org/hold"]);
        }
        object
    }

    fn all_budgets(&self) -> Vec<Value> {
        let budgets = || self.budgets.keys().map(|name| self.budget(name));
        let again = budgets().filter(|_| self.twice).map(|mut budget| {
            let name = budget["metadata"]["name"].as_str().unwrap();
            budget["metadata"]["name"] = format!("{name}-too").into();
            budget
        });
        budgets().chain(again).collect()
    }

    pub(crate) fn budget(&self, name: &str) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "demo"},
            "spec": {"selector": {"matchLabels": {"app": name}}},
            "status": {
                "disruptionsAllowed": self.allowed(name), "currentHealthy": self.ready(name),
                "desiredHealthy": self.budgets[name], "expectedPods": self.deployments[name],
            },
        })
    }

    pub(crate) fn patch(&mut self, node: &str, patch: &Value) -> Result<Value, &'static str> {
        let object = self.nodes.get_mut(node).unwrap();
        let version: usize = object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        if self.conflicts > 0 {
            self.conflicts -= 1;
            object["metadata"]["resourceVersion"] = (version + 1).to_string().into();
        }
        if patch["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return Err("Error from server (Conflict): Operation cannot be fulfilled on nodes \"n1\"");
        }
        merge(object, patch);
        object["metadata"]["resourceVersion"] = (version + 1).to_string().into();
        let object = object.clone();
        self.changes += 1;
        if std::mem::take(&mut self.loses_an_answer) {
            Err(REFUSED)
        } else {
            Ok(object)
        }
    }
}

fn owned(name: &str, inner: &Inner) -> Value {
    let mut replicaset = plain(name, inner);
    replicaset["metadata"]["ownerReferences"] =
        json!([{"kind": "Deployment", "name": name, "controller": true}]);
    replicaset
}

fn plain(name: &str, inner: &Inner) -> Value {
    let status = json!({"readyReplicas": inner.ready(name)});
    json!({"metadata": {"name": name, "namespace": "demo"}, "spec": {"replicas": inner.deployments[name]}, "status": status})
}

fn claim(pod: &Pod) -> Value {
    json!({"metadata": {"name": pod.name, "namespace": "demo"}, "spec": {"volumeName": format!("pv-{}", pod.name)}})
}

fn volume(pod: &Pod) -> Value {
    let here = json!([{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]);
    let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": here}]}});
    json!({"metadata": {"name": format!("pv-{}", pod.name)}, "spec": {"nodeAffinity": affinity}})
}

fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let object = object.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}

pub(crate) fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH
}
