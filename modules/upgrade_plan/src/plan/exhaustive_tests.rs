//! Which node is drained next, for every cluster of up to three controllers and three workers, each of them in every state
//! and with every option for the order; and, of smaller ones, for every choice of nodes that are left out.

use super::{Planned, plan};
use crate::params::Params;
use crate::survey::Survey;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

const OLD: &str = "v1.31.4+k3s1";
const PATCH: &str = "v1.31.5+k3s1";
const MINOR: &str = "v1.32.1+k3s1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Old,
    Done,
    /// Done, with a cordon of an earlier run.
    Cordoned,
}

const STAGES: [Stage; 3] = [Stage::Old, Stage::Done, Stage::Cordoned];

/// Every list of so many stages.
fn lists(length: usize) -> Vec<Vec<Stage>> {
    (0..length).fold(vec![Vec::new()], |lists, _| {
        let longer = |list: &Vec<Stage>| STAGES.map(|stage| [list.as_slice(), &[stage]].concat());
        lists.iter().flat_map(longer).collect()
    })
}

fn node(host: &str, role: &str, stage: Stage, (from, target): (&str, &str)) -> Value {
    let is_old = stage == Stage::Old;
    let version = if is_old { from } else { target };
    let cordoned = if stage == Stage::Cordoned { "ours" } else { "none" };
    json!({
        "host": host, "role": role, "node_name": host, "pve_host": "pve1", "vmid": 101,
        "version": {"changed": false, "failed": false, "installed": version, "running": version,
            "hop": if is_old { hop(from, target) } else { "none" }, "upgrade_required": is_old, "refusals": []},
        "install": {"changed": false, "failed": false, "actions": if is_old { vec!["restart"] } else { vec![] }},
        "drain": {"changed": is_old, "failed": false, "cordoned_by": {"before": cordoned, "after": cordoned}, "pods": []},
    })
}

fn hop(from: &str, target: &str) -> &'static str {
    match minor(from).cmp(&minor(target)) {
        Ordering::Less => "minor",
        Ordering::Equal => "patch",
        Ordering::Greater => "downgrade",
    }
}

/// As in `v1.31.4+k3s1`.
fn minor(version: &str) -> u32 {
    version.split('.').nth(1).unwrap().parse().unwrap()
}

struct World {
    servers: Vec<Stage>,
    workers: Vec<Stage>,
    target: &'static str,
    order: &'static str,
    at_once: usize,
    /// What the nodes have that are not done.
    from: &'static str,
    limited_to: Option<Vec<String>>,
}

impl World {
    fn nodes(&self) -> Vec<Value> {
        let of = |letter: char, role: &'static str, stages: &[Stage]| {
            let node = |(number, stage): (usize, &Stage)| {
                node(
                    &format!("{letter}{number}"),
                    role,
                    *stage,
                    (self.from, self.target),
                )
            };
            stages.iter().enumerate().map(node).collect::<Vec<_>>()
        };
        let (servers, workers) = (of('c', "server", &self.servers), of('w', "agent", &self.workers));
        [servers, workers].concat()
    }

    fn planned(&self) -> Planned {
        let params: Params = serde_json::from_value(json!({
            "target": self.target, "nodes": self.nodes(), "order": self.order, "workers_at_once": self.at_once,
            "limited_to": self.limited_to,
        }))
        .unwrap();
        plan(&params, Some(&Survey::default()))
    }

    fn check(&self) {
        let planned = self.planned();
        let case = format!(
            "{:?} {:?} {} {} {}",
            self.servers, self.workers, self.target, self.order, self.at_once
        );
        let turns: Vec<&str> = planned.turns.iter().map(|turn| turn.host.as_str()).collect();
        let stage = |host: &str| {
            let stages = if host.starts_with('c') {
                &self.servers
            } else {
                &self.workers
            };
            stages[host[1..].parse::<usize>().unwrap()]
        };
        // Each that is not done, once; nothing of a node that is.
        let wanted: BTreeSet<String> = self
            .nodes()
            .iter()
            .map(|node| node["host"].as_str().unwrap().to_owned())
            .filter(|host| stage(host) != Stage::Done)
            .collect();
        assert_eq!(turns.len(), wanted.len(), "{case}: {turns:?}");
        assert!(
            turns.iter().all(|host| wanted.contains(*host)),
            "{case}: {turns:?}"
        );
        for turn in &planned.turns {
            let is_old = stage(&turn.host) == Stage::Old;
            assert_eq!(turn.install, is_old, "{case}: {turn:?}");
            assert!(!turn.drain || is_old, "{case}: {turn:?}");
            // A node that restarts is asked last.
            let others = self.servers.len() > usize::from(turn.host.starts_with('c'));
            assert!(!others || turn.via[0] != turn.host, "{case}: {turn:?}");
        }
        // Never two servers at once, never a server beside a worker.
        let batched: Vec<&str> = planned
            .batches
            .iter()
            .flat_map(|batch| batch.hosts.iter().map(String::as_str))
            .collect();
        assert_eq!(batched, turns, "{case}");
        for batch in &planned.batches {
            let servers = batch.hosts.iter().filter(|host| host.starts_with('c')).count();
            assert!(
                servers == 0 || batch.hosts.len() == 1,
                "{case}: {:?}",
                batch.hosts
            );
            assert!(
                batch.hosts.len() <= self.at_once.max(1),
                "{case}: {:?}",
                batch.hosts
            );
        }
        self.check_order(&planned, &case);
    }

    /// Turn after turn, as the run goes: whoever is left out, at no time is a kubelet newer than an API server that was not before.
    fn check_turns(&self) {
        let planned = self.planned();
        let case = format!(
            "{:?} {:?} {} to {} {} {:?}",
            self.servers, self.workers, self.from, self.target, self.order, self.limited_to
        );
        let nodes = self.nodes();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let version = |node: &Value| {
            (
                text(&node["host"]),
                minor(node["version"]["running"].as_str().unwrap()),
            )
        };
        let mut minors: BTreeMap<String, u32> = nodes.iter().map(version).collect();
        let limited_to = self.limited_to.as_ref().unwrap();
        for turn in &planned.turns {
            assert!(limited_to.contains(&turn.host), "{case}: {turn:?}");
            if !planned.refusals.is_empty() {
                continue;
            }
            let before = ahead(&minors);
            minors.insert(turn.host.clone(), minor(self.target));
            let mut new = ahead(&minors);
            new.retain(|pair| !before.contains(pair));
            assert_eq!(new, BTreeSet::new(), "{case}: after the turn of {}", turn.host);
        }
    }

    /// No kubelet becomes newer than an API server, unless the run is refused.
    fn check_order(&self, planned: &Planned, case: &str) {
        let installs: Vec<&str> = planned
            .turns
            .iter()
            .filter(|turn| turn.install)
            .map(|turn| turn.host.as_str())
            .collect();
        let first_worker = installs.iter().position(|host| host.starts_with('w'));
        let last_server = installs.iter().rposition(|host| host.starts_with('c'));
        if let (Some(worker), Some(server), MINOR) = (first_worker, last_server, self.target) {
            assert!(
                server < worker || !planned.refusals.is_empty(),
                "{case}: {installs:?}"
            );
        }
    }
}

