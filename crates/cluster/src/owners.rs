//! The workloads whose pods are moved, and how many of their replicas are ready.

use crate::client::{Kubectl, pages};
use crate::cordon::Owner;
use crate::object::{Meta, null_is_empty};
use crate::pod::Pod;
use anyhow::Result;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A workload with its present replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub owner: Owner,
    /// `None`: it was deleted.
    pub now: Option<Replicas>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicas {
    pub ready: u32,
    /// What it is asked to have; it may have been scaled since. `None`: it does not say.
    pub wanted: Option<u32>,
}

impl Seen {
    /// What is still missing, with `pinned` replicas excused or not.
    pub fn missing(&self, excuse_pinned: bool) -> Option<String> {
        self.missing_besides(if excuse_pinned { self.owner.pinned } else { 0 })
    }

    /// What is still missing where so many replicas are excused.
    pub fn missing_besides(&self, excused: u32) -> Option<String> {
        let now = self.now?;
        let former = self.owner.ready.min(now.wanted.unwrap_or(u32::MAX));
        let wanted = former.saturating_sub(excused);
        (now.ready < wanted).then(|| format!("{} has {} of {wanted} replicas ready", self.owner, now.ready))
    }
}

/// A controller that owns pods, and perhaps has one above it.
#[derive(Debug, Deserialize)]
pub struct Workload {
    metadata: Meta,
    #[serde(default)]
    spec: WorkloadSpec,
    #[serde(default)]
    status: WorkloadStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WorkloadSpec {
    replicas: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WorkloadStatus {
    #[serde(deserialize_with = "null_is_empty")]
    ready_replicas: u32,
}

/// The kinds that count their ready replicas themselves.
fn path(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Deployment" => "/apis/apps/v1/deployments",
        "ReplicaSet" => "/apis/apps/v1/replicasets",
        "StatefulSet" => "/apis/apps/v1/statefulsets",
        "ReplicationController" => "/api/v1/replicationcontrollers",
        _ => return None,
    })
}

type Key = (String, String);

/// Workloads of the cluster by kind, namespace and name.
#[derive(Default)]
pub struct Workloads(BTreeMap<String, BTreeMap<Key, Workload>>);

impl Workloads {
    pub fn read(kubectl: &Kubectl, kinds: &BTreeSet<&str>) -> Result<Self> {
        let known: Vec<(&str, &str)> = kinds
            .iter()
            .filter_map(|kind| Some((*kind, path(kind)?)))
            .collect();
        let paths: Vec<String> = known.iter().map(|(_, path)| pages(path)).collect();
        let mut all = Self::default();
        if paths.is_empty() {
            return Ok(all);
        }
        let mut documents = kubectl.read(&paths)?;
        for (kind, _) in known {
            let list: Vec<Workload> = documents.list()?;
            let key = |workload: &Workload| {
                (
                    workload.metadata.namespace.clone(),
                    workload.metadata.name.clone(),
                )
            };
            all.0.insert(
                kind.to_owned(),
                list.into_iter()
                    .map(|workload| (key(&workload), workload))
                    .collect(),
            );
        }
        Ok(all)
    }

    fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Workload> {
        self.0.get(kind)?.get(&(namespace.to_owned(), name.to_owned()))
    }

    fn replicas(&self, owner: &Owner) -> Option<Replicas> {
        let workload = self.get(&owner.kind, &owner.namespace, &owner.name)?;
        Some(Replicas {
            ready: workload.status.ready_replicas,
            wanted: workload.spec.replicas,
        })
    }

    /// The workload that will replace a pod. `None`: nobody will, or it is a Job, which is done
    /// when it is done.
    pub fn of(&self, pod: &Pod) -> Option<Owner> {
        let controller = pod
            .metadata
            .controller()
            .filter(|controller| controller.kind != "Job")?;
        let namespace = pod.metadata.namespace.clone();
        let above = self
            .get(&controller.kind, &namespace, &controller.name)
            .and_then(|workload| workload.metadata.controller());
        // A ReplicaSet belongs to a Deployment nearly always; it is the one that outlives a roll-out.
        let top = above
            .filter(|above| self.get(&above.kind, &namespace, &above.name).is_some())
            .unwrap_or(controller);
        let (kind, name) = (top.kind.clone(), top.name.clone());
        Some(Owner {
            namespace,
            kind,
            name,
            ready: 0,
            pinned: 0,
            task: pod.is_task(),
        })
    }
}

