//! The process that a real pod leaves running when k3s is stopped. One stands for all pods of the node; it does nothing
//! but be there, under the name that `k3s-killall.sh` looks for.

use crate::config::Config;
use crate::log;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::Path;
use std::process::{Command, Stdio};

/// Starts it unless it is there from before. Only systemd's own child does: whatever else starts a k3s, as a test on
/// the loopback, ends it and expects nothing to be left.
pub(super) fn ensure(config: &Config) {
    if parent_id() != 1 {
        return;
    }
    let program = config.unpacked().join("bin/containerd-shim-runc-v2");
    let below = config.data_dir.join("data");
    if let Err(error) = is_there(&below).and_then(|there| if there { Ok(()) } else { start(&program) }) {
        log::error(&format!("Starting the shim of this node's pods: {error:#}"));
    }
}

fn is_there(below: &Path) -> Result<bool> {
    let below = format!("{}/", below.display());
    for process in fs::read_dir("/proc")? {
        // It may end while it is looked at.
        let line = fs::read_to_string(process?.path().join("cmdline")).unwrap_or_default();
        if line.starts_with(&below) && line.contains("/containerd-shim") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn start(program: &Path) -> Result<()> {
    let mut sleep = Command::new("/bin/sleep");
    sleep.arg0(program).arg("infinity").process_group(0);
    for stream in [Command::stdin, Command::stdout, Command::stderr] {
        stream(&mut sleep, Stdio::null());
    }
    sleep.spawn().context("running /bin/sleep")?;
    Ok(())
}
