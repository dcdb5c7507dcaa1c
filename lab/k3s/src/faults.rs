//! Troubles on demand. `/etc/lab/faults.json` is read again each time:
//!
//! ```json
//! {"requests": [{"verb": "create", "resource": "pods/eviction", "status": 429},
//!               {"resource": "readyz", "status": 500}, {"verb": "list", "resource": "nodes", "hang": 30}],
//!  "checks": ["etcd", "poststarthook/rbac/bootstrap-roles"],
//!  "conditions": {"MemoryPressure": "True"},
//!  "migration": {"after": 100, "hang": true},
//!  "agent-ready": 120}
//! ```
//!
//! `migration`: the next move from SQLite to etcd fails after so many objects, or hangs there.
//!
//! `agent-ready`: an agent reports READY to systemd so many seconds late, as a k3s that waits for the next heartbeat of its
//! node.
//!
//! `checks` fail in `/readyz` and `/livez`; `conditions` are what this node's kubelet reports.
//!
//! The first rule that fits decides; `verb` (get, list, watch, create, update, patch, delete) and `resource` (plural,
//! with its subresource; `readyz`, `livez`, `version`) may be left out. `hang` is in real seconds, and with no
//! `status` the request goes on afterwards. Problems of a pod are set by its annotations instead: see `kubelet`.

use crate::api::status::Refusal;
use crate::json::{flag, items, pairs, text};
use crate::paths;
use serde_json::Value;
use std::time::Duration;

pub async fn meet(verb: &str, resource: &str) -> Result<(), Refusal> {
    let Some(rule) = rule(verb, resource) else {
        return Ok(());
    };
    if let Some(seconds) = rule["hang"].as_f64() {
        tokio::time::sleep(Duration::from_secs_f64(seconds.max(0.0))).await;
    }
    let status = rule["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok());
    match status {
        None => Ok(()),
        Some(429) => Err(Refusal::new(
            429,
            "TooManyRequests",
            "Too many requests, please try again later.",
        )
        .retry_in(1)),
        Some(503) => Err(Refusal::unavailable()),
        Some(code) => Err(Refusal::new(
            code,
            "InternalError",
            "Internal error occurred: a fault of the lab",
        )),
    }
}

fn rule(verb: &str, resource: &str) -> Option<Value> {
    let fits = |rule: &&Value| {
        [("/verb", verb), ("/resource", resource)]
            .iter()
            .all(|(key, is)| ["", *is].contains(&text(rule, key)))
    };
    items(&all(), "/requests").iter().find(fits).cloned()
}

/// Nothing where there is no file, or no sense in it.
fn all() -> Value {
    let file = std::fs::read_to_string(paths::etc("lab/faults.json"));
    file.ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// The trouble that `migration` in `faults.json` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// How many objects are moved before it.
    pub after: usize,
    /// Stand still for ever, rather than fail.
    pub hang: bool,
}

pub fn migration() -> Option<Trouble> {
    let all = all();
    let trouble = all.get("migration")?;
    Some(Trouble {
        after: usize::try_from(trouble["after"].as_u64()?).ok()?,
        hang: flag(trouble, "/hang"),
    })
}

/// How late an agent reports READY.
pub fn agent_ready_delay() -> Duration {
    let seconds = all()["agent-ready"].as_u64().unwrap_or(0);
    Duration::from_secs(seconds)
}

pub fn failing_checks() -> Vec<String> {
    let checks = all();
    let names = items(&checks, "/checks").iter();
    names.filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

/// Of this node, by type.
pub fn conditions() -> Vec<(String, String)> {
    let all = all();
    pairs(&all, "/conditions")
        .map(|(kind, status)| (kind.to_owned(), status.to_owned()))
        .collect()
}
