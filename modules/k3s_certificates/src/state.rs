//! What is true of the certificates here, at one time.

use crate::certificate_report::{self, CertificateReport};
use crate::judge;
use crate::params::Params;
use crate::summary::{self, Merged};
use k3s_certs::All;
use k3s_certs::rotation::{Paths, Service};
use std::time::SystemTime;

#[derive(Clone, Debug)]
pub struct State {
    pub(crate) all: All,
    pub(crate) now: SystemTime,
    /// Where the node has its own.
    pub(crate) paths: Paths,
    /// The k3s that would be restarted; looked at only for that.
    pub(crate) service: Option<Service>,
}

impl State {
    pub(crate) fn certificates(&self, params: &Params) -> Vec<CertificateReport> {
        judge::all(params, &self.all, self.now)
    }

    /// Everything that is reported, of this container or of all the nodes that were given.
    pub(crate) fn merged(&self, params: &Params) -> Merged {
        if !params.nodes.is_empty() || !params.hosts.is_empty() {
            return summary::merge(params);
        }
        Merged {
            certificates: self.certificates(params),
            faults: self.all.faults.clone(),
            notes: self.all.notes.clone(),
        }
    }

    pub(crate) fn problem(&self, params: &Params) -> Option<String> {
        let merged = self.merged(params);
        certificate_report::problem(&merged.certificates, &merged.faults)
    }
}