/// The workloads of pods that are to go, with their present replicas. `pinned` says which pods can only come back here.
pub fn of_pods<'p>(
    kubectl: &Kubectl,
    pods: impl Iterator<Item = &'p Pod> + Clone,
    pinned: impl Fn(&Pod) -> bool,
) -> Result<Vec<Seen>> {
    let mut kinds: BTreeSet<&str> = pods
        .clone()
        .filter_map(|pod| pod.metadata.controller())
        .map(|owner| owner.kind.as_str())
        .collect();
    if kinds.contains("ReplicaSet") {
        kinds.insert("Deployment");
    }
    of_read_pods(kubectl, pods, pinned, &Workloads::read(kubectl, &kinds)?)
}

/// As [`of_pods`], where the workloads of all affected kinds have been read.
pub fn of_read_pods<'p>(
    kubectl: &Kubectl,
    pods: impl Iterator<Item = &'p Pod>,
    pinned: impl Fn(&Pod) -> bool,
    workloads: &Workloads,
) -> Result<Vec<Seen>> {
    let mut owners: BTreeMap<Owner, u32> = BTreeMap::new();
    for pod in pods {
        if let Some(owner) = workloads.of(pod) {
            *owners.entry(owner).or_default() += u32::from(pinned(pod));
        }
    }
    let owners: Vec<Owner> = owners
        .into_iter()
        .map(|(owner, pinned)| Owner { pinned, ..owner })
        .collect();
    let mut seen = in_read(kubectl, &owners, workloads)?;
    for Seen { owner, now } in &mut seen {
        owner.ready = now.map_or(0, |now| now.ready);
    }
    Ok(seen)
}

/// The workloads with their present replicas.
pub fn now(kubectl: &Kubectl, owners: &[Owner]) -> Result<Vec<Seen>> {
    let kinds: BTreeSet<&str> = owners.iter().map(|owner| owner.kind.as_str()).collect();
    in_read(kubectl, owners, &Workloads::read(kubectl, &kinds)?)
}

/// As [`now`], where the workloads of all affected kinds have just been read.
pub fn in_read(kubectl: &Kubectl, owners: &[Owner], workloads: &Workloads) -> Result<Vec<Seen>> {
    let others = live_pods(kubectl, owners.iter().filter(|owner| path(&owner.kind).is_none()))?;
    let replicas = |owner: &Owner| match path(&owner.kind) {
        Some(_) => workloads.replicas(owner),
        None => counted(owner, &others),
    };
    Ok(owners
        .iter()
        .map(|owner| Seen {
            now: replicas(owner),
            owner: owner.clone(),
        })
        .collect())
}

/// Of kinds that are not Kubernetes' own (a database operator's cluster, a step of a workflow) the pods are counted. A task
/// without any has ended: its pod has ended, and perhaps nothing will start another one.
fn counted(owner: &Owner, pods: &[Pod]) -> Option<Replicas> {
    let own: Vec<&Pod> = pods.iter().filter(|pod| owns(owner, pod)).collect();
    let ready = own.iter().filter(|pod| pod.is_ready()).count();
    (!owner.task || !own.is_empty()).then_some(Replicas {
        ready: ready.try_into().ok()?,
        wanted: None,
    })
}

/// The pods, in the namespaces of these, that have neither ended nor are about to.
fn live_pods<'o>(kubectl: &Kubectl, owners: impl Iterator<Item = &'o Owner>) -> Result<Vec<Pod>> {
    let namespaces: BTreeSet<&str> = owners.map(|owner| owner.namespace.as_str()).collect();
    let mut live = Vec::new();
    for namespace in namespaces {
        let pods: Vec<Pod> = kubectl.list(pages(&format!("/api/v1/namespaces/{namespace}/pods")))?;
        let ends = |pod: &Pod| pod.is_finished() || pod.metadata.deletion_timestamp.is_some();
        live.extend(pods.into_iter().filter(|pod| !ends(pod)));
    }
    Ok(live)
}

