//! An agent after the restore: its Node is alive, or is made so by a restart.

use anyhow::{Context, Result};
use host::{Host, wait_until};
use k3s_node::facts::{Facts, rfc3339};
use k3s_node::settings::DEFAULT_DATA;
use k3s_node::setup::DEFAULT_BINARY;
use k3s_node::{Program, Show};
use serde_json::Value;
use std::time::{Duration, SystemTime};

const LOOK: &str = include_str!("programs/agent.sh");
const RESTART: &str = include_str!("programs/restart-agent.sh");

/// An agent finds its servers again within seconds; one that is restarted fetches its certificates first.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A kubelet renews its Lease every 10 s, and is given up after 40.
const FRESH: u64 = 40;
/// For another module's program that is still at work there.
const TURN: u64 = 60;

/// What is missing, where anything is.
pub struct Agent {
    pub(crate) missing: Option<String>,
}

fn program() -> Program {
    Program::new(DEFAULT_BINARY).with("data", DEFAULT_DATA)
}

/// Waits a moment: an agent comes back by itself, unless the restored cluster does not know it.
pub(crate) fn look(host: &dyn Host, node: &str) -> Result<Agent> {
    wait(host, node, PATIENCE).map(|missing| Agent { missing })
}

pub(crate) fn restart(host: &dyn Host, node: &str, limit: Duration) -> Result<()> {
    host.run(&program().end_after_turn(TURN, RESTART, Duration::from_mins(1)))?
        .succeed(&host.place(), "restarting k3s-agent")?;
    match wait(host, node, limit)? {
        None => Ok(()),
        Some(missing) => anyhow::bail!(
            "{}: the node {node} is not back {} s after its agent was restarted: {missing}. If its journal says that the \
             node's password is rejected, `kubectl delete secret -n kube-system {node}.node-password.k3s`, and run again",
            host.place(),
            limit.as_secs()
        ),
    }
}

fn wait(host: &dyn Host, node: &str, limit: Duration) -> Result<Option<String>> {
    let waited = wait_until(host, limit, LOOK_EVERY, || {
        let look = program().with("node", node).end(LOOK);
        let output = host.run(&look)?.succeed(&host.place(), "looking at the agent")?;
        Ok(missing(&output.stdout, host.now())?.map_or(Ok(()), Err))
    })?;
    Ok(match waited {
        host::Waited::Done(()) => None,
        host::Waited::GaveUp { missing, .. } => Some(missing),
    })
}

fn missing(bytes: &[u8], now: SystemTime) -> Result<Option<String>> {
    let facts = Facts::parse(bytes)?;
    let show = Show::parse(&facts.lossy("show").unwrap_or_default())
        .remove("k3s-agent.service")
        .unwrap_or_default();
    if !show.is_alive() {
        return Ok(Some(format!("k3s-agent.service is {}", show.active)));
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
    let ready = of("Node")
        .and_then(|node| node["status"]["conditions"].as_array())
        .is_some_and(|all| {
            all.iter()
                .any(|it| it["type"] == "Ready" && it["status"] == "True")
        });
    if !ready {
        return Ok(Some("the node is not Ready".to_owned()));
    }
    let renewed = of("Lease").and_then(|lease| rfc3339(lease["spec"]["renewTime"].as_str()?));
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let age = now.saturating_sub(renewed.unwrap_or(0));
    Ok((age > FRESH).then(|| "its kubelet has not spoken to the restored cluster yet".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_366_949;

    fn judged(active: &str, node: &str) -> Option<String> {
        let show = format!("Id=k3s-agent.service\nActiveState={active}\n");
        let frame = |name: &str, text: &str| format!("@{name} {}\n{text}\n", text.len());
        let bytes = [frame("show", &show), frame("node", node), frame("end", "")].concat();
        missing(
            bytes.as_bytes(),
            SystemTime::UNIX_EPOCH + Duration::from_secs(NOW),
        )
        .unwrap()
    }

    fn node(ready: &str, renewed: &str) -> String {
        format!(
            r#"{{"kind":"List","items":[{{"kind":"Node","status":{{"conditions":[{{"type":"Ready","status":"{ready}"}}]}}}},
            {{"kind":"Lease","spec":{{"renewTime":"{renewed}"}}}}]}}"#
        )
    }

    #[test]
    fn an_agent_is_back_when_its_kubelet_speaks() {
        assert_eq!(
            judged("active", &node("True", "2026-11-22T17:02:20.000000Z")),
            None
        );
        let stale = judged("active", &node("True", "2026-11-22T16:02:20.000000Z")).unwrap();
        assert!(stale.contains("has not spoken"), "{stale}");
        assert!(
            judged("active", &node("Unknown", "2026-11-22T17:02:20.000000Z"))
                .unwrap()
                .contains("not Ready")
        );
        assert!(judged("active", "").unwrap().contains("no such node"));
        assert!(
            judged("failed", "")
                .unwrap()
                .contains("k3s-agent.service is failed")
        );
    }
}
