//! Which k3s a node has, and how it stands.

use super::{Places, Role, Service};
use anyhow::{Context, Result, bail};
use host::{Command, Host};
use k3s_node::{NodeSettings, Show, UnitFiles, unit};
use std::fmt::Write as _;
use std::time::Duration;

/// A container that is busy answers late.
const LIMIT: Duration = Duration::from_mins(2);

/// Looks; nothing is changed.
pub fn look(host: &dyn Host, node: &NodeSettings, places: &Places) -> Result<Service> {
    let script = format!(
        "{}{}",
        variables(&[("kubeconfig", &places.kubeconfig)]),
        include_str!("look.sh")
    );
    let output = host
        .run(&Command::script(script).within(LIMIT))?
        .succeed(&host.place(), "looking for the k3s service")?;
    service(node, &output.text(), places).with_context(|| host.place())
}

/// Shell assignments, to stand before a script.
pub(super) fn variables(values: &[(&str, &str)]) -> String {
    values.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name}='{}'", value.replace('\'', "'\\''"));
        text
    })
}

/// `there` is what the program printed: what is there, a word a line.
pub(super) fn service(node: &NodeSettings, there: &str, places: &Places) -> Result<Service> {
    let is_there = |word: &str| there.lines().any(|line| line == word);
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
        marked: is_there("marked"),
        kubeconfig: match role {
            Role::Server => is_there("kubeconfig").then(|| places.kubeconfig.clone()),
            Role::Agent => Some(format!("{}/agent/kubelet.kubeconfig", places.data_dir)),
        },
        data_dir: places.data_dir.clone(),
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
