//! What is true of the container before a snapshot is taken.

use host::pct::Status;
use std::time::SystemTime;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The container and its host, for messages.
    pub location: String,
    pub status: Status,
    /// The names of all its snapshots.
    pub snapshots: Vec<String>,
    pub now: SystemTime,
}
