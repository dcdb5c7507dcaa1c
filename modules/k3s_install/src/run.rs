//! Running a program on the node.

use anyhow::Result;
use host::{Command, Host};

/// Runs a program that must succeed, and returns what it printed.
pub(crate) fn done(host: &dyn Host, command: &Command, doing: &str) -> Result<String> {
    Ok(host
        .run(command)?
        .succeed(&host.location(), doing)?
        .text()
        .trim()
        .to_owned())
}
