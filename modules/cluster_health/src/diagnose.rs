//! What the service says where its API does not answer.

use crate::state::{Api, Service};
use host::{Command, Host};
use k3s_types::mask;
use std::time::Duration;

/// A screenful, and no more than that from a log that is not ours.
const LINES: usize = 20;
const LONGEST: usize = 300;
/// Neither does more than read.
const LIMIT: Duration = Duration::from_secs(15);

/// Looks at the service and at the end of its log.
pub(crate) fn service(name: &str, host: &dyn Host, api: &mut Api) {
    let show = ["systemctl", "show", name, "--property", Service::PROPERTIES];
    if let Ok(output) = host.run(&Command::new(show).within(LIMIT)) {
        api.service = output.ok().then(|| Service::parse(name, &output.text()));
    }
    let lines = LINES.to_string();
    let log = [
        "journalctl",
        "--unit",
        name,
        "--lines",
        &lines,
        "--no-pager",
        "--output",
        "cat",
    ];
    if let Ok(output) = host.run(&Command::new(log).within(LIMIT)) {
        let text = output.text();
        let last: Vec<&str> = text.lines().collect();
        let last = &last[last.len().saturating_sub(LINES)..];
        api.log = last.iter().map(|line| shown(line)).collect();
    }
}

fn shown(line: &str) -> String {
    // Masked before it is cut: half a secret would not be recognised.
    mask::log_line(line)
        .chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST)
        .collect()
}
