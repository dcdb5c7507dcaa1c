//! Which k3s a node has, and how it stands.

use super::{Places, Role, Service};
use anyhow::{Context, Result, bail};
use host::{Command, Host};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// A container that is busy answers late.
const LIMIT: Duration = Duration::from_mins(2);

/// Looks; nothing is changed.
pub fn look(host: &dyn Host, places: &Places) -> Result<Service> {
    let script = format!(
        "{}{}",
        variables(&[("kubeconfig", &places.kubeconfig)]),
        include_str!("look.sh")
    );
    let output = host
        .run(&Command::script(script).within(LIMIT))?
        .succeed(&host.place(), "looking for the k3s service")?;
    parse(&output.text(), places).with_context(|| host.place())
}

/// Shell assignments, to stand before a script.
pub(super) fn variables(values: &[(&str, &str)]) -> String {
    values.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name}='{}'", value.replace('\'', "'\\''"));
        text
    })
}

pub(super) fn parse(text: &str, places: &Places) -> Result<Service> {
    let facts: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let yes = |key: &str| facts.get(key) == Some(&"yes");
    if facts.get("systemd") == Some(&"no") {
        bail!("there is no systemctl: only a k3s that systemd runs can be restarted here");
    }
    let role = role(&facts)?;
    let fact = |key: &str| {
        let value = facts.get(format!("{}:{key}", role.unit()).as_str());
        value.copied().unwrap_or_default()
    };
    let binary = match fact("binary") {
        "" => "/usr/local/bin/k3s",
        binary => binary,
    };
    Ok(Service {
        role,
        binary: binary.to_owned(),
        alive: is_alive(fact("ActiveState")),
        enabled: fact("UnitFileState").starts_with("enabled"),
        marked: yes("marked"),
        kubeconfig: match role {
            Role::Server => yes("kubeconfig").then(|| places.kubeconfig.clone()),
            Role::Agent => Some(format!("{}/agent/kubelet.kubeconfig", places.data_dir)),
        },
        data_dir: places.data_dir.clone(),
    })
}

fn is_alive(state: &str) -> bool {
    matches!(state, "active" | "activating" | "reloading")
}

/// The unit that is this node's; of two the one that runs, else the one that would.
fn role(facts: &BTreeMap<&str, &str>) -> Result<Role> {
    let fact = |role: Role, key: &str| {
        let value = facts.get(format!("{}:{key}", role.unit()).as_str());
        value.copied().unwrap_or_default()
    };
    let loaded: Vec<Role> = [Role::Server, Role::Agent]
        .into_iter()
        .filter(|role| fact(*role, "LoadState") == "loaded")
        .collect();
    let of = |wanted: &dyn Fn(Role) -> bool| -> Vec<Role> {
        loaded.iter().copied().filter(|role| wanted(*role)).collect()
    };
    let alive = of(&|role| is_alive(fact(role, "ActiveState")));
    let enabled = of(&|role| fact(role, "UnitFileState").starts_with("enabled"));
    for candidates in [&loaded, &alive, &enabled] {
        if let [role] = candidates.as_slice() {
            return Ok(*role);
        }
    }
    if loaded.is_empty() {
        bail!(
            "there is neither a k3s.service nor a k3s-agent.service that could run: k3s is not installed here, or masked"
        );
    }
    bail!(
        "there is a k3s.service and a k3s-agent.service, and it is not clear which is this node's: disable the other one (`systemctl disable --now`)"
    )
}
