//! What Proxmox does as a task: under the container's lock file, and with its own words on standard output.

use super::{QUERY_LIMIT, Status, call, locked, status};
use crate::{Command, Failure, Host, Kind, Output, Waited, wait_until};
use anyhow::Result;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Starts a stopped container, and returns whether it was us who did; under HA that is only asked for.
pub fn start(host: &dyn Host, vmid: u32, limit: Duration) -> Result<bool> {
    let doing = format!("starting container {vmid}");
    let output = task(host, vmid, &["start", &vmid.to_string()], limit, &doing)?;
    if output.ok() {
        return Ok(true);
    }
    // Somebody else was quicker; that is what we wanted.
    if status(host, vmid).is_ok_and(|status| status.running) {
        return Ok(false);
    }
    Err(failed(host, vmid, output, &doing, Kind::ContainerStopped))
}

/// Waits until commands can run in a container that was started, and its init has come up.
pub fn wait_booted(host: &dyn Host, inside: &dyn Host, vmid: u32, limit: Duration) -> Result<()> {
    match wait_until(host, limit, LOOK_EVERY, || booted(inside))? {
        Waited::Done(()) => Ok(()),
        Waited::GaveUp { missing, after } => {
            let detail = format!(
                "it was started and did not come up within {} s; last seen: {missing}. See `pct status {vmid}` there, and, \
                 where the HA manager has to start it, `ha-manager status`",
                after.as_secs()
            );
            Err(Failure::new(Kind::TimedOut, inside.location(), detail).into())
        }
    }
}

/// `Ok(Err(text))`: not yet.
fn booted(inside: &dyn Host) -> Result<Result<(), String>> {
    // `degraded` is as booted as `running`.
    let look = Command::script(include_str!("booted.sh"));
    match inside.run(&look.within(QUERY_LIMIT)) {
        Ok(output) if output.ok() || output.text().trim() == "degraded" => Ok(Ok(())),
        Ok(output) => Ok(Err(format!("systemd is {}", output.text().trim()))),
        // The HA manager may have moved it, and then it does not come up here.
        Err(error) if gone(&error) => Err(error),
        Err(error) => Ok(Err(format!("{error:#}"))),
    }
}

fn gone(error: &anyhow::Error) -> bool {
    let kind = Failure::of(error).map(|failure| failure.kind);
    matches!(kind, Some(Kind::ContainerElsewhere | Kind::ContainerMissing))
}

/// Takes a snapshot; a running container is frozen for the moment that the storage needs.
pub fn take_snapshot(
    host: &dyn Host,
    vmid: u32,
    name: &str,
    description: &str,
    limit: Duration,
) -> Result<()> {
    let doing = format!("taking the snapshot {name} of container {vmid}");
    let id = vmid.to_string();
    let argv = ["snapshot", &id, name, "--description", description];
    done(host, vmid, &argv, limit, &doing)
}

pub fn remove_snapshot(host: &dyn Host, vmid: u32, name: &str, limit: Duration) -> Result<()> {
    let doing = format!("removing the snapshot {name} of container {vmid}");
    done(
        host,
        vmid,
        &["delsnapshot", &vmid.to_string(), name],
        limit,
        &doing,
    )
}

fn done(host: &dyn Host, vmid: u32, argv: &[&str], limit: Duration, doing: &str) -> Result<()> {
    let output = task(host, vmid, argv, limit, doing)?;
    if output.ok() {
        return Ok(());
    }
    Err(failed(host, vmid, output, doing, Kind::CommandFailed))
}

/// Runs a task, again while another one holds the lock file: `pct` itself stops waiting for it after ten seconds, before it has
/// done anything. What a task says is on its standard output, the last word of a failure on standard error.
fn task(host: &dyn Host, vmid: u32, argv: &[&str], limit: Duration, doing: &str) -> Result<Output> {
    let lock_file = format!("/run/lock/lxc/pve-config-{vmid}.lock'");
    let waited = wait_until(host, limit, LOOK_EVERY, || {
        let output = call(host, argv, limit, doing).map_err(|error| timed_out(error, vmid, doing))?;
        let busy = !output.ok() && output.error_text().contains(&lock_file);
        Ok(if busy {
            Err(output.error_text())
        } else {
            Ok(output)
        })
    })?;
    match waited {
        Waited::Done(output) => {
            let stderr = [&*output.stdout, &*output.stderr].concat();
            Ok(Output { stderr, ..output })
        }
        Waited::GaveUp { missing, .. } => {
            let detail = format!(
                "{doing}: another Proxmox task is running on the container: {}. Let that one end, then run this again",
                missing.trim()
            );
            Err(Failure::new(Kind::ContainerLocked, host.location(), detail).into())
        }
    }
}

fn timed_out(error: anyhow::Error, vmid: u32, doing: &str) -> anyhow::Error {
    match Failure::of(&error) {
        Some(failure) if failure.kind == Kind::TimedOut => {
            let detail = format!(
                "{doing}: {}; what it had begun may go on, or have left its lock: see `pct status {vmid} --verbose` there",
                failure.detail
            );
            Failure::new(Kind::TimedOut, &failure.location, detail).into()
        }
        _ => error,
    }
}

/// Why a task failed: a lock that came in between, a container that is gone, else what was said.
fn failed(host: &dyn Host, vmid: u32, output: Output, doing: &str, kind: Kind) -> anyhow::Error {
    let said = format!("{doing} {}", output.ending());
    match status(host, vmid) {
        Err(error) => error.context(said),
        Ok(Status { lock: Some(lock), .. }) => {
            let location = format!("container {vmid} on {}", host.location());
            anyhow::Error::new(locked(location, vmid, &lock)).context(said)
        }
        Ok(_) => Failure::new(kind, host.location(), said)
            .with_output(output)
            .into(),
    }
}
