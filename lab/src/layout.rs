//! Which hosts and containers a lab has, by arithmetic alone.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, clap::Args)]
pub struct Options {
    /// Number of k3s servers (containers 101…); three or more run etcd
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=7))]
    pub controllers: u8,
    /// Number of k3s agents (containers 111…)
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=20))]
    pub workers: u8,
    /// k3s version that the cluster starts with [default: one behind the channel `stable`]
    #[arg(long)]
    pub version: Option<String>,
    /// Number of Proxmox hosts; the containers are dealt out to them in turn
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub pve: u8,
    /// How many times faster than recorded the stand-in's delays pass
    #[arg(long, default_value_t = 4.0)]
    pub time_factor: f64,
    /// Days that new certificates of the cluster are good for [default: k3s's own, a year]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub cert_days: Option<u32>,
    /// Containers that are left as their template is, without k3s and without /dev/kmsg: names or ids, with commas, or `all`
    #[arg(long, value_delimiter = ',')]
    #[serde(default)]
    pub empty: Vec<String>,
    /// The first controller has SQLite also where others are left empty to join it later
    #[arg(long)]
    #[serde(default)]
    pub sqlite: bool,
    /// Kubelets of a real k3s report at k3s's own pace, every 5 minutes, instead of every 5 s
    #[arg(long)]
    #[serde(default)]
    pub slow_heartbeat: bool,
    /// Containers only: no release server, no k3s
    #[arg(long)]
    pub no_cluster: bool,
}

impl Options {
    /// Whether the container of that name and id is to be left without k3s.
    fn leaves_empty(&self, name: &str, vmid: u32) -> bool {
        self.empty
            .iter()
            .any(|word| word == "all" || word == name || *word == vmid.to_string())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PveHost {
    pub name: String,
    pub address: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Controller,
    Worker,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub vmid: u32,
    pub name: String,
    pub role: Role,
    pub host: PveHost,
    pub address: String,
    /// `lab up` installs no k3s in it.
    pub empty: bool,
}

pub fn hosts(options: &Options) -> Vec<PveHost> {
    (1..=options.pve)
        .map(|n| PveHost {
            name: format!("pve{n}"),
            address: format!("10.99.0.{n}"),
        })
        .collect()
}

pub fn nodes(options: &Options) -> Vec<Node> {
    let hosts = hosts(options);
    let controllers =
        (1..=u32::from(options.controllers)).map(|n| (Role::Controller, "controller", 100 + n, n));
    let workers = (1..=u32::from(options.workers)).map(|n| (Role::Worker, "worker", 110 + n, n));
    controllers
        .chain(workers)
        .map(|(role, word, vmid, n)| {
            let name = format!("k3s-{word}-{n}");
            Node {
                vmid,
                empty: options.leaves_empty(&name, vmid),
                name,
                role,
                host: hosts[(n as usize - 1) % hosts.len()].clone(),
                address: format!("10.99.0.{vmid}"),
            }
        })
        .collect()
}

/// What `--empty` names that this lab will not have.
pub fn unknown_empty(options: &Options) -> Vec<&str> {
    let nodes = nodes(options);
    let known = |word: &str| {
        word == "all"
            || nodes
                .iter()
                .any(|node| node.name == word || node.vmid.to_string() == word)
    };
    let words = options.empty.iter().map(String::as_str);
    words.filter(|word| !known(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(controllers: u8, workers: u8, pve: u8) -> Options {
        Options {
            controllers,
            workers,
            version: None,
            pve,
            time_factor: 1.0,
            cert_days: None,
            empty: Vec::new(),
            sqlite: false,
            slow_heartbeat: false,
            no_cluster: false,
        }
    }

    #[test]
    fn containers_are_left_empty_by_name_by_id_or_all() {
        for (words, empty) in [
            (vec![], vec![]),
            (vec!["k3s-worker-2", "101"], vec![101, 112]),
            (vec!["all"], vec![101, 111, 112]),
        ] {
            let words = words.into_iter().map(str::to_owned).collect();
            let options = Options {
                empty: words,
                ..options(1, 2, 1)
            };
            let found: Vec<_> = nodes(&options)
                .iter()
                .filter(|n| n.empty)
                .map(|n| n.vmid)
                .collect();
            assert_eq!(found, empty);
            assert!(unknown_empty(&options).is_empty());
        }
    }

    #[test]
    fn a_container_that_is_not_there_cannot_be_left_empty() {
        let options = Options {
            empty: vec!["112".into(), "k3s-worker-3".into()],
            ..options(1, 2, 1)
        };
        assert_eq!(unknown_empty(&options), ["k3s-worker-3"]);
    }

    #[test]
    fn controllers_and_workers_have_their_own_ranges() {
        let nodes = nodes(&options(1, 2, 1));
        let found: Vec<_> = nodes
            .iter()
            .map(|n| (n.vmid, n.name.as_str(), n.address.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (101, "k3s-controller-1", "10.99.0.101"),
                (111, "k3s-worker-1", "10.99.0.111"),
                (112, "k3s-worker-2", "10.99.0.112")
            ]
        );
    }

    #[test]
    fn containers_are_dealt_out_to_the_hosts_in_turn() {
        let nodes = nodes(&options(3, 2, 2));
        let found: Vec<_> = nodes.iter().map(|n| (n.vmid, n.host.name.as_str())).collect();
        assert_eq!(
            found,
            [
                (101, "pve1"),
                (102, "pve2"),
                (103, "pve1"),
                (111, "pve1"),
                (112, "pve2")
            ]
        );
    }
}
