//! Waiting for a restarted node, judged by the cluster: its Node is Ready and reports the new version, and its kubelet
//! has renewed the Lease since the restart. `Ready` alone proves nothing: the Node keeps it for 40 s after its kubelet
//! died, and `/readyz` answers before the new kubelet has spoken.
//!
//! The unit of an agent may still be `activating` then. Since v1.31.14, v1.32.10, v1.33.6 and v1.34.2 (pull requests 13060,
//! 13059, 13058 and 13057 of k3s-io/k3s, from 12891) an agent reports READY to systemd only after its network policy
//! controller has started, which waits for a `Ready` condition whose `lastHeartbeatTime` is not before its own start.
//! Where the Node became Ready before that, the kubelet reports again only after [`LATEST_HEARTBEAT`].
//!
//! A server reports READY as soon as etcd and the API server are ready and does not wait for its own agent
//! (pkg/cli/server/server.go): its unit must be `active`.

use crate::aim::Readiness;
use crate::questions;
use anyhow::{Context, Result, bail};
use cluster::{Reported as Node, api_version};
use host::{Failure, Host, Kind, wait_until};
use k3s_node::{Facts, Role, Show};
use k3s_types::K3sVersion;
use serde::Serialize;
use std::time::Duration;

/// A look costs about half a second of the node's time (two kubectl runs); an agent is back after 4 s.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a node must stay Ready with the same process: one that ends right after its start was never Ready.
const SETTLE: Duration = Duration::from_secs(5);

/// k3s sets the kubelet's `nodeStatusReportFrequency` to 5 min (pkg/daemons/agent/agent.go). After a change of the status
/// the kubelet takes half to one and a half of that until the next report (`calculateDelay` in `kubelet_node_status.go`).
const LATEST_HEARTBEAT: Duration = Duration::from_secs(450);

/// READY proves that flannel runs. Without it the process has to live longer than k3s needs to end where flannel fails:
/// that comes within seconds of the first contact with the API server, and systemd starts it again 5 s later.
const SETTLE_WITHOUT_READY: Duration = Duration::from_secs(15);

/// One look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    show: Show,
    readyz: Option<String>,
    node: Option<Node>,
    /// What kubectl printed instead of a node.
    said: String,
    api_version: Option<K3sVersion>,
    etcd: Etcd,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Etcd {
    /// This node has no etcd.
    #[default]
    None,
    /// etcd's metrics do not answer.
    Silent,
    Learner,
    Voter,
}

/// What was seen in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ready {
    /// Seconds since 1970.
    started: u64,
    running: String,
    /// The unit's state, as systemd has it.
    unit_state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_renewed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readyz: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etcd_voter: Option<bool>,
    /// Seconds until all was there for the first time.
    became_ready_after: u64,
    /// Seconds that the wait took.
    seconds: u64,
    /// What k3s itself still waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    #[serde(skip)]
    node: Option<Node>,
}

impl Ready {
    /// The Node of the last look.
    pub(crate) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }
}

/// Since when nothing has been missing, and in which process.
#[derive(Clone, Copy)]
struct Good {
    pid: u32,
    since: Duration,
}

impl Look {
    fn parse(bytes: &[u8], unit: &str) -> Result<Self> {
        let facts = Facts::parse(bytes)?;
        let node = facts.lossy("node").unwrap_or_default();
        let etcd = match facts.text("etcd")?.as_deref().map(str::trim) {
            None => Etcd::None,
            Some(line) if line.ends_with(" 0") => Etcd::Voter,
            Some(line) if line.ends_with(" 1") => Etcd::Learner,
            Some(_) => Etcd::Silent,
        };
        Ok(Self {
            show: Show::parse(&facts.lossy("show").unwrap_or_default())
                .remove(unit)
                .unwrap_or_default(),
            readyz: facts.text("readyz")?.map(|text| text.trim().to_owned()),
            node: Node::parse(&node),
            said: node,
            api_version: facts.lossy("api-version").and_then(|text| api_version(&text)),
            etcd,
        })
    }

    /// What is still missing; `Ok`: nothing.
    fn missing(&self, wanted: &Readiness, since: u64) -> Result<(), String> {
        self.unit_missing(wanted, since)?;
        if wanted.setup.role == Role::Server && self.readyz.as_deref() != Some("ok") {
            return Err(format!(
                "/readyz answers {:?}",
                excerpt(self.readyz.as_deref().unwrap_or_default())
            ));
        }
        if wanted.paths.has_agent {
            self.node_missing(wanted)
        } else {
            self.api_missing(wanted)
        }
    }

    fn unit_missing(&self, wanted: &Readiness, since: u64) -> Result<(), String> {
        let unit = &wanted.setup.name;
        let Show {
            active,
            main_pid,
            restarts,
            started,
            ..
        } = &self.show;
        // Between two attempts of a restart loop a unit is `activating` without a process.
        let starting = active == "activating" && *main_pid != 0;
        if active != "active" && !(starting && wanted.setup.role == Role::Agent) {
            return Err(format!(
                "{unit} is {active}, restarted {restarts} times by systemd"
            ));
        }
        if *started < since {
            return Err(format!("{unit} still runs the process from before the restart"));
        }
        Ok(())
    }

