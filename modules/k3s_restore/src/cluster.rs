//! Whether and where a backup is put back, from what was seen of all servers. Pure.

use crate::params::Planning;
use crate::record::{Record, Stage};
use crate::seen::{Answer, ArchiveSeen, Host, Same, Seen};

/// What came of looking at all servers together.
pub(crate) struct Verdict<'a> {
    /// The server that gets the backup, and those that join it, in this order.
    pub(crate) first: Option<&'a Host>,
    pub(crate) peers: Vec<&'a Host>,
    pub(crate) archive: Option<&'a ArchiveSeen>,
    /// How far the first server has come, where the restore has begun before.
    pub(crate) begun: Option<&'a Record>,
    /// Each with the server that it is about, by its name in the inventory; none where it is about several.
    pub(crate) refusals: Vec<(Option<String>, String)>,
    pub(crate) notices: Vec<String>,
}

pub(crate) fn judge(planning: &Planning) -> Verdict<'_> {
    let mut verdict = Verdict {
        first: None,
        peers: Vec::new(),
        archive: None,
        begun: None,
        refusals: Vec::new(),
        notices: Vec::new(),
    };
    verdict.refuse_unseen(planning);
    if !verdict.refusals.is_empty() {
        return verdict;
    }
    verdict.choose(planning);
    let Some(first) = verdict.first else {
        return verdict;
    };
    if let Some(record) = verdict.begun {
        verdict.resume(planning, first, record);
        return verdict;
    }
    verdict.refuse_first(planning, first);
    verdict.refuse_peers();
    verdict.refuse_unknown_servers(planning);
    verdict.note(planning);
    verdict
}

/// What was seen of a host, which is there for all of them once none is unseen.
pub(crate) fn seen(host: &Host) -> Option<&Seen> {
    host.answer.server.as_ref()
}

fn record<'a>(host: &'a Host, planning: &Planning) -> Option<&'a Record> {
    let record = seen(host)?.record.as_ref()?;
    (record.backup == planning.backup).then_some(record)
}

impl<'a> Verdict<'a> {
    pub(crate) fn refuse(&mut self, host: &Host, why: &str) {
        self.refusals.push((Some(host.host.clone()), why.to_owned()));
    }

    /// What is refused of several servers is one line.
    pub(crate) fn refusal_lines(&self) -> Vec<String> {
        let (of_hosts, others): (Vec<_>, Vec<_>) = self.refusals.iter().partition(|(host, _)| host.is_some());
        let texts: Vec<(String, String)> = of_hosts
            .into_iter()
            .filter_map(|(host, why)| Some((host.clone()?, why.clone())))
            .collect();
        let line = |said: per_node::Said| format!("{}: {}", said.nodes.join(", "), said.text);
        let lines = per_node::once(&texts).into_iter().map(line);
        lines
            .chain(others.into_iter().map(|(_, why)| why.clone()))
            .collect()
    }

    fn refuse_unseen(&mut self, planning: &'a Planning) {
        for host in &planning.hosts {
            let Answer { msg, server, .. } = &host.answer;
            match (server, msg) {
                (None, msg) => {
                    let why = msg.as_deref().unwrap_or("it could not be checked");
                    self.refuse(host, why);
                }
                (Some(server), _)
                    if server
                        .record
                        .as_ref()
                        .is_some_and(|it| it.backup != planning.backup) =>
                {
                    let other = server.record.as_ref().map_or("", |record| record.backup.as_str());
                    self.refuse(
                        host,
                        &format!("the restore of {other} is unfinished there: finish it by -e k3s_restore_backup={other}"),
                    );
                }
                _ => {}
            }
        }
    }

    fn choose(&mut self, planning: &'a Planning) {
        let hosts = &planning.hosts;
        let begun = hosts.iter().find_map(|host| {
            record(host, planning)
                .filter(|record| record.first)
                .map(|it| (host, it))
        });
        let alone: Vec<&Host> = hosts
            .iter()
            .filter(|host| seen(host).is_some_and(|seen| seen.joins.is_none()))
            .collect();
        self.first = match (begun, &planning.target, alone.as_slice()) {
            (Some((host, record)), _, _) => {
                self.begun = Some(record);
                Some(host)
            }
            (None, Some(on), _) => hosts.iter().find(|host| host.host == *on),
            (None, None, [one]) => Some(one),
            (None, None, []) => hosts.first(),
            (None, None, several) => {
                let names: Vec<&str> = several.iter().map(|host| host.host.as_str()).collect();
                let why = format!(
                    "{} are each configured to begin a cluster of their own (no `server:`): say which one gets the backup, by -e k3s_restore_host=, \
                     and write `server:` into the configuration of the others",
                    names.join(" and ")
                );
                self.refusals.push((None, why));
                None
            }
        };
        self.peers = hosts
            .iter()
            .filter(|host| Some(host.host.as_str()) != self.first.map(|first| first.host.as_str()))
            .collect();
        self.archive = self.first.and_then(|first| first.answer.archive.as_ref());
    }

    /// What was checked before the first run is not checked again: some of it is not so any more.
    fn resume(&mut self, planning: &Planning, first: &'a Host, record: &Record) {
        if record.stage < Stage::Replaced && self.archive.is_none() {
            self.refuse_missing(planning, first);
        }
        self.notices.push(format!(
            "An unfinished restore of this backup, begun at {}, is continued.",
            record.stamp
        ));
    }

    pub(crate) fn refuse_missing(&mut self, planning: &Planning, first: &Host) {
        let elsewhere = planning.hosts.iter().find(|host| host.answer.archive.is_some());
        let from = elsewhere.map_or_else(
            || "it is on none of the servers' Proxmox hosts either".to_owned(),
            |host| format!("it is on {}", host.pve_host),
        );
        self.refuse(
            first,
            &format!(
                "there is no backup {} in k3s_backup_dir of its Proxmox host {}; {from}: copy it there (mode 600), or choose a \
                 server by -e k3s_restore_host=",
                planning.backup, first.pve_host
            ),
        );
    }

    fn note(&mut self, planning: &Planning) {
        let Some(archive) = self.archive else { return };
        if planning.hosts.iter().all(|host| host.answer.nodes.is_empty()) {
            self.notices.push(
                "No API is ready: what would be lost cannot be counted, and whether there are servers that the inventory does \
                 not know cannot be seen."
                    .to_owned(),
            );
        }
        let first = self.first.and_then(seen);
        if first.is_some_and(|seen| seen.identity != Same::Same) {
            self.notices.push(
                "The authorities and keys of this server are not the backup's: they are put in their place, and agents have to be restarted."
                    .to_owned(),
            );
        }
        if archive.nodes.is_empty() {
            return;
        }
        let now: Vec<&str> = planning
            .hosts
            .iter()
            .flat_map(|host| &host.answer.nodes)
            .map(|node| node.name.as_str())
            .collect();
        let gone: Vec<&str> = archive
            .nodes
            .iter()
            .map(String::as_str)
            .filter(|name| !now.is_empty() && !now.contains(name))
            .collect();
        if !gone.is_empty() {
            self.notices.push(format!(
                "Nodes of the backup that are not in the cluster now come back as objects: {}.",
                gone.join(", ")
            ));
        }
    }
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
