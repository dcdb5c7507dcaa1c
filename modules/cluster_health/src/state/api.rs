//! The API server, etcd beside it, and the service that both run in.

use host::Kind;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Api {
    /// Its version; none where it did not answer at all.
    pub version: Option<String>,
    /// Whether it calls itself ready.
    pub ready: bool,
    pub checks: Vec<Check>,
    /// What was said in place of an answer.
    pub said: String,
    /// Where not even a question could be put.
    pub failure: Option<Kind>,
    /// The service on this node, looked at where the API does not answer.
    pub service: Option<Service>,
    /// Its last log lines, without secrets.
    pub log: Vec<String>,
}

/// One line of `/readyz?verbose`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub passed: bool,
}

/// Reads the checks from what the server printed, or from what kubectl made of it where one has failed: one line,
/// quoted, with its line ends as `\n`.
pub(crate) fn checks(text: &str) -> Vec<Check> {
    let lines = text.replace("\\n", "\n");
    let check = |line: &str| {
        let at = line.find("[+]").or_else(|| line.find("[-]"))?;
        let (mark, rest) = line[at..].split_at(3);
        let name = rest.split_whitespace().next()?;
        Some(Check {
            name: name.to_owned(),
            passed: mark == "[+]",
        })
    };
    lines.lines().filter_map(check).collect()
}

/// This node's member of etcd, as its own port for metrics reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Etcd {
    /// Alarms and a missing leader make it unhealthy.
    pub healthy: bool,
    pub learner: bool,
    /// What was said in place of an answer.
    pub said: String,
}

/// `/health` of etcd: the truth is a word.
#[derive(Debug, Deserialize)]
struct Health {
    health: String,
    #[serde(default)]
    reason: String,
}

impl Etcd {
    pub(crate) fn of(health: &str, learner: &str, said: &str) -> Self {
        let read: Option<Health> = serde_json::from_str(health).ok();
        let reason = read.as_ref().map_or(said, |health| &health.reason);
        Self {
            healthy: read.as_ref().is_some_and(|health| health.health == "true"),
            learner: learner.split_whitespace().last() == Some("1"),
            said: reason.trim().to_owned(),
        }
    }
}

/// What systemd says of k3s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Service {
    pub name: String,
    pub load: String,
    pub active: String,
    pub sub: String,
    pub result: String,
    pub restarts: String,
    pub status: String,
    pub since: String,
}

impl Service {
    /// The properties that [`Service::parse`] reads.
    pub(crate) const PROPERTIES: &str =
        "LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus,StateChangeTimestamp";

    /// Reads `systemctl show`, whose lines are `Key=value`.
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let value = |key: &str| {
            let of_key = |line: &str| {
                Some(line.split_once('=')?)
                    .filter(|(k, _)| *k == key)
                    .map(|(_, v)| v.to_owned())
            };
            text.lines().find_map(of_key).unwrap_or_default()
        };
        Self {
            name: name.to_owned(),
            load: value("LoadState"),
            active: value("ActiveState"),
            sub: value("SubState"),
            result: value("Result"),
            restarts: value("NRestarts"),
            status: value("ExecMainStatus"),
            since: value("StateChangeTimestamp"),
        }
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.load != "loaded" {
            return write!(f, "there is no service {} ({})", self.name, self.load);
        }
        write!(f, "{} is {} ({})", self.name, self.active, self.sub)?;
        if !self.since.is_empty() {
            write!(f, " since {}", self.since)?;
        }
        if self.result != "success" {
            write!(f, ", result {}, status {}", self.result, self.status)?;
        }
        if !matches!(self.restarts.as_str(), "" | "0") {
            write!(f, ", restarted {} times", self.restarts)?;
        }
        Ok(())
    }
}
