//! What is true of the certificates here, at one time.

use crate::judge;
use crate::params::Params;
use crate::summary::{self, Merged};
use crate::told::{self, Told};
use k3s_certs::All;
use k3s_certs::rotation::{Places, Service};
use std::time::SystemTime;

#[derive(Clone, Debug)]
pub struct State {
    pub(crate) all: All,
    pub(crate) now: SystemTime,
    /// Where the node has its own.
    pub(crate) places: Places,
    /// The k3s that would be restarted; looked at only for that.
    pub(crate) service: Option<Service>,
}

impl State {
    pub(crate) fn told(&self, params: &Params) -> Vec<Told> {
        judge::all(params, &self.all, self.now)
    }

    /// Everything that is told, of this place or of all the nodes that were given.
    pub(crate) fn merged(&self, params: &Params) -> Merged {
        if !params.nodes.is_empty() || !params.hosts.is_empty() {
            return summary::merge(params);
        }
        Merged {
            certificates: self.told(params),
            faults: self.all.faults.clone(),
            notes: self.all.notes.clone(),
        }
    }

    pub(crate) fn problem(&self, params: &Params) -> Option<String> {
        let merged = self.merged(params);
        told::problem(&merged.certificates, &merged.faults)
    }
}
