//! What we ask of Proxmox's `pct`, besides running commands in containers.

mod config;
mod task;

pub use config::{Config, config, config_path};
pub use task::{remove_snapshot, start, take_snapshot, wait_booted};

use crate::{Command, Failure, Host, Kind, Output};
use anyhow::{Context, Result};
use std::time::Duration;

/// `pct` is Perl and loads the cluster's configuration: a second on a busy host, more while pmxcfs is slow.
const QUERY_LIMIT: Duration = Duration::from_secs(30);

/// A container as `pct status --verbose` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub running: bool,
    /// The operation that holds the container's configuration: `backup`, `snapshot`, `migrate` …
    pub lock: Option<String>,
}

/// Where a vmid is that does not belong to a container of this Proxmox host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    pub node: String,
    pub virtual_machine: bool,
}

/// Calls `pct`, and says what for where even that cannot be done.
fn call(host: &dyn Host, argv: &[&str], limit: Duration, doing: &str) -> Result<Output> {
    let argv = std::iter::once("pct").chain(argv.iter().copied());
    host.run(&Command::new(argv).within(limit))
        .map_err(not_to_be_had)
        .with_context(|| doing.to_owned())
}

/// Without `pct` the host is not a Proxmox host; it is not a command in a container that is missing.
pub(crate) fn not_to_be_had(error: anyhow::Error) -> anyhow::Error {
    match Failure::of(&error) {
        Some(failure) if failure.kind == Kind::CommandNotFound => {
            let detail = format!(
                "{}: is this a Proxmox host, and the task root's there?",
                failure.detail
            );
            Failure::new(Kind::PctMissing, &failure.location, detail).into()
        }
        _ => error,
    }
}

/// Asks for the state; the vmid of anything but a container of this Proxmox host is a [`Failure`] that says what it is.
pub fn status(host: &dyn Host, vmid: u32) -> Result<Status> {
    let id = vmid.to_string();
    let doing = format!("asking pct for the state of container {vmid}");
    let ask = |argv: &[&str]| call(host, argv, QUERY_LIMIT, &doing);
    let mut output = ask(&["status", &id, "--verbose"])?;
    if !output.ok() {
        output = ask(&["status", &id])?;
    }
    if output.ok() {
        return Ok(parse_status(&output.text()));
    }
    // The exit status of `pct` is incidental; only this text distinguishes "no such container" from "pct is broken".
    if says_missing(&output, vmid) {
        return Err(missing(host, vmid).into());
    }
    let detail = format!("{doing} {}{}", output.ending(), not_root(host));
    Err(Failure::new(Kind::AttachFailed, host.location(), detail)
        .with_output(output)
        .into())
}

/// By how a line ends: a warning may speak of other things that do not exist.
fn says_missing(output: &Output, vmid: u32) -> bool {
    let end = format!("/lxc/{vmid}.conf' does not exist");
    output.error_text().lines().any(|line| line.ends_with(&end))
}

/// `pct` says it in different words, as far as it gets. Not root's is what the user's id says.
fn not_root(host: &dyn Host) -> String {
    match host.run(&Command::new(["id", "-u"])) {
        Ok(output) if output.ok() && output.text().trim() != "0" => format!(
            "; this is user {}, and pct is for root alone: log in as root, or set become: true",
            output.text().trim()
        ),
        _ => String::new(),
    }
}

fn parse_status(text: &str) -> Status {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            line.strip_prefix(key)?
                .strip_prefix(": ")
                .map(|value| value.trim().to_owned())
        })
    };
    Status {
        running: value("status").as_deref() == Some("running"),
        lock: value("lock"),
    }
}

/// A running container, without starting a process: lxc's command socket, which is also what `pct` looks at.
/// `false` means only that one has to ask.
pub fn seen_running(host: &dyn Host, vmid: u32) -> bool {
    let socket = format!("@/var/lib/lxc/{vmid}/command");
    let sockets = host.read("/proc/net/unix").ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&sockets)
        .lines()
        .any(|line| line.ends_with(&socket))
}

pub(crate) fn missing(host: &dyn Host, vmid: u32) -> Failure {
    let location = host.location();
    match elsewhere(host, vmid) {
        Some(Elsewhere {
            node,
            virtual_machine: true,
        }) => Failure::new(
            Kind::ContainerMissing,
            location,
            format!(
                "{vmid} is a virtual machine (on {node}), not a container: check pct_id in the inventory"
            ),
        ),
        Some(Elsewhere { node, .. }) => Failure::new(
            Kind::ContainerElsewhere,
            location,
            format!("container {vmid} is on the Proxmox host {node}: set pve_host to it in the inventory"),
        ),
        None => Failure::new(
            Kind::ContainerMissing,
            location,
            format!(
                "there is no container {vmid} on this Proxmox host: check pct_id and pve_host in the inventory"
            ),
        ),
    }
}

