//! What is true of the container before anything is run in it.

use host::pct::Status;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The container and its host, for messages.
    pub location: String,
    pub status: Status,
    /// Why there is nothing to do: the sentence about `creates` or `removes`. `None` also where a stopped
    /// container could not be asked.
    pub needless: Option<String>,
}

impl State {
    pub fn running(location: String) -> Self {
        Self {
            location,
            status: Status {
                running: true,
                lock: None,
            },
            needless: None,
        }
    }

    pub fn status_word(&self) -> &'static str {
        if self.status.running { "running" } else { "stopped" }
    }
}
