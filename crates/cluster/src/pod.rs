//! Pods: what decides whether they may go, and where to.

use crate::amounts::Amounts;
use crate::node::Node;
use crate::object::{Condition, Labels, Meta, null_is_empty};
use crate::placement::{Affinity, Placement, Taint, Toleration, Volume};
use crate::status::{ContainerStatus, PodStatus, RestartRule};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub metadata: Meta,
    spec: PodSpec,
    pub status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "PodSpecObject")]
struct PodSpec {
    node_name: String,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    /// Of the pod itself, since 1.32: they go before those of its containers.
    resources: Resources,
    overhead: Amounts,
    restart_policy: String,
    placement: Placement,
}

/// As the API has it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodSpecObject {
    node_name: String,
    #[serde(deserialize_with = "null_is_empty")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "null_is_empty")]
    init_containers: Vec<Container>,
    resources: Resources,
    overhead: Amounts,
    restart_policy: String,
    #[serde(deserialize_with = "null_is_empty")]
    node_selector: Labels,
    affinity: Option<Affinity>,
    #[serde(deserialize_with = "null_is_empty")]
    tolerations: Vec<Toleration>,
    #[serde(deserialize_with = "null_is_empty")]
    volumes: Vec<Volume>,
}

impl From<PodSpecObject> for PodSpec {
    fn from(object: PodSpecObject) -> Self {
        Self {
            node_name: object.node_name,
            containers: object.containers,
            init_containers: object.init_containers,
            resources: object.resources,
            overhead: object.overhead,
            restart_policy: object.restart_policy,
            placement: Placement {
                node_selector: object.node_selector,
                affinity: object.affinity,
                tolerations: object.tolerations,
                volumes: object.volumes,
            },
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    name: String,
    resources: Resources,
    /// `Always` makes an init container run on beside the others.
    restart_policy: String,
    #[serde(deserialize_with = "null_is_empty")]
    restart_policy_rules: Vec<RestartRule>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    requests: Amounts,
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

    /// Whether it has not started yet.
    pub fn is_pending(&self) -> bool {
        self.status.phase == "Pending"
    }

    pub fn is_finished(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Whether it has something to do and ends, in place of running for good.
    pub fn is_task(&self) -> bool {
        matches!(self.spec.restart_policy.as_str(), "Never" | "OnFailure")
    }

    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        Condition::find(&self.status.conditions, kind)
    }

    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(Condition::is_true)
    }

    /// Whether it is an init container that runs on beside the others.
    pub fn is_sidecar(&self, container: &str) -> bool {
        let mut init = self.spec.init_containers.iter();
        init.any(|own| own.name == container && own.restart_policy == "Always")
    }

    /// Whether a container that has ended so is started once more. It may say so itself; else the pod does.
    pub fn starts_again(&self, container: &str, exit_code: i32) -> bool {
        let PodSpec {
            init_containers,
            containers,
            restart_policy,
            ..
        } = &self.spec;
        let mut all = init_containers.iter().chain(containers);
        let own = all.find(|own| own.name == container);
        if own.is_some_and(|own| {
            own.restart_policy_rules
                .iter()
                .any(|rule| rule.applies(exit_code))
        }) {
            return true;
        }
        let own = own
            .map(|own| own.restart_policy.as_str())
            .filter(|own| !own.is_empty());
        if exit_code == 0 && own.is_none() && init_containers.iter().any(|init| init.name == container) {
            return false;
        }
        match own.unwrap_or(restart_policy) {
            "Never" => false,
            "OnFailure" => exit_code != 0,
            _ => true,
        }
    }

    /// Init containers first: while one fails, the others wait.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.status
            .init_container_statuses
            .iter()
            .chain(&self.status.container_statuses)
    }

    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.spec.placement.tolerates(taint)
    }

    pub fn has_empty_dir(&self) -> bool {
        self.spec.placement.has_empty_dir()
    }

    /// Whether it asks for certain nodes, and none of `others` is one.
    pub fn fits_none_of(&self, others: &[Node]) -> bool {
        self.spec.placement.is_choosy() && !others.iter().any(|node| self.asks_for(node))
    }

    /// Whether the node is one of those that it asks for, by labels or by name.
    pub fn asks_for(&self, node: &Node) -> bool {
        self.spec.placement.fits(&node.name, &node.labels)
    }

    /// What keeps it off the node. That of a cordon is none: it is the cordon's own affair.
    pub fn untolerated<'n>(&self, node: &'n Node) -> Option<&'n Taint> {
        let of_cordon = |taint: &Taint| taint.key == "node.kubernetes.io/unschedulable";
        let mut taints = node.taints.iter();
        taints.find(|taint| taint.keeps_off() && !of_cordon(taint) && !self.tolerates(taint))
    }

    /// Whether it must not be beside certain pods.
    pub fn keeps_apart(&self) -> bool {
        self.spec.placement.shuns_any()
    }

    /// Whether one of the two must not be where the other is, and `together` says that they would be, by a key of nodes'
    /// labels.
    pub fn parted_from(&self, other: &Self, together: impl Fn(&str) -> bool) -> bool {
        let (own, its) = (&self.metadata, &other.metadata);
        self.spec.placement.shuns(own, its, &together) || other.spec.placement.shuns(its, own, &together)
    }

    /// What it needs of a node, itself included.
    pub fn requests(&self) -> Amounts {
        let (mut running, mut starting) = (Amounts::default(), Amounts::default());
        for container in &self.spec.init_containers {
            let asked = &container.resources.requests;
            if container.restart_policy == "Always" {
                running.add(asked);
                starting = starting.or_more(&running);
            } else {
                let mut meanwhile = running.clone();
                meanwhile.add(asked);
                starting = starting.or_more(&meanwhile);
            }
        }
        for container in &self.spec.containers {
            running.add(&container.resources.requests);
        }
        let asked = running.or_more(&starting);
        let mut all = asked.overridden_by(&self.spec.resources.requests);
        all.add(&self.spec.overhead);
        all.and_one("pods")
    }

    /// The node that it is bound to; empty where it is to none yet.
    pub fn node_name(&self) -> &str {
        &self.spec.node_name
    }

    /// The folders of its node that it uses.
    pub fn host_paths(&self) -> impl Iterator<Item = &str> {
        self.spec.placement.host_paths()
    }

    pub fn is_controlled_by(&self, kind: &str) -> bool {
        self.metadata
            .controller()
            .is_some_and(|controller| controller.kind == kind)
    }

    /// Whether the scheduler has said that there is no node for it.
    pub fn is_unschedulable(&self) -> bool {
        self.condition("PodScheduled")
            .is_some_and(|condition| condition.status == "False" && condition.reason == "Unschedulable")
    }

    /// The claims that the pod uses, with its namespace.
    pub fn claims(&self) -> impl Iterator<Item = (String, String)> {
        let namespace = &self.metadata.namespace;
        let claims = self.spec.placement.claims();
        claims.map(|claim| (namespace.clone(), claim.to_owned()))
    }
}