/// Looks the vmid up in the cluster's list of guests (JSON, kept by pmxcfs).
pub fn elsewhere(host: &dyn Host, vmid: u32) -> Option<Elsewhere> {
    #[derive(serde::Deserialize)]
    struct Guests {
        ids: std::collections::BTreeMap<String, Guest>,
    }
    #[derive(serde::Deserialize)]
    struct Guest {
        node: String,
        r#type: String,
    }
    let list = host.read("/etc/pve/.vmlist").ok()??;
    let mut guests: Guests = serde_json::from_slice(&list).ok()?;
    let guest = guests.ids.remove(&vmid.to_string())?;
    // A container that is listed for this very host has just gone, or come.
    if guest.r#type == "lxc" && guest.node == host.location() {
        return None;
    }
    Some(Elsewhere {
        node: guest.node,
        virtual_machine: guest.r#type == "qemu",
    })
}

/// Fails unless a container runs and no task of Proxmox holds it: a snapshot would freeze us half-way.
pub fn is_free(host: &dyn Host, vmid: u32) -> Result<()> {
    let status = status(host, vmid)?;
    if let Some(lock) = &status.lock {
        return Err(locked(format!("container {vmid} on {}", host.location()), vmid, lock).into());
    }
    if !status.running {
        let detail = format!("container {vmid} is stopped: start it with `pct start {vmid}`");
        return Err(Failure::new(Kind::ContainerStopped, host.location(), detail).into());
    }
    Ok(())
}

/// The refusal to touch a container that a Proxmox task holds; `location` is the container.
pub fn locked(location: impl Into<String>, vmid: u32, lock: &str) -> Failure {
    let detail =
        format!("it is locked ({lock}): let that task end, or, if it is long dead, run `pct unlock {vmid}`");
    Failure::new(Kind::ContainerLocked, location, detail)
}

/// The names of a container's snapshots, as its configuration has them: a section each. What `pct` shows of them is a
/// drawing of a tree.
pub fn snapshots(host: &dyn Host, vmid: u32) -> Result<Vec<String>> {
    let Some(text) = host.read(&config_path(vmid))? else {
        return Err(missing(host, vmid).into());
    };
    Ok(parse_snapshots(&String::from_utf8_lossy(&text)))
}

fn parse_snapshots(text: &str) -> Vec<String> {
    // Other sections than snapshots (`pve:pending`, `special:…`) have a colon, which no snapshot's name may have.
    text.lines()
        .filter_map(|line| line.trim().strip_prefix('[')?.strip_suffix(']'))
        .filter(|section| !section.contains(':'))
        .map(str::to_owned)
        .collect()
}

/// `pct exec` with a clean environment where it supports that (pve-container 5.0.9 and later).
pub(crate) fn exec(vmid: u32, keep_env_known: bool, loader: &str) -> Command {
    let mut argv = vec!["pct".to_owned(), "exec".to_owned(), vmid.to_string()];
    if keep_env_known {
        argv.push("--keep-env=0".to_owned());
    }
    argv.extend(["--", "/bin/sh", "-c", loader].map(str::to_owned));
    Command::new(argv)
}

/// What a `pct` older than the option says to `--keep-env`.
pub(crate) fn refuses_keep_env(noise: &str) -> bool {
    noise.contains("Unknown option: keep-env")
}

/// The state that explains why no command could be started.
pub(crate) fn explain(host: &dyn Host, vmid: u32, noise: &str) -> Failure {
    let location = host.location();
    let said = noise.trim();
    match status(host, vmid) {
        Err(error) => match Failure::of(&error) {
            Some(failure) => failure.clone(),
            None => Failure::new(
                Kind::AttachFailed,
                location,
                format!("{error:#}; pct exec said: {said}"),
            ),
        },
        Ok(Status { running: false, .. }) => Failure::new(
            Kind::ContainerStopped,
            location,
            format!("container {vmid} is stopped: start it with `pct start {vmid}`, or set ensure_started"),
        ),
        Ok(_) => Failure::new(
            Kind::AttachFailed,
            location,
            format!(
                "container {vmid} runs but accepts no command: {said}. Is it just starting or stopping? See `lxc-info -n {vmid}` there"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_status_is_read_by_key() {
        let text = "cpus: 2\nlock: backup\nname: k3s-1\nstatus: running\nvmid: 101\n";
        assert_eq!(
            parse_status(text),
            Status {
                running: true,
                lock: Some("backup".to_owned())
            }
        );
        assert_eq!(
            parse_status("status: stopped\n"),
            Status {
                running: false,
                lock: None
            }
        );
    }

    #[test]
    fn snapshots_are_sections_of_the_configuration() {
        let text = "#a [note]\narch: amd64\nparent: b\n\n[a]\narch: amd64\n\n[b]\nparent: a\n\n[pve:pending]\ncores: 2\n";
        assert_eq!(parse_snapshots(text), ["a", "b"]);
        assert_eq!(parse_snapshots("arch: amd64\n"), Vec::<String>::new());
    }

    #[test]
    fn the_loader_is_all_that_pct_is_given() {
        let command = exec(101, true, "loader");
        assert_eq!(
            command.argv,
            [
                "pct",
                "exec",
                "101",
                "--keep-env=0",
                "--",
                "/bin/sh",
                "-c",
                "loader"
            ]
        );
        assert_eq!(exec(101, false, "loader").argv[3], "--");
    }
}
