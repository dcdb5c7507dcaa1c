//! Claims get volumes: local ones, on the node that their first pod was given.

use super::Action;
use super::placement::claims_of;
use super::world::World;
use crate::cluster::Part;
use crate::json::{is_terminating, name, namespace, set, text, uid};
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;

const LOCAL_PATH: &str = "local-path";

pub fn actions(world: &World) -> Vec<Action> {
    let mut actions: Vec<Action> = world.claims.iter().flat_map(|claim| one(world, claim)).collect();
    let orphans = world.volumes.iter().filter(|volume| is_orphan(world, volume));
    actions.extend(orphans.map(|volume| Action::delete("persistentvolumes", volume)));
    actions
}

fn one(world: &World, claim: &Arc<Value>) -> Vec<Action> {
    if is_terminating(claim) || text(claim, "/status/phase") == "Bound" {
        return Vec::new();
    }
    let bound = text(claim, "/spec/volumeName");
    if let Some(volume) = world
        .volumes
        .iter()
        .find(|volume| !bound.is_empty() && name(volume) == bound)
    {
        return vec![settle(claim, volume)];
    }
    if let Some(volume) = world.volumes.iter().find(|volume| offers(volume, claim)) {
        return vec![take(volume, claim), settle(claim, volume)];
    }
    let user = world
        .pods
        .iter()
        .find(|pod| namespace(pod) == namespace(claim) && claims_of(pod).any(|c| c == name(claim)));
    let node = user.map_or("", |pod| text(pod, "/spec/nodeName"));
    if node.is_empty() || text(claim, "/spec/storageClassName") != LOCAL_PATH {
        return Vec::new();
    }
    vec![Action::Create(
        kinds::of("persistentvolumes"),
        local_volume(claim, node),
    )]
}

/// A volume that somebody made by hand, or that was made for this claim.
fn offers(volume: &Value, claim: &Value) -> bool {
    let reserved = text(volume, "/spec/claimRef/uid");
    let same_class = text(volume, "/spec/storageClassName") == text(claim, "/spec/storageClassName");
    reserved == uid(claim) || reserved.is_empty() && same_class && volume["spec"]["claimRef"].is_null()
}

fn local_volume(claim: &Value, node: &str) -> Value {
    let own = format!("pvc-{}", uid(claim));
    let path = format!(
        "/var/lib/rancher/k3s/storage/{own}_{}_{}",
        namespace(claim),
        name(claim)
    );
    json!({
        "metadata": {"name": own, "annotations": {"pv.kubernetes.io/provisioned-by": "rancher.io/local-path"}},
        "spec": {
            "accessModes": claim["spec"]["accessModes"], "capacity": claim["spec"]["resources"]["requests"],
            "claimRef": reference(claim), "hostPath": {"path": path, "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
            ]}]}},
            "persistentVolumeReclaimPolicy": "Delete", "storageClassName": LOCAL_PATH, "volumeMode": "Filesystem",
        },
        "status": {"phase": "Bound"},
    })
}

fn reference(claim: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name(claim), "namespace": namespace(claim),
        "uid": uid(claim),
    })
}

fn take(volume: &Arc<Value>, claim: &Value) -> Action {
    let mut taken = volume.as_ref().clone();
    set(&mut taken, &["spec", "claimRef"], reference(claim));
    set(&mut taken, &["status", "phase"], json!("Bound"));
    Action::Replace(
        kinds::of("persistentvolumes"),
        Arc::clone(volume),
        taken,
        Part::Whole,
    )
}

fn settle(claim: &Arc<Value>, volume: &Value) -> Action {
    let mut bound = claim.as_ref().clone();
    set(&mut bound, &["spec", "volumeName"], json!(name(volume)));
    set(
        &mut bound,
        &["status"],
        json!({
            "phase": "Bound", "accessModes": volume["spec"]["accessModes"], "capacity": volume["spec"]["capacity"],
        }),
    );
    Action::Replace(
        kinds::of("persistentvolumeclaims"),
        Arc::clone(claim),
        bound,
        Part::Whole,
    )
}

fn is_orphan(world: &World, volume: &Value) -> bool {
    let claim = text(volume, "/spec/claimRef/uid");
    let deletes = text(volume, "/spec/persistentVolumeReclaimPolicy") == "Delete";
    deletes && !claim.is_empty() && !is_terminating(volume) && world.claims.iter().all(|c| uid(c) != claim)
}
