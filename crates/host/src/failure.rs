//! Why a command could not do what it was for, as a value that a caller can branch on.

use crate::Output;
use serde::Serialize;
use std::fmt;

/// The kinds that `pct_exec` answers in `failure.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// There is no `pct`, or it may not be run.
    PctMissing,
    ContainerMissing,
    ContainerElsewhere,
    ContainerStopped,
    ContainerLocked,
    AttachFailed,
    CommandNotFound,
    CommandFailed,
    TimedOut,
}

/// One failure: what, where, and what was printed until then.
#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: Kind,
    pub location: String,
    pub detail: String,
    pub output: Option<Output>,
}

impl Failure {
    pub fn new(kind: Kind, location: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind,
            location: location.into(),
            detail: detail.into(),
            output: None,
        }
    }

    #[must_use]
    pub fn with_output(mut self, output: Output) -> Self {
        self.output = Some(output);
        self
    }

    /// The failure inside an error, whatever was said around it.
    pub fn of(error: &anyhow::Error) -> Option<&Failure> {
        error.chain().find_map(|cause| cause.downcast_ref())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.detail)
    }
}

impl std::error::Error for Failure {}
