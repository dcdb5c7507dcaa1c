//! What the node shall be, and what it must show then.

use crate::state::Paths;
use k3s_node::Setup;
use k3s_types::K3sVersion;
use std::collections::BTreeMap;
use std::fmt;

/// What the node shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aim {
    pub(crate) setup: Setup,
    pub(crate) version: K3sVersion,
}

/// What a restarted node must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) setup: Setup,
    pub(crate) paths: Paths,
    pub(crate) version: K3sVersion,
    /// The process must have been started at this time or later; `None`: when we restart it.
    pub(crate) since: Option<u64>,
}

impl Readiness {
    /// What becomes ready.
    pub(crate) fn name(&self) -> String {
        if self.paths.has_agent {
            format!("node {}", self.paths.node)
        } else {
            "the API server".to_owned()
        }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to be Ready with k3s {}", self.name(), self.version)
    }
}

/// What must be found in the files after the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) setup: Setup,
    pub(crate) config_hashes: BTreeMap<String, String>,
    pub(crate) paths: Paths,
}
