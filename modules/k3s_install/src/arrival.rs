//! Waiting for a restarted node: what one look shows, and what is still missing. `Ready` alone proves nothing: the
//! node object says so for 40 s after its kubelet died, and `/readyz` answers before the new kubelet has spoken.

use crate::node::{self, Node};
use crate::plan::Arrival;
use crate::script;
use anyhow::{Context, Result, bail};
use host::{Failure, Host, Kind, wait_until};
use k3s_node::{Facts, Role, Show};
use k3s_types::K3sVersion;
use serde::Serialize;
use std::time::Duration;

/// A look costs a second of the node's time (two kubectl runs); a restart takes from 10 s on.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// One look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    show: Show,
    readyz: Option<String>,
    node: Option<Node>,
    /// What kubectl said instead of a node.
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
pub(crate) struct Arrived {
    /// Seconds since 1970.
    started: u64,
    running: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_renewed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readyz: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etcd_voter: Option<bool>,
    /// Seconds that the wait took.
    seconds: u64,
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
            api_version: facts
                .lossy("api-version")
                .and_then(|text| node::api_version(&text)),
            etcd,
        })
    }

    /// What `arrival` still lacks; `Ok`: nothing.
    fn missing(&self, arrival: &Arrival, since: u64) -> Result<(), String> {
        let Show {
            active,
            restarts,
            started,
            ..
        } = &self.show;
        if active != "active" {
            return Err(format!(
                "{} is {active}, restarted {restarts} times by systemd",
                arrival.setup.role.unit()
            ));
        }
        if *started < since {
            return Err(format!(
                "{} still runs its old process",
                arrival.setup.role.unit()
            ));
        }
        if arrival.setup.role == Role::Server && self.readyz.as_deref() != Some("ok") {
            return Err(format!(
                "/readyz answers {:?}",
                excerpt(self.readyz.as_deref().unwrap_or_default())
            ));
        }
        if arrival.places.has_agent {
            self.node_missing(arrival)
        } else {
            self.api_missing(arrival)
        }
    }

    fn node_missing(&self, arrival: &Arrival) -> Result<(), String> {
        let name = &arrival.places.node;
        let Some(node) = &self.node else {
            return Err(format!("node {name} cannot be read: {:?}", excerpt(&self.said)));
        };
        match &node.running {
            Some(running) if *running == arrival.version => {}
            Some(running) => return Err(format!("node {name} still says {running}")),
            None => return Err(format!("node {name} says no version of k3s")),
        }
        // The start is known to the second only, so a Lease of that same second may be the old kubelet's.
        if node.renewed.is_none_or(|renewed| renewed <= self.show.started) {
            return Err(format!(
                "the Lease of node {name} was not renewed since the restart"
            ));
        }
        if !node.ready {
            return Err(format!("node {name} is not Ready"));
        }
        // What etcd itself answers counts. k3s writes the Node's condition after it, and it may still be the one of before a
        // restart or a restore.
        match (self.etcd, node.voter) {
            (Etcd::None | Etcd::Voter, _) | (Etcd::Silent, Some(true)) => Ok(()),
            (Etcd::Silent, None) => Err("etcd's metrics do not say whether it is a voter".to_owned()),
            _ => Err(format!("the etcd of node {name} is no voter yet")),
        }
    }

    fn api_missing(&self, arrival: &Arrival) -> Result<(), String> {
        match &self.api_version {
            Some(running) if *running == arrival.version => Ok(()),
            Some(running) => Err(format!("the API server still says {running}")),
            None => Err("the API server says no version".to_owned()),
        }
    }

    fn arrived(&self, arrival: &Arrival, seconds: u64) -> Arrived {
        let node = self.node.as_ref();
        Arrived {
            started: self.show.started,
            running: arrival.version.to_string(),
            lease_renewed: node.and_then(|node| node.renewed),
            readyz: (arrival.setup.role == Role::Server).then_some(true),
            etcd_voter: (self.etcd != Etcd::None).then_some(true),
            seconds,
        }
    }
}

/// The end of what a program said, on one line.
fn excerpt(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default();
    line.chars().take(160).collect()
}

/// Waits until nothing is missing, and then `settle` longer with the same process: one that falls over as soon as
/// it is up has not arrived.
pub(crate) fn wait(
    host: &dyn Host,
    arrival: &Arrival,
    since: u64,
    limit: Duration,
    settle: Duration,
) -> Result<Arrived> {
    let started = host.elapsed();
    let mut good: Option<(u32, Duration)> = None;
    let waited = wait_until(host, limit, LOOK_EVERY, || {
        let look = match look(host, arrival)? {
            Ok(look) => look,
            Err(missing) => return Ok(Err(missing)),
        };
        if look.show.active == "failed" {
            bail!(
                "{} has failed, and systemd does not start it again",
                arrival.setup.role.unit()
            );
        }
        if let Err(missing) = look.missing(arrival, since) {
            good = None;
            return Ok(Err(missing));
        }
        let now = host.elapsed();
        let (pid, from) = *good.get_or_insert((look.show.main_pid, now));
        if pid != look.show.main_pid {
            good = None;
            return Ok(Err(format!(
                "{} was restarted once more",
                arrival.setup.role.unit()
            )));
        }
        if now.saturating_sub(from) < settle {
            return Ok(Err("it has to stay so for a while".to_owned()));
        }
        Ok(Ok(look))
    })?;
    let look = waited.or_fail(host, &format!("k3s {}", arrival.version))?;
    Ok(look.arrived(arrival, host.elapsed().saturating_sub(started).as_secs()))
}

