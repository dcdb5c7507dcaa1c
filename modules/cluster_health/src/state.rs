//! What was seen: only the fields that are used, and of the pods only those that are worth a look.

mod api;
mod pod;
mod release;
mod workload;

pub(crate) use api::checks;
pub use api::{Api, Check, Etcd, Service};
pub use pod::Pods;
pub(crate) use release::{RELEASES, releases};
pub use release::{Release, Releases};
pub(crate) use workload::WorkloadObject;
pub use workload::{Workload, WorkloadKind};

use crate::servers::Apis;
use cluster::{Job, Lease, Node, Object};
use k3s_certs::{All, Certificate};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// The last look, and how long it was waited for.
#[derive(Clone, Debug)]
pub struct State {
    pub seen: Seen,
    pub waited: Duration,
}

/// One look at the cluster.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where it was looked from.
    pub location: String,
    pub now: SystemTime,
    pub api: Api,
    pub nodes: Vec<Node>,
    /// By the node's name.
    pub leases: BTreeMap<String, Lease>,
    pub pods: Pods,
    pub workloads: Vec<Workload>,
    pub jobs: Vec<Job>,
    /// What k3s is configured to bring along.
    pub addons: Vec<Object>,
    pub charts: Vec<cluster::Chart>,
    /// What Helm has deployed.
    pub releases: Releases,
    /// The member of etcd on this node; none where there is no etcd.
    pub etcd: Option<Etcd>,
    /// The certificates of this node.
    pub certificates: All,
    /// The servers' APIs at their own addresses, if the servers are compared.
    pub servers: Option<Apis>,
    /// What could not be read, and why.
    pub unread: BTreeMap<String, String>,
}

impl Seen {
    pub(crate) fn nothing(location: String, now: SystemTime) -> Self {
        Self {
            location,
            now,
            api: Api::default(),
            nodes: Vec::new(),
            leases: BTreeMap::new(),
            pods: Pods::default(),
            workloads: Vec::new(),
            jobs: Vec::new(),
            addons: Vec::new(),
            charts: Vec::new(),
            releases: Releases::new(),
            etcd: None,
            certificates: All::default(),
            servers: None,
            unread: BTreeMap::new(),
        }
    }

    /// The certificates that k3s renews, in the files that it uses.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = &Certificate> {
        let all = &self.certificates;
        let used = all.found.iter().filter(|found| !all.left_over(&found.file));
        used.map(|found| &found.certificate)
            .filter(|certificate| !certificate.is_ca)
    }

    /// When the first of them ends.
    pub(crate) fn leaves_until(&self) -> Option<SystemTime> {
        self.leaves().map(|leaf| leaf.not_after).min()
    }

    /// Whether all that there is to read was read.
    pub fn is_complete(&self) -> bool {
        self.api.version.is_some() && self.unread.is_empty()
    }
}

#[cfg(test)]
mod tests;
