//! The pods of a cluster: a number of each phase, and those that may be in trouble.

use cluster::{ContainerStatus, Pod};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// All pods as numbers, and those that may be in trouble.
#[derive(Clone, Debug, Default)]
pub struct Pods {
    /// How many are in each phase.
    pub phases: BTreeMap<String, usize>,
    pub suspect: Vec<Pod>,
}

impl Pods {
    /// `recent`: a crash after it counts.
    pub fn add(&mut self, pods: Vec<Pod>, recent: SystemTime) {
        for pod in pods {
            *self.phases.entry(pod.status.phase.clone()).or_default() += 1;
            if !is_well(&pod, recent) {
                self.suspect.push(pod);
            }
        }
    }

    pub fn total(&self) -> usize {
        self.phases.values().sum()
    }
}

/// Whether nothing about it needs a closer look.
fn is_well(pod: &Pod, recent: SystemTime) -> bool {
    if pod.metadata.deletion_timestamp.is_some() {
        return false;
    }
    let crashed_lately = |container: &ContainerStatus| {
        let crash = container.last_state.terminated.as_ref();
        crash.is_some_and(|crash| crash.finished_at.is_none_or(|at| SystemTime::from(at) > recent))
    };
    match pod.status.phase.as_str() {
        "Succeeded" => true,
        "Running" => pod.is_ready() && !pod.containers().any(crashed_lately),
        _ => false,
    }
}