/// A look that could not be taken is one more thing that is missing, not the end: a container that swaps or an
/// API that hangs may come back.
fn look(host: &dyn Host, arrival: &Arrival) -> Result<Result<Look, String>> {
    match host.run(&script::look(&arrival.places, &arrival.setup)) {
        Ok(output) => {
            let look = Look::parse(&output.stdout, arrival.setup.role.unit());
            look.with_context(|| format!("looking at {} in {}", arrival.setup.role.unit(), host.place()))
                .map(Ok)
        }
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
mod tests {
    use super::*;
    use crate::state::Places;
    use k3s_node::Setup;

    const STARTED: u64 = 1000;

    fn arrival(role: Role) -> Arrival {
        let setup = Setup {
            role,
            binary: "/usr/local/bin/k3s".to_owned(),
            args: Vec::new(),
            unit: None,
            env: None,
            enabled: true,
        };
        let places = Places {
            node: "n1".to_owned(),
            ..Places::usual(None)
        };
        Arrival {
            setup,
            places,
            version: "v1.31.5+k3s1".parse().unwrap(),
            since: None,
        }
    }

    fn arrived_look() -> Look {
        Look {
            show: Show {
                active: "active".to_owned(),
                started: STARTED,
                main_pid: 7,
                ..Show::default()
            },
            readyz: Some("ok".to_owned()),
            node: Some(Node {
                running: Some("v1.31.5+k3s1".parse().unwrap()),
                ready: true,
                renewed: Some(STARTED + 5),
                ..Node::default()
            }),
            ..Look::default()
        }
    }

    fn with(change: impl FnOnce(&mut Look)) -> Look {
        let mut look = arrived_look();
        change(&mut look);
        look
    }

    fn node(look: &mut Look) -> &mut Node {
        look.node.as_mut().unwrap()
    }

    #[test]
    fn each_part_of_the_proof_can_be_missing() {
        assert_eq!(arrived_look().missing(&arrival(Role::Server), STARTED), Ok(()));
        let cases = [
            (
                with(|look| look.show.active = "activating".to_owned()),
                "is activating",
            ),
            (with(|look| look.show.started = STARTED - 1), "old process"),
            (
                with(|look| look.readyz = Some("a\n[-]etcd failed".to_owned())),
                "[-]etcd failed",
            ),
            (with(|look| look.readyz = None), "/readyz"),
            (with(|look| look.node = None), "cannot be read"),
            // The object of a node that is restarting says Ready and the old version.
            (
                with(|look| node(look).running = "v1.31.4+k3s1".parse().ok()),
                "still says v1.31.4+k3s1",
            ),
            (with(|look| node(look).running = None), "no version"),
            (with(|look| node(look).renewed = Some(STARTED)), "Lease"),
            (with(|look| node(look).renewed = None), "Lease"),
            (with(|look| node(look).ready = false), "not Ready"),
            (with(|look| look.etcd = Etcd::Learner), "no voter"),
            (with(|look| look.etcd = Etcd::Silent), "metrics"),
            (
                with(|look| {
                    look.etcd = Etcd::Silent;
                    node(look).voter = Some(false);
                }),
                "no voter",
            ),
            (
                with(|look| {
                    look.etcd = Etcd::Learner;
                    node(look).voter = Some(true);
                }),
                "no voter",
            ),
        ];
        for (look, missing) in cases {
            let told = look.missing(&arrival(Role::Server), STARTED).unwrap_err();
            assert!(told.contains(missing), "{told} has no {missing:?}");
        }
    }

    #[test]
    fn a_voter_is_known_by_etcd_itself_else_by_the_condition() {
        for (etcd, voter) in [
            (Etcd::Voter, None),
            (Etcd::Voter, Some(false)),
            (Etcd::Silent, Some(true)),
            (Etcd::None, None),
        ] {
            let look = with(|look| {
                look.etcd = etcd;
                node(look).voter = voter;
            });
            assert_eq!(
                look.missing(&arrival(Role::Server), STARTED),
                Ok(()),
                "{etcd:?} {voter:?}"
            );
        }
    }

    #[test]
    fn an_agent_needs_no_readyz_and_a_server_without_kubelet_no_node() {
        let look = with(|look| look.readyz = None);
        assert_eq!(look.missing(&arrival(Role::Agent), STARTED), Ok(()));
        let mut bare = arrival(Role::Server);
        bare.places.has_agent = false;
        let look = with(|look| {
            look.node = None;
            look.api_version = "v1.31.5+k3s1".parse().ok();
        });
        assert_eq!(look.missing(&bare, STARTED), Ok(()));
        let old = with(|look| {
            look.node = None;
            look.api_version = "v1.31.4+k3s1".parse().ok();
        });
        assert!(
            old.missing(&bare, STARTED)
                .unwrap_err()
                .contains("still says v1.31.4+k3s1")
        );
    }

    #[test]
    fn etcds_metric_is_read() {
        for (line, etcd) in [
            ("etcd_server_is_learner 0", Etcd::Voter),
            ("etcd_server_is_learner 1", Etcd::Learner),
            ("", Etcd::Silent),
        ] {
            let bytes = format!("@etcd {}\n{line}\n@end 0\n\n", line.len());
            assert_eq!(Look::parse(bytes.as_bytes(), "k3s.service").unwrap().etcd, etcd);
        }
        assert_eq!(
            Look::parse(b"@end 0\n\n", "k3s.service").unwrap().etcd,
            Etcd::None
        );
    }
}
