//! Of the answer of `k3s_archive`: a backup and, of a snapshot of k3s's own, whether k3s lists it.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    pub path: Option<String>,
    pub bytes: Option<u64>,
    pub sha256: Option<String>,
    pub listed: Option<bool>,
}