/// One pod, not the next one of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use testbed::recorded;

    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "demo"}, "spec": spec})).unwrap()
    }

    fn asks(cpu: &str) -> Value {
        json!({"resources": {"requests": {"cpu": cpu}}})
    }

    fn beside(cpu: &str) -> Value {
        json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}})
    }

    #[test]
    fn a_pod_asks_for_what_runs_at_the_same_time_at_most() {
        let table = [
            (json!({"containers": [asks("1"), asks("500m")]}), 1_500),
            (
                json!({"containers": [asks("1")], "initContainers": [asks("300m"), asks("3")]}),
                3_000,
            ),
            (
                json!({"containers": [asks("1")], "initContainers": [asks("300m")]}),
                1_000,
            ),
            // One that runs on beside the others counts with all that come after it.
            (
                json!({"containers": [asks("1")], "initContainers": [beside("200m"), asks("3")]}),
                3_200,
            ),
            (
                json!({"containers": [asks("1")], "initContainers": [asks("3"), beside("200m")]}),
                3_000,
            ),
            (
                json!({"containers": [asks("1")], "initContainers": [beside("200m")]}),
                1_200,
            ),
            (json!({"containers": [{}], "overhead": {"cpu": "250m"}}), 250),
            (json!({"containers": null}), 0),
            // The requests of the pod itself count, and its containers share them.
            (
                json!({"containers": [asks("1"), asks("1")], "resources": {"requests": {"cpu": "3", "memory": "1Gi"}}}),
                3_000,
            ),
            (
                json!({"containers": [asks("1")], "resources": {"limits": {"cpu": "3"}}, "overhead": {"cpu": "250m"}}),
                1_250,
            ),
        ];
        for (spec, cpu) in table {
            let asked = pod(spec.clone()).requests();
            assert_eq!((asked.of("cpu"), asked.of("pods")), (cpu, 1_000), "{spec}");
        }
    }

    #[test]
    fn taints_are_tolerated_by_key_value_and_effect() {
        let tainted = |key: &str, effect: &str| -> Node {
            let taint = json!({"key": key, "value": "v", "effect": effect});
            serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": {"taints": [taint]}})).unwrap()
        };
        let table = [
            (json!([]), "k", "NoSchedule", false),
            (json!([{"operator": "Exists"}]), "k", "NoExecute", true),
            (json!([{"key": "k", "value": "v"}]), "k", "NoSchedule", true),
            (json!([{"key": "k", "value": "other"}]), "k", "NoSchedule", false),
            (
                json!([{"key": "k", "operator": "Exists", "effect": "NoExecute"}]),
                "k",
                "NoSchedule",
                false,
            ),
            (json!(null), "k", "PreferNoSchedule", true),
            (json!([]), "node.kubernetes.io/unschedulable", "NoSchedule", true),
        ];
        for (tolerations, key, effect, tolerated) in table {
            let pod = pod(json!({"tolerations": tolerations}));
            assert_eq!(
                pod.untolerated(&tainted(key, effect)).is_none(),
                tolerated,
                "{tolerations} {key}:{effect}"
            );
        }
    }

    /// What each pod of a list is, in words.
    fn described(list: &str) -> Vec<String> {
        let pods = serde_json::from_str::<crate::List<Pod>>(list).unwrap().items;
        let described = |pod: &Pod| {
            let name = pod.metadata.name.split('-').next().unwrap();
            let words = [
                (pod.is_pending(), "pending"),
                (pod.is_ready(), "ready"),
                (pod.is_finished(), "finished"),
                (pod.is_mirror(), "mirror"),
                (pod.is_unschedulable(), "unschedulable"),
                (pod.has_empty_dir(), "emptyDir"),
                (pod.metadata.deletion_timestamp.is_some(), "leaving"),
            ];
            let words = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word);
            let words: Vec<&str> = words.collect();
            let owner = pod.metadata.controller().map_or("nobody", |owner| &owner.kind);
            format!(
                "{name} of {owner}: {}, {}m",
                words.join(" "),
                pod.requests().of("cpu")
            )
        };
        pods.iter().map(described).collect()
    }

    #[test]
    fn pods_of_real_servers() {
        assert_eq!(
            described(&recorded("k3s-v1.36.3-pods.json")),
            [
                "coredns of ReplicaSet: ready, 100m",
                "helm of Job: finished emptyDir, 100m",
                "svclb of DaemonSet: ready, 0m",
                "vault of StatefulSet: ready, 0m",
                "web of ReplicaSet: ready emptyDir, 0m",
            ]
        );
        assert_eq!(
            described(&recorded("by-hand-k3s-v1.36-pods.json")),
            [
                // A sidecar beside its container, or with the init container that comes after it.
                "meshed of ReplicaSet: ready, 300m",
                "pulling of ReplicaSet: pending, 200m",
                "mounting of ReplicaSet: pending, 200m",
                "waiting of ReplicaSet: pending, 200m",
                "debugged of ReplicaSet: ready, 0m",
                "gated of nobody: pending, 0m",
                "static of Node: ready mirror, 0m",
                "done of Job: finished, 200m",
                "leaving of ReplicaSet: leaving, 0m",
                // For the pod itself.
                "working of ReplicaSet: ready, 1500m",
            ]
        );
    }

    #[test]
    fn distinguishes_an_unschedulable_pod_from_a_new_one() {
        let described = |reason: &str| -> Pod {
            let condition = json!({"type": "PodScheduled", "status": "False", "reason": reason});
            serde_json::from_value(json!({"metadata": {}, "status": {"conditions": [condition]}})).unwrap()
        };
        assert!(
            described("Unschedulable").is_unschedulable() && !described("SchedulingGated").is_unschedulable()
        );
        assert!(!pod(json!({})).is_unschedulable());
    }
}
