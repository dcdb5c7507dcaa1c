//! A node after the restore: the restored cluster hears from its kubelet, or is made to by a restart of its agent.

use anyhow::{Context, Result, bail};
use host::{Host, Waited, wait_until};
use k3s_node::facts::{Facts, rfc3339};
use k3s_node::{NodeSettings, Program, Role, Show, words};
use serde_json::Value;
use std::time::{Duration, SystemTime};

const LOOK: &str = include_str!("programs/node.sh");
const RESTART: &str = include_str!("programs/restart-agent.sh");

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A kubelet renews its Lease every 10 s, and is given up after 40.
const FRESH: u64 = 40;
/// For another module's program that is still running there.
const TURN: u64 = 60;

/// What is missing, where anything is.
pub struct Node {
    pub(crate) role: Role,
    pub(crate) unit: String,
    pub(crate) missing: Option<String>,
}

/// Of a node without k3s, what the unit of a server would be.
fn unit_of(settings: &NodeSettings) -> (Role, String) {
    let role = settings.role().unwrap_or(Role::Server);
    (role, settings.units[&role].name.clone())
}

fn program(settings: &NodeSettings) -> Program {
    Program::new(&settings.binary)
        .with("data", &settings.settings().data_dir())
        .with("unit", &unit_of(settings).1)
}

/// Waits a moment: a node comes back by itself, unless the restored cluster does not know it.
pub(crate) fn look(host: &dyn Host, name: &str, patience: Duration) -> Result<Node> {
    let settings = NodeSettings::look(host)?;
    let (role, unit) = unit_of(&settings);
    let waited = wait_until(host, patience, LOOK_EVERY, || {
        let look = program(&settings).with("node", name).end(LOOK);
        let output = host.run(&look)?.succeed(&host.place(), "checking the node")?;
        let missing = missing(&output.stdout, role, &unit, host.now()).with_context(|| host.place())?;
        Ok(missing.map_or(Ok(()), Err))
    })?;
    let missing = match waited {
        Waited::Done(()) => None,
        Waited::GaveUp { missing, .. } => Some(missing),
    };
    Ok(Node { role, unit, missing })
}

pub(crate) fn restart_agent(host: &dyn Host, name: &str, limit: Duration) -> Result<()> {
    let settings = NodeSettings::look(host)?;
    let unit = unit_of(&settings).1;
    host.run(&program(&settings).end_after_turn(TURN, RESTART, Duration::from_mins(1)))?
        .succeed(&host.place(), &format!("restarting {unit}"))?;
    match look(host, name, limit)?.missing {
        None => Ok(()),
        Some(missing) => bail!(
            "{}: the node {name} is not back {} s after its agent was restarted: {missing}. The journal of {unit} says why",
            host.place(),
            limit.as_secs()
        ),
    }
}

fn missing(bytes: &[u8], role: Role, unit: &str, now: SystemTime) -> Result<Option<String>> {
    let facts = Facts::parse(bytes)?;
    let show = Show::of(&facts, unit);
    if !show.is_alive() {
        return Ok(Some(format!("{unit} is {}", show.active)));
    }
    // A server may run without a kubelet; it has no node then.
    if role == Role::Server && facts.lossy("kubelet").is_none() {
        return Ok(None);
    }
    let Some(text) = facts.lossy("node") else {
        return Ok(Some(
            "the cluster has no such node, or does not answer it".to_owned(),
        ));
    };
    let list: Value = serde_json::from_str(&text).context("reading the node as kubectl printed it")?;
    let of = |kind: &str| {
        list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|item| item["kind"] == kind)
    };
    if !of("Node").is_some_and(is_ready) {
        return Ok(Some("the node is not Ready".to_owned()));
    }
    let renewed = of("Lease").and_then(|lease| rfc3339(lease["spec"]["renewTime"].as_str()?));
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let is_stale = now.saturating_sub(renewed.unwrap_or(0)) > FRESH;
    let stale = "its kubelet has not spoken to the restored cluster yet".to_owned();
    Ok(is_stale.then_some(stale))
}

pub(crate) fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter()
            .any(|it| it["type"] == "Ready" && it["status"] == "True")
    })
}

/// The Secrets by which the cluster knows the nodes' passwords, of those of these nodes that are there.
pub(crate) fn passwords(host: &dyn Host, binary: &str, nodes: &[String]) -> Result<Vec<String>> {
    let ask = "\"$binary\" kubectl --request-timeout=30s get secret -n kube-system -o name </dev/null\n";
    let output = host.run(&Program::new(binary).end(ask))?;
    let output = output.succeed(&host.place(), "asking for the passwords of nodes")?;
    let there = output.text();
    let wanted = nodes
        .iter()
        .map(|node| format!("{}.node-password.k3s", node.to_lowercase()));
    Ok(wanted
        .filter(|name| {
            there
                .lines()
                .any(|line| line.strip_prefix("secret/") == Some(name))
        })
        .collect())
}

/// The nodes may register again with the passwords that they have.
pub(crate) fn forget_passwords(host: &dyn Host, binary: &str, secrets: &[String]) -> Result<()> {
    let names: Vec<String> = secrets.iter().map(|name| words::shell(name)).collect();
    let forget = format!(
        "\"$binary\" kubectl --request-timeout=30s delete secret -n kube-system --ignore-not-found {} </dev/null\n",
        names.join(" ")
    );
    host.run(&Program::new(binary).end(&forget))?
        .succeed(&host.place(), "letting nodes register again")
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_366_949;

    fn judged(role: Role, active: &str, node: Option<&str>) -> Option<String> {
        let unit = role.unit();
        let show = format!("Id={unit}\nActiveState={active}\n");
        let frame = |name: &str, text: &str| format!("@{name} {}\n{text}\n", text.len());
        let kubelet = node.map(|node| [frame("kubelet", "yes"), frame("node", node)].concat());
        let bytes = [
            frame("show", &show),
            kubelet.unwrap_or_default(),
            frame("end", ""),
        ]
        .concat();
        missing(
            bytes.as_bytes(),
            role,
            unit,
            SystemTime::UNIX_EPOCH + Duration::from_secs(NOW),
        )
        .unwrap()
    }

    fn of_agent(active: &str, node: &str) -> Option<String> {
        judged(Role::Agent, active, Some(node))
    }

    fn node(ready: &str, renewed: &str) -> String {
        format!(
            r#"{{"kind":"List","items":[{{"kind":"Node","status":{{"conditions":[{{"type":"Ready","status":"{ready}"}}]}}}},
            {{"kind":"Lease","spec":{{"renewTime":"{renewed}"}}}}]}}"#
        )
    }

    #[test]
    fn a_node_is_back_when_its_kubelet_speaks() {
        assert_eq!(
            of_agent("active", &node("True", "2026-11-22T17:02:20.000000Z")),
            None
        );
        let stale = of_agent("active", &node("True", "2026-11-22T16:02:20.000000Z")).unwrap();
        assert!(stale.contains("has not spoken"), "{stale}");
        let unknown = of_agent("active", &node("Unknown", "2026-11-22T17:02:20.000000Z")).unwrap();
        assert!(unknown.contains("not Ready"), "{unknown}");
        assert!(of_agent("active", "").unwrap().contains("no such node"));
        assert!(
            of_agent("failed", "")
                .unwrap()
                .contains("k3s-agent.service is failed")
        );
    }

    #[test]
    fn a_server_without_a_kubelet_has_no_node_to_wait_for() {
        assert_eq!(judged(Role::Server, "active", None), None);
        assert!(judged(Role::Agent, "active", None).is_some());
    }
}