    fn node_missing(&self, wanted: &Readiness) -> Result<(), String> {
        let name = &wanted.paths.node;
        let Some(node) = &self.node else {
            return Err(format!("node {name} cannot be read: {:?}", excerpt(&self.said)));
        };
        match &node.running {
            Some(running) if *running == wanted.version => {}
            Some(running) => return Err(format!("node {name} still reports {running}")),
            None => return Err(format!("node {name} reports no version of k3s")),
        }
        // The start is known to the second only, so a Lease of that same second may be the old kubelet's.
        if node.renewed.is_none_or(|renewed| renewed <= self.show.started) {
            return Err(format!(
                "the Lease of node {name} was not renewed since the restart"
            ));
        }
        if !node.ready {
            return Err(format!(
                "node {name} is not Ready: {:?}",
                excerpt(&node.ready_message)
            ));
        }
        // What etcd itself answers counts. k3s writes the Node's condition after it, and it may still be the one of before a
        // restart or a restore.
        match (self.etcd, node.voter) {
            (Etcd::None | Etcd::Voter, _) | (Etcd::Silent, Some(true)) => Ok(()),
            (Etcd::Silent, None) => Err("etcd's metrics do not say whether it is a voter".to_owned()),
            _ => Err(format!("the etcd of node {name} is not a voter yet")),
        }
    }

    fn api_missing(&self, wanted: &Readiness) -> Result<(), String> {
        match &self.api_version {
            Some(running) if *running == wanted.version => Ok(()),
            Some(running) => Err(format!("the API server still reports {running}")),
            None => Err("the API server reports no version".to_owned()),
        }
    }

    fn is_active(&self) -> bool {
        self.show.active == "active"
    }

    fn ready(&self, wanted: &Readiness, ready: Duration, total: Duration) -> Ready {
        let node = self.node.as_ref();
        Ready {
            started: self.show.started,
            running: wanted.version.to_string(),
            unit_state: self.show.active.clone(),
            lease_renewed: node.and_then(|node| node.renewed),
            readyz: (wanted.setup.role == Role::Server).then_some(true),
            etcd_voter: (self.etcd != Etcd::None).then_some(true),
            became_ready_after: ready.as_secs(),
            seconds: total.as_secs(),
            notice: (!self.is_active()).then(|| still_activating(wanted, ready)),
            node: self.node.clone(),
        }
    }
}

/// What a person should know who finds the unit `activating` afterwards.
fn still_activating(wanted: &Readiness, ready: Duration) -> String {
    format!(
        "{} was Ready after {} s; {} is still activating. That is normal: it becomes active with the next heartbeat of the node, within {} min, and k3s applies network policies there from then on",
        wanted.name(),
        ready.as_secs(),
        wanted.setup.name,
        LATEST_HEARTBEAT.as_secs().div_ceil(60),
    )
}

/// The end of what a program printed, on one line.
fn excerpt(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default();
    line.chars().take(160).collect()
}

/// Waits until nothing is missing, and then until that has lasted long enough with the same process; `settle` is how long, where the
/// operator says so.
pub(crate) fn wait(
    host: &dyn Host,
    wanted: &Readiness,
    since: u64,
    limit: Duration,
    settle: Option<Duration>,
) -> Result<Ready> {
    let start = host.elapsed();
    let mut good: Option<Good> = None;
    let outcome = wait_until(host, limit, LOOK_EVERY, || {
        Ok(match look(host, wanted)? {
            Ok(look) => settled(&look, wanted, since, settle, host.elapsed(), &mut good)?.map(|()| look),
            Err(missing) => Err(missing),
        })
    })?;
    let look = outcome.or_fail(host, &wanted.to_string())?;
    let ended = host.elapsed();
    let ready = good.map_or(ended, |good| good.since);
    Ok(look.ready(wanted, ready.saturating_sub(start), ended.saturating_sub(start)))
}

/// Whether nothing has been missing for long enough; notes in `good` since when. An error: it will not come.
fn settled(
    look: &Look,
    wanted: &Readiness,
    since: u64,
    settle: Option<Duration>,
    now: Duration,
    good: &mut Option<Good>,
) -> Result<Result<(), String>> {
    let unit = &wanted.setup.name;
    if look.show.active == "failed" {
        bail!("{unit} has failed, and systemd does not start it again");
    }
    if let Err(missing) = look.missing(wanted, since) {
        *good = None;
        return Ok(Err(missing));
    }
    let pid = look.show.main_pid;
    let first = *good.get_or_insert(Good { pid, since: now });
    if first.pid != pid {
        *good = None;
        return Ok(Err(format!("{unit} was restarted once more")));
    }
    let settle = match settle {
        settle if !look.is_active() => settle.unwrap_or_default().max(SETTLE_WITHOUT_READY),
        None if wanted.setup.role == Role::Agent && ready_is_last(&wanted.version) => Duration::ZERO,
        settle => settle.unwrap_or(SETTLE),
    };
    if now.saturating_sub(first.since) < settle {
        return Ok(Err(format!("it must stay so for {} s", settle.as_secs())));
    }
    Ok(Ok(()))
}

/// Whether an agent of this version reports READY to systemd after all of its parts have started (see the top of this file).
fn ready_is_last(version: &K3sVersion) -> bool {
    let first_patch = match version.minor {
        ..31 => return false,
        31 => 14,
        32 => 10,
        33 => 6,
        34 => 2,
        35.. => 0,
    };
    version.patch >= first_patch
}

/// A look that failed for a moment is one more thing that is missing: a container that swaps or an API that hangs may
/// come back.
fn look(host: &dyn Host, wanted: &Readiness) -> Result<Result<Look, String>> {
    let unit = &wanted.setup.name;
    let questions = questions::look(&wanted.paths, &wanted.setup);
    match host.run(&questions.command(&wanted.paths.binary)) {
        Ok(output) => Look::parse(&output.stdout, unit)
            .with_context(|| format!("checking {unit} in {}", host.location()))
            .map(Ok),
        Err(error) => match Failure::of(&error) {
            Some(Failure {
                kind: Kind::TimedOut | Kind::AttachFailed,
                ..
            }) => Ok(Err(format!("{error:#}"))),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests;