#[test]
fn never_two_servers_at_once_nor_a_kubelet_ahead_of_its_api_server() {
    for (servers, workers) in (1..=3).flat_map(|servers| (0..=3).map(move |workers| (servers, workers))) {
        for servers in lists(servers) {
            for workers in lists(workers) {
                for target in [PATCH, MINOR] {
                    for order in ["auto", "workers_first", "servers_first"] {
                        for at_once in [1, 2] {
                            let (servers, workers) = (servers.clone(), workers.clone());
                            World {
                                servers,
                                workers,
                                target,
                                order,
                                at_once,
                                from: OLD,
                                limited_to: None,
                            }
                            .check();
                        }
                    }
                }
            }
        }
    }
}

/// The workers whose minor is newer than that of a controller, with that controller.
fn ahead(minors: &BTreeMap<String, u32>) -> BTreeSet<(String, String)> {
    let of = |letter| minors.iter().filter(move |(host, _)| host.starts_with(letter));
    let pairs = of('w').flat_map(|worker| of('c').map(move |server| (worker, server)));
    pairs
        .filter(|(worker, server)| worker.1 > server.1)
        .map(|(worker, server)| (worker.0.clone(), server.0.clone()))
        .collect()
}

/// Every choice of these nodes.
fn choices(servers: usize, workers: usize) -> Vec<Vec<String>> {
    let names = (0..servers)
        .map(|number| format!("c{number}"))
        .chain((0..workers).map(|number| format!("w{number}")));
    let names: Vec<String> = names.collect();
    let choice = |set: usize| {
        let chosen = names
            .iter()
            .enumerate()
            .filter(move |(bit, _)| set & 1 << bit != 0);
        chosen.map(|(_, name)| name.clone()).collect()
    };
    (0..1 << names.len()).map(choice).collect()
}

#[test]
fn whoever_is_left_out_no_kubelet_gets_ahead_of_an_api_server() {
    for (servers, workers) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        for (of_servers, of_workers) in lists(servers)
            .into_iter()
            .flat_map(|one| lists(workers).into_iter().map(move |other| (one.clone(), other)))
        {
            for limited_to in choices(servers, workers) {
                for (from, target) in [(OLD, PATCH), (OLD, MINOR), (MINOR, PATCH)] {
                    for order in ["auto", "workers_first", "servers_first"] {
                        World {
                            servers: of_servers.clone(),
                            workers: of_workers.clone(),
                            target,
                            order,
                            at_once: 1,
                            from,
                            limited_to: Some(limited_to.clone()),
                        }
                        .check_turns();
                    }
                }
            }
        }
    }
}
