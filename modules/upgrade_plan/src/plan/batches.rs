//! Which nodes have their turns at the same time: servers one by one, workers in batches. Pure.

use super::Turn;
use super::together::Together;
use crate::node::Node;
use crate::params::Params;
use crate::survey::Survey;
use k3s_types::Role;
use serde::Serialize;
use std::collections::BTreeMap;

/// Nodes that have their turns at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Batch {
    pub hosts: Vec<String>,
    /// Why it is smaller than asked for.
    pub reason: Option<String>,
}

/// How many workers may be out of service at once, of those that have a turn.
pub(crate) fn at_once(params: &Params, turns: &[Turn]) -> usize {
    let workers = turns.iter().filter(|turn| turn.role == Role::Agent).count();
    params.workers_at_once.of(workers).min(workers.max(1))
}

/// Without a look at the cluster nothing shows that two nodes can be out at once.
pub(crate) fn all(params: &Params, turns: &[Turn], survey: Option<&Survey>) -> Vec<Batch> {
    let Some(survey) = survey else {
        return group(turns, 1, |_| None);
    };
    let together = Together::new(survey);
    let node_of: BTreeMap<&str, &Node> = params
        .nodes
        .iter()
        .map(|node| (node.host.as_str(), node))
        .collect();
    let name = |turn: &Turn| node_of.get(turn.host.as_str())?.name.as_deref();
    group(turns, at_once(params, turns), |batch| {
        let drained = batch.iter().filter(|turn| turn.drain);
        let names: Vec<&str> = drained.filter_map(name).collect();
        together.obstacle(&names)
    })
}

/// In their order, as many workers in each batch as `obstacle` lets be together.
fn group(turns: &[Turn], at_once: usize, obstacle: impl Fn(&[Turn]) -> Option<String>) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut left = turns;
    while !left.is_empty() {
        let workers = left.iter().take_while(|turn| turn.role == Role::Agent).count();
        let (size, reason) = largest(&left[..workers.clamp(1, at_once)], &obstacle);
        let (batch, rest) = left.split_at(size);
        batches.push(Batch {
            hosts: batch.iter().map(|turn| turn.host.clone()).collect(),
            reason,
        });
        left = rest;
    }
    batches
}

/// How many of these, from the first on, can be together, and why no more. More nodes are never easier to do without, so
/// halving finds it: of hundreds of workers each one more would be checked otherwise.
fn largest(turns: &[Turn], obstacle: impl Fn(&[Turn]) -> Option<String>) -> (usize, Option<String>) {
    let Some(mut why) = obstacle(turns).filter(|_| turns.len() > 1) else {
        return (turns.len(), None);
    };
    let (mut possible, mut too_many) = (1, turns.len());
    while too_many - possible > 1 {
        let middle = possible.midpoint(too_many);
        match obstacle(&turns[..middle]) {
            None => possible = middle,
            Some(found) => (too_many, why) = (middle, found),
        }
    }
    let reason = format!("{} is not in it: {why}", turns[possible].host);
    (possible, Some(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(host: String, role: Role) -> Turn {
        Turn {
            host,
            role,
            install: true,
            drain: true,
            backup: false,
            snapshot: false,
            via: Vec::new(),
            reason: String::new(),
        }
    }

    /// Workers first or last, as a run has them.
    fn turns(servers: usize, workers: usize, servers_first: bool) -> Vec<Turn> {
        let servers = (0..servers).map(|number| turn(format!("c{number}"), Role::Server));
        let workers = (0..workers).map(|number| turn(format!("w{number}"), Role::Agent));
        if servers_first {
            servers.chain(workers).collect()
        } else {
            workers.chain(servers).collect()
        }
    }

    /// What holds of any batches of these turns.
    fn assert_sound(turns: &[Turn], at_once: usize, batches: &[Batch]) {
        let hosts: Vec<&String> = batches.iter().flat_map(|batch| &batch.hosts).collect();
        let wanted: Vec<&String> = turns.iter().map(|turn| &turn.host).collect();
        assert_eq!(hosts, wanted, "each once, in the order of the turns");
        for batch in batches {
            let servers = batch.hosts.iter().filter(|host| host.starts_with('c')).count();
            assert!(servers == 0 || batch.hosts.len() == 1, "{batch:?}");
            assert!((1..=at_once).contains(&batch.hosts.len()), "{batch:?}");
        }
    }

    #[test]
    fn every_node_has_one_turn_in_order_and_servers_go_alone() {
        for servers in 0..=3 {
            for workers in 0..=7 {
                for at_once in 1..=8 {
                    for servers_first in [false, true] {
                        let turns = turns(servers, workers, servers_first);
                        let batches = group(&turns, at_once, |_| None);
                        assert_sound(&turns, at_once, &batches);
                        assert_eq!(batches.len(), servers + workers.div_ceil(at_once));
                        assert!(batches.iter().all(|batch| batch.reason.is_none()));
                    }
                }
            }
        }
    }

    #[test]
    fn nodes_that_cannot_be_out_together_are_in_different_batches() {
        const WORKERS: usize = 5;
        let turns = turns(1, WORKERS, false);
        let pairs: Vec<(usize, usize)> = (0..WORKERS)
            .flat_map(|one| (one + 1..WORKERS).map(move |other| (one, other)))
            .collect();
        // Every set of pairs that must not be together.
        for set in 0..1_u32 << pairs.len() {
            let forbidden = |batch: &[Turn]| {
                let in_batch = |number: usize| batch.iter().any(|turn| turn.host == format!("w{number}"));
                let mut pairs = pairs.iter().enumerate();
                pairs
                    .any(|(bit, (one, other))| set & 1 << bit != 0 && in_batch(*one) && in_batch(*other))
                    .then(|| "they are the only two".to_owned())
            };
            let batches = group(&turns, 3, forbidden);
            assert_sound(&turns, 3, &batches);
            for batch in &batches {
                let of_batch = turns.iter().filter(|turn| batch.hosts.contains(&turn.host));
                let of_batch: Vec<Turn> = of_batch.cloned().collect();
                assert_eq!(forbidden(&of_batch), None, "{batch:?}");
            }
            // A small batch says why, unless a server or the end follows.
            for pair in batches.windows(2) {
                let [batch, next] = pair else { unreachable!() };
                let full = batch.hosts.len() == 3 || next.hosts[0].starts_with('c');
                assert_eq!(batch.reason.is_none(), full, "{batch:?} {next:?}");
            }
        }
    }

    #[test]
    fn a_small_batch_says_which_node_is_not_in_it_and_why() {
        let turns = turns(0, 3, false);
        let batches = group(&turns, 2, |batch| {
            (batch.len() > 1 && batch[0].host == "w0").then(|| "no room".to_owned())
        });
        assert_eq!(batches[0].reason.as_deref(), Some("w1 is not in it: no room"));
        assert_eq!(batches[1].hosts, ["w1", "w2"]);
    }
}
