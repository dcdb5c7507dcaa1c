//! The controllers. Each is a pure function from the world to the actions that bring it nearer to what is wanted;
//! one loop on the leading server runs them until none has anything to do.

pub mod balancers;
pub mod batch;
pub mod budgets;
pub mod charts;
pub mod daemonsets;
pub mod deployments;
pub mod leader;
pub mod namespaces;
pub mod nodes;
pub mod placement;
pub mod replicasets;
pub mod resources;
pub mod scheduler;
pub mod statefulsets;
pub mod volumes;
pub mod world;

use crate::api::status::Refusal;
use crate::clock::paced;
use crate::cluster::{Cluster, DeleteOptions, Part};
use crate::json::{name, namespace, uid};
use crate::kinds::{self, Kind};
use crate::log;
use crate::registry::Event;
use nodes::Watcher;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use world::World;

/// How often the leases of the nodes are looked at.
const MONITOR_SECONDS: f64 = 2.0;
/// Rounds after one event; a circle of controllers would otherwise turn for ever.
const ROUNDS: usize = 50;

pub enum Action {
    Create(Kind, Value),
    Replace(Kind, Arc<Value>, Value, Part),
    Delete(Kind, Arc<Value>),
    /// A pod, without any grace.
    Kill(Arc<Value>),
}

impl Action {
    /// The status of an object, if it differs.
    pub fn status(kind: &str, object: &Arc<Value>, status: Value) -> Option<Self> {
        if object.get("status") == Some(&status) {
            return None;
        }
        let mut new = object.as_ref().clone();
        new["status"] = status;
        Some(Self::Replace(
            kinds::of(kind),
            Arc::clone(object),
            new,
            Part::Status,
        ))
    }

    pub fn delete(kind: &str, object: &Arc<Value>) -> Self {
        Self::Delete(kinds::of(kind), Arc::clone(object))
    }

    async fn run(self, cluster: &Cluster) -> Result<(), Refusal> {
        match self {
            Self::Create(kind, object) => cluster.create(&kind, object).await.map(drop),
            Self::Replace(kind, old, new, part) => cluster.replace(&kind, &old, new, part).await.map(drop),
            Self::Delete(kind, object) => remove(cluster, &kind, &object, None).await,
            Self::Kill(pod) => remove(cluster, &kinds::of("pods"), &pod, Some(0)).await,
        }
    }
}

async fn remove(cluster: &Cluster, kind: &Kind, object: &Value, grace: Option<i64>) -> Result<(), Refusal> {
    let options = DeleteOptions {
        uid: uid(object).to_owned(),
        grace,
        ..DeleteOptions::default()
    };
    cluster
        .delete(kind, (namespace(object), name(object)), &options)
        .await
        .map(drop)
}

/// Works while `leader` says that this server leads; `balances`: with k3s's own load balancer.
pub async fn run(cluster: Cluster, leader: leader::Leader, balances: bool) {
    let mut events = cluster.registry.events();
    let mut watcher = Watcher::default();
    loop {
        if leader.leads() {
            settle(&cluster, &mut watcher, balances).await;
        }
        let wait = wait_for_change(&mut events);
        // Without a change there are still leases that run out.
        let _ = tokio::time::timeout(paced(MONITOR_SECONDS), wait).await;
    }
}

async fn wait_for_change(events: &mut tokio::sync::broadcast::Receiver<Arc<Event>>) {
    loop {
        match events.recv().await {
            Ok(event) if is_noise(&event.key) => {}
            Ok(_) | Err(RecvError::Lagged(_)) => break,
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
    // One look for a burst of changes.
    while events.try_recv().is_ok() {}
}

fn is_noise(key: &str) -> bool {
    key.starts_with("/registry/coordination.k8s.io/") || key.starts_with("/registry/core/events/")
}

async fn settle(cluster: &Cluster, watcher: &mut Watcher, balances: bool) {
    for _ in 0..ROUNDS {
        let world = World::of(cluster);
        let mut actions = actions(&world, watcher);
        actions.extend(balancers::actions(&world, balances));
        if actions.is_empty() {
            return;
        }
        for action in actions {
            match action.run(cluster).await {
                Ok(()) => {}
                // Somebody was faster; the next round sees what is left to do.
                Err(refusal) if refusal.is_conflict() || refusal.is_missing() => {}
                Err(refusal) => {
                    log::warn(&format!("Error syncing: {}", refusal.message()));
                    return;
                }
            }
        }
    }
}

fn actions(world: &World, watcher: &mut Watcher) -> Vec<Action> {
    let mut actions = nodes::actions(world, watcher);
    let controllers = [
        namespaces::actions,
        namespaces::collect_garbage,
        deployments::actions,
        replicasets::actions,
        statefulsets::actions,
        daemonsets::actions,
        batch::actions,
        charts::actions,
        volumes::actions,
        scheduler::actions,
        budgets::actions,
    ];
    for controller in controllers {
        actions.extend(controller(world));
    }
    actions
}