fn owns(owner: &Owner, pod: &Pod) -> bool {
    let controller = pod.metadata.controller();
    pod.metadata.namespace == owner.namespace
        && controller.is_some_and(|controller| controller.kind == owner.kind && controller.name == owner.name)
}

/// Earlier knowledge first: a workload that a killed run has already thinned out is known by its record.
pub fn merge(earlier: &[Owner], now: impl Iterator<Item = Owner>) -> Vec<Owner> {
    let key = |owner: &Owner| (owner.namespace.clone(), owner.kind.clone(), owner.name.clone());
    let mut all: BTreeMap<_, Owner> = earlier.iter().map(|owner| (key(owner), owner.clone())).collect();
    for owner in now {
        let pinned = owner.pinned;
        let known = all.entry(key(&owner)).or_insert(owner);
        known.pinned = known.pinned.max(pinned);
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ready_before: u32, pinned: u32, now: Option<(u32, Option<u32>)>) -> Seen {
        let owner = Owner {
            namespace: "demo".to_owned(),
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
            ready: ready_before,
            pinned,
            task: false,
        };
        Seen {
            owner,
            now: now.map(|(ready, wanted)| Replicas { ready, wanted }),
        }
    }

    #[test]
    fn what_is_missing() {
        // (seen, missing while drained, missing after the uncordon)
        let table = [
            (seen(2, 0, Some((2, Some(2)))), false, false),
            (seen(2, 0, Some((1, Some(2)))), true, true),
            (seen(2, 1, Some((1, Some(2)))), false, true),
            (seen(2, 0, Some((1, Some(1)))), false, false),
            (seen(2, 0, Some((3, Some(5)))), false, false),
            (seen(0, 0, Some((0, Some(2)))), false, false),
            (seen(2, 0, None), false, false),
            (seen(1, 0, Some((0, None))), true, true),
        ];
        for (seen, drained, uncordoned) in table {
            assert_eq!(seen.missing(true).is_some(), drained, "{seen:?} while drained");
            assert_eq!(
                seen.missing(false).is_some(),
                uncordoned,
                "{seen:?} after the uncordon"
            );
        }
        assert_eq!(
            seen(2, 0, Some((1, Some(2)))).missing(true).unwrap(),
            "Deployment demo/web has 1 of 2 replicas ready"
        );
    }

    /// A pod of an operator's object.
    fn pod(kind: &str, policy: &str, ready: bool) -> Pod {
        let ready = if ready { "True" } else { "False" };
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "namespace": "demo",
                "ownerReferences": [{"kind": kind, "name": "it", "controller": true}]},
            "spec": {"restartPolicy": policy},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_task_whose_pod_is_gone_is_not_waited_for() {
        // (kind, restartPolicy, pods that are there now, whether something is missing)
        let table: [(&str, &str, &[Pod], bool); 6] = [
            ("Cluster", "Always", &[], true),
            ("Cluster", "Always", &[pod("Cluster", "Always", true)], false),
            // A workflow's step that was evicted, and one whose successor is about to start.
            ("Workflow", "Never", &[], false),
            ("Workflow", "OnFailure", &[], false),
            (
                "InstanceManager",
                "Never",
                &[pod("InstanceManager", "Never", false)],
                true,
            ),
            (
                "InstanceManager",
                "Never",
                &[pod("InstanceManager", "Never", true)],
                false,
            ),
        ];
        for (kind, policy, pods, missing) in table {
            let mut owner = Workloads::default().of(&pod(kind, policy, true)).unwrap();
            owner.ready = 1;
            let now = counted(&owner, pods);
            assert_eq!(
                Seen { owner, now }.missing(false).is_some(),
                missing,
                "{kind} {policy} {pods:?}"
            );
        }
        assert_eq!(Workloads::default().of(&pod("Job", "Never", true)), None);
    }

    #[test]
    fn prefers_the_owners_of_an_earlier_run() {
        let owner = |name: &str, ready| Owner {
            name: name.to_owned(),
            ready,
            ..Owner::default()
        };
        let merged = merge(&[owner("a", 2)], [owner("a", 1), owner("b", 1)].into_iter());
        assert_eq!(merged, [owner("a", 2), owner("b", 1)]);
    }
}
