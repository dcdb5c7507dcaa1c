//! Of the answer of `k3s_install`.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Install {
    /// The record of an installation that an earlier run began and did not finish.
    pub record: Option<Record>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    pub version: String,
    pub run_id: Option<String>,
    pub saved_at: u64,
    pub proven: bool,
}
