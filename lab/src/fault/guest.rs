//! Troubles of a container: its power, its locks, its disk, its configuration.

use super::certificates;
use super::network::{API_PORT, firewall};
use super::packages;
use crate::container::{self, DISK, exec, pct};
use crate::layout::{Node, Role};
use crate::namespace;
use crate::paths;
use crate::pct::faults::Faults;
use crate::sshd;
use crate::state::State;
use crate::up::write_vmlist;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;

pub(super) fn power(state: &State, container: &str, verb: &str) -> Result<()> {
    let node = state.node(container)?;
    pct(&node, [verb, &node.vmid.to_string()]).run().map(drop)
}

pub(super) fn set_property(state: &State, container: &str, reason: &str) -> Result<()> {
    let node = state.node(container)?;
    pct(&node, ["set", &node.vmid.to_string(), "--lock", reason])
        .run()
        .map(drop)
}

pub(super) fn hold_lock(node: &Node, seconds: u32) -> Result<()> {
    let file = format!("/run/lock/lxc/pve-config-{}.lock", node.vmid);
    sshd::daemon(
        &node.host,
        "hold-lock",
        &format!("exec flock {file} sleep {seconds}"),
    )
}

pub(super) fn lxc(state: &State, container: &str, program: &str) -> Result<()> {
    let node = state.node(container)?;
    namespace::on(&node.host.name, [program, "-n", &node.vmid.to_string()])
        .run()
        .map(drop)
}

pub(super) fn of_pct(state: &State, container: &str, change: impl FnOnce(&mut Faults)) -> Result<()> {
    let node = state.node(container)?;
    let path = paths::run(&format!("faults/{}.json", node.vmid));
    let mut faults: Faults = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?,
        Err(_) => Faults::default(),
    };
    change(&mut faults);
    fs::write(&path, serde_json::to_string(&faults)?).with_context(|| format!("writing {}", path.display()))
}

fn disk(node: &Node) -> String {
    format!("/var/lib/lxc/{}/disk", node.vmid)
}

/// The disk shrinks around what is on it: as full as a full one, and nothing to write or to remove.
pub(super) fn full_disk(node: &Node, left: u64) -> Result<()> {
    let used = namespace::on(&node.host.name, ["df", "--output=used", "-k", &disk(node)]).run()?;
    let used: u64 = used
        .lines()
        .last()
        .unwrap_or_default()
        .trim()
        .parse()
        .context("reading what df says")?;
    resize(node, &format!("{}k", used + left))
}

fn resize(node: &Node, size: &str) -> Result<()> {
    let remount = ["mount", "-o", &format!("remount,size={size}"), &disk(node)];
    namespace::on(&node.host.name, remount).run().map(drop)
}

/// Takes the configuration away from where it is, and remembers it for `clear`.
pub(super) fn move_conf(state: &State, container: &str, to: Option<&str>) -> Result<()> {
    let node = state.node(container)?;
    let home = container::conf_path(&node);
    if !home.exists() {
        bail!(
            "moving the configuration of container {}: not on its host any more; `lab fault clear` brings it back",
            node.vmid
        );
    }
    let kept = kept_conf(&node);
    fs::copy(&home, &kept).with_context(|| format!("keeping {}", home.display()))?;
    if let Some(host) = to {
        let mut there = node.clone();
        there.host = state.host(host)?;
        fs::copy(&home, container::conf_path(&there))
            .with_context(|| format!("moving {}", home.display()))?;
    }
    fs::remove_file(&home).with_context(|| format!("removing {}", home.display()))?;
    write_vmlist(state)
}

fn kept_conf(node: &Node) -> PathBuf {
    paths::run(&format!("faults/{}.conf", node.vmid))
}

fn bring_conf_back(state: &State, node: &Node) -> Result<()> {
    let kept = kept_conf(node);
    if !kept.exists() {
        return Ok(());
    }
    for host in state.hosts().into_iter().filter(|host| *host != node.host) {
        // Wherever it is not, there is nothing to remove.
        let _ = fs::remove_file(container::conf_path(&Node { host, ..node.clone() }));
    }
    fs::rename(&kept, container::conf_path(node))
        .with_context(|| format!("bringing {} back", kept.display()))?;
    write_vmlist(state)
}

pub(super) fn pause_install(node: &Node, step: Option<&str>) -> Result<()> {
    let script = match step {
        Some(_) => "cat > /etc/lab/install-pause",
        None => "rm -f /etc/lab/install-pause",
    };
    exec(node, ["sh", "-c", script])
        .stdin(step.unwrap_or_default())
        .run()
        .map(drop)
}

pub(super) fn rebuild(state: &State, node: &Node) -> Result<()> {
    let vmid = node.vmid.to_string();
    // Stopped already is as good.
    pct(node, ["stop", &vmid]).output()?;
    namespace::on(&node.host.name, ["umount", &disk(node)]).run()?;
    container::define(node, &state.options)?;
    container::start(node)?;
    container::wait_for_systemd(node)
}

pub(super) fn kill(node: &Node, pattern: &str) -> Result<()> {
    let output = exec(node, ["pkill", "-KILL", "-f", pattern]).output()?;
    if output.code != 0 {
        bail!("killing {pattern:?} in container {}: no such process", node.vmid);
    }
    Ok(())
}

/// Puts a container back into order, whatever was done to it.
pub(super) fn restore(state: &State, node: &Node) -> Result<()> {
    let faults = paths::run(&format!("faults/{}.json", node.vmid));
    if faults.exists() {
        fs::remove_file(&faults).with_context(|| format!("removing {}", faults.display()))?;
    }
    bring_conf_back(state, node)?;
    resize(node, DISK)?;
    let vmid = node.vmid.to_string();
    let conf = fs::read_to_string(container::conf_path(node)).unwrap_or_default();
    if conf
        .lines()
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.starts_with("lock:"))
    {
        pct(node, ["unlock", &vmid]).run()?;
    }
    namespace::on(&node.host.name, ["lxc-unfreeze", "-n", &vmid]).output()?;
    let status = pct(node, ["status", &vmid]).run()?;
    if status.trim() == "status: stopped" {
        container::start(node)?;
        container::wait_for_systemd(node)?;
    }
    let mut script =
        "set -e\nrm -f /etc/lab/faults.json /etc/lab/install-pause /etc/lab/rotate-pause\n".to_owned();
    script.push_str(&certificates::restore());
    script.push_str(packages::REPAIR);
    if node.role == Role::Controller {
        script.push_str(&firewall(API_PORT, None));
    }
    exec(node, ["sh", "-s"]).stdin(script).run().map(drop)
}
