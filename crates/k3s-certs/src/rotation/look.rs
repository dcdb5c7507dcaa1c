//! Which k3s a node has, and how it stands.

use super::{MARK, Paths, Role, Service};
use anyhow::{Context, Result, bail};
use host::Host;
use k3s_node::probe::Is;
use k3s_node::{Facts, NodeSettings, Probe, Show, UnitFiles, unit};
use std::time::Duration;

/// A container that is busy answers late.
const LIMIT: Duration = Duration::from_mins(2);

/// Looks; nothing is changed.
pub fn look(host: &dyn Host, node: &NodeSettings, paths: &Paths) -> Result<Service> {
    let questions = Probe::new()
        .is("kubeconfig", Is::There, &paths.kubeconfig)
        .is("marked", Is::There, MARK);
    let output = host
        .run(&questions.command(&node.binary).within(LIMIT))?
        .succeed(&host.location(), "looking for the k3s service")?;
    let facts = Facts::parse(&output.stdout).with_context(|| host.location())?;
    service(node, &facts, paths).with_context(|| host.location())
}

/// `there`: whether there is a kubeconfig, and the mark of a renewal.
pub(super) fn service(node: &NodeSettings, there: &Facts, paths: &Paths) -> Result<Service> {
    if !node.systemd {
        bail!("systemd does not run there: only a k3s that it runs can be restarted here");
    }
    if let Some(why) = node.unreadable() {
        bail!("{why}");
    }
    let role = role(node)?;
    let UnitFiles { name, show, .. } = &node.units[&role];
    let setup = node.units.on_disk_of(role);
    let setup = setup
        .map_err(|why| anyhow::anyhow!("the unit {} cannot be read: {why}", unit::path(name)))?
        .with_context(|| format!("there is no unit {name}"))?;
    Ok(Service {
        role,
        unit: name.clone(),
        binary: setup.binary,
        alive: show.is_alive(),
        enabled: is_enabled(show),
        marked: there.has("marked"),
        kubeconfig: match role {
            Role::Server => there.has("kubeconfig").then(|| paths.kubeconfig.clone()),
            Role::Agent => Some(format!("{}/agent/kubelet.kubeconfig", paths.data_dir)),
        },
        data_dir: paths.data_dir.clone(),
    })
}

fn is_enabled(show: &Show) -> bool {
    show.enabled.starts_with("enabled")
}

/// The unit that is this node's; of two the one that runs, else the one that would.
fn role(node: &NodeSettings) -> Result<Role> {
    let unit = |role: &Role| &node.units[role];
    let there = |role: &Role| unit(role).text.is_some() && unit(role).show.load != "masked";
    let there: Vec<Role> = Role::ALL.into_iter().filter(there).collect();
    let of = |wanted: &dyn Fn(&Show) -> bool| -> Vec<Role> {
        let wanted = |role: &Role| wanted(&unit(role).show);
        there.iter().copied().filter(wanted).collect()
    };
    let (alive, enabled) = (of(&Show::is_alive), of(&is_enabled));
    for candidates in [&there, &alive, &enabled] {
        if let [role] = candidates.as_slice() {
            return Ok(*role);
        }
    }
    if there.is_empty() {
        bail!("there is no unit that could run k3s: k3s is not installed here, or masked");
    }
    let [server, agent] = Role::ALL.map(|role| &node.units[&role].name);
    bail!(
        "there is a {server} and a {agent}, and it is not clear which is this node's: disable the other one (`systemctl disable --now`)"
    )
}
