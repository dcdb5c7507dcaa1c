//! What is on the cluster's nodes now, to see which of them can be out of service at once. Reads, and changes nothing.

use anyhow::Result;
use cluster::{Budget, Claim, Kubectl, Node, PersistentVolume, Pod, pages};
use host::Host;
use std::time::Duration;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
pub struct Survey {
    pub nodes: Vec<Node>,
    /// All pods of the cluster.
    pub pods: Vec<Pod>,
    pub budgets: Vec<Budget>,
    pub claims: Vec<Claim>,
    pub volumes: Vec<PersistentVolume>,
}

pub(crate) fn read(program: &[String], host: &dyn Host) -> Result<Survey> {
    let kubectl = Kubectl {
        host,
        program,
        request_timeout: REQUEST_TIMEOUT,
    };
    let paths = [
        "/api/v1/nodes",
        "/api/v1/pods",
        "/apis/policy/v1/poddisruptionbudgets",
        "/api/v1/persistentvolumeclaims",
        "/api/v1/persistentvolumes",
    ]
    .map(pages);
    kubectl.patiently("reading which pods would move", || {
        let mut documents = kubectl.read(&paths)?;
        Ok(Survey {
            nodes: documents.list()?,
            pods: documents.list()?,
            budgets: documents.list()?,
            claims: documents.list()?,
            volumes: documents.list()?,
        })
    })
}
