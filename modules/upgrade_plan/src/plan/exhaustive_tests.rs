//! Which node is drained next, for every cluster of up to three controllers and three workers, each of them in every state
//! and with every option for the order.

use super::{Planned, plan};
use crate::params::Params;
use crate::survey::Survey;
use serde_json::{Value, json};
use std::collections::BTreeSet;

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

fn node(host: &str, role: &str, stage: Stage, target: &str) -> Value {
    let is_old = stage == Stage::Old;
    let version = if is_old { OLD } else { target };
    let cordoned = if stage == Stage::Cordoned { "ours" } else { "none" };
    json!({
        "host": host, "role": role, "node_name": host, "pve_host": "pve1", "vmid": 101,
        "version": {"changed": false, "failed": false, "installed": version, "running": version,
            "hop": if is_old { "patch" } else { "none" }, "upgrade_required": is_old, "refusals": []},
        "install": {"changed": false, "failed": false, "actions": if is_old { vec!["restart"] } else { vec![] }},
        "drain": {"changed": is_old, "failed": false, "cordoned_by": {"before": cordoned, "after": cordoned}, "pods": []},
    })
}

struct World {
    servers: Vec<Stage>,
    workers: Vec<Stage>,
    target: &'static str,
    order: &'static str,
    at_once: usize,
}

impl World {
    fn nodes(&self) -> Vec<Value> {
        let of = |letter: char, role: &'static str, stages: &[Stage]| {
            let node = |(number, stage): (usize, &Stage)| {
                node(&format!("{letter}{number}"), role, *stage, self.target)
            };
            stages.iter().enumerate().map(node).collect::<Vec<_>>()
        };
        let (servers, workers) = (of('c', "server", &self.servers), of('w', "agent", &self.workers));
        [servers, workers].concat()
    }

    fn planned(&self) -> Planned {
        let params: Params = serde_json::from_value(json!({
            "target": self.target, "nodes": self.nodes(), "order": self.order, "workers_at_once": self.at_once,
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
                            }
                            .check();
                        }
                    }
                }
            }
        }
    }
}
