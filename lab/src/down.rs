//! Takes a lab down, complete or half-made, by what is found rather than by what was remembered.

use crate::cgroup;
use crate::namespace;
use crate::paths::{self, LINK, RUN};
use crate::process::Program;
use crate::progress::say;
use crate::state;
use crate::sysctl;
use crate::template;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;

/// Idempotent. Goes on after a failure, so that one obstacle does not keep the rest; reports the first.
pub fn take_down() -> Result<()> {
    let mut failures = Vec::new();
    let mut attempt = |outcome: Result<()>| failures.extend(outcome.err());
    let found = state::find();
    attempt(processes());
    attempt(link());
    attempt(template::clear_leftovers());
    match found {
        Ok(Some(state)) => attempt(sysctl::put_back(&state.sysctls)),
        Ok(None) => {}
        // A state that cannot be read must not keep the rest from going.
        Err(error) => say(&format!("{error:#}")),
    }
    attempt(remove_run());
    match failures.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(first.context("taking the lab down")),
    }
}

fn processes() -> Result<()> {
    // Such as a `lab shell`: it would keep its host alive.
    namespace::kill_inside();
    if !cgroup::sweep() {
        let left: Vec<_> = cgroup::processes()
            .iter()
            .map(|pid| pid.as_raw_nonzero().to_string())
            .collect();
        bail!("ending the lab's processes: left are {}", left.join(", "));
    }
    Ok(())
}

/// The link's other end lies in a namespace; removing this one removes both.
fn link() -> Result<()> {
    // Asked, as a /sys that was mounted elsewhere shows the links of there.
    if Program::new(["ip", "link", "show", LINK]).output()?.code == 0 {
        Program::new(["ip", "link", "delete", LINK]).run()?;
    }
    Ok(())
}

/// Only once nothing is mounted below: removing would go through a mount.
fn remove_run() -> Result<()> {
    template::unmount_below(Path::new(RUN))?;
    match fs::remove_dir_all(RUN) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", paths::run("").display()))
        }
        _ => Ok(()),
    }
}
