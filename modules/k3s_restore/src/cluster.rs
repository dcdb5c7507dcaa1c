//! Whether and where a backup is put back, from what was seen of all servers. Pure.

use crate::params::Planning;
use crate::record::{Record, Stage};
use crate::seen::{Answer, ArchiveSeen, Host, Same, Seen};
use k3s_types::K3sVersion;
use server_archive::Datastore;

/// What a container needs besides the backup itself.
const MARGIN: u64 = 64 << 20;

/// What came of looking at all servers together.
pub(crate) struct Verdict<'a> {
    /// The server that gets the backup, and those that join it, in this order.
    pub(crate) first: Option<&'a Host>,
    pub(crate) peers: Vec<&'a Host>,
    pub(crate) archive: Option<&'a ArchiveSeen>,
    /// How far the first server has come, where the restore has begun before.
    pub(crate) begun: Option<&'a Record>,
    pub(crate) refusals: Vec<String>,
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
        verdict.take_up(planning, first, record);
        return verdict;
    }
    verdict.refuse_first(planning, first);
    verdict.refuse_peers();
    verdict.refuse_unknown_servers(planning);
    verdict.note(planning);
    verdict
}

/// What was seen of a host, which is there for all of them once none is unseen.
fn seen(host: &Host) -> Option<&Seen> {
    host.answer.server.as_ref()
}

fn record<'a>(host: &'a Host, planning: &Planning) -> Option<&'a Record> {
    let record = seen(host)?.record.as_ref()?;
    (record.backup == planning.backup).then_some(record)
}

impl<'a> Verdict<'a> {
    fn refuse(&mut self, host: &Host, why: &str) {
        self.refusals.push(format!("{}: {why}", host.host));
    }

    fn refuse_unseen(&mut self, planning: &'a Planning) {
        for host in &planning.hosts {
            let Answer { msg, server, .. } = &host.answer;
            match (server, msg) {
                (None, msg) => {
                    let why = msg.as_deref().unwrap_or("it could not be looked at");
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
        self.first = match (begun, &planning.on, alone.as_slice()) {
            (Some((host, record)), _, _) => {
                self.begun = Some(record);
                Some(host)
            }
            (None, Some(on), _) => hosts.iter().find(|host| host.host == *on),
            (None, None, [one]) => Some(one),
            (None, None, []) => hosts.first(),
            (None, None, several) => {
                let names: Vec<&str> = several.iter().map(|host| host.host.as_str()).collect();
                self.refusals.push(format!(
                    "{} are each told to begin a cluster of their own (no `server:`): say which one gets the backup, by -e k3s_restore_host=, \
                     and write `server:` into the configuration of the others",
                    names.join(" and ")
                ));
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
    fn take_up(&mut self, planning: &Planning, first: &'a Host, record: &Record) {
        if record.stage < Stage::Replaced && self.archive.is_none() {
            self.refuse_missing(planning, first);
        }
        self.notices.push(format!(
            "An unfinished restore of this backup, begun at {}, is taken up.",
            record.stamp
        ));
    }

    fn refuse_missing(&mut self, planning: &Planning, first: &Host) {
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

    fn refuse_first(&mut self, planning: &Planning, first: &'a Host) {
        let Some(archive) = self.archive else {
            self.refuse_missing(planning, first);
            return;
        };
        let Some(seen) = seen(first) else { return };
        if archive.name != planning.backup {
            self.refuse(
                first,
                &format!(
                    "that file holds the backup {}, not {}",
                    archive.name, planning.backup
                ),
            );
        }
        if let Some(done) = seen
            .done
            .as_ref()
            .filter(|done| done.backup == planning.backup && !planning.again)
        {
            self.refuse(
                first,
                &format!(
                    "this backup was restored already, at {}: what was made since would be lost; -e k3s_restore_again=true does it again",
                    done.at
                ),
            );
        }
        self.refuse_version(first, seen, archive);
        if seen.token == Same::Other && seen.token_place.is_some() {
            let place = seen.token_place.as_deref().unwrap_or_default();
            self.refuse(
                first,
                &format!(
                    "its token, set by {place}, is not the one that this backup was taken with: nothing in the backup could be \
                     decrypted. Set it to the one in the backup (server/token) on every node first"
                ),
            );
        }
        if archive.datastore == Datastore::Sqlite {
            self.refuse_sqlite(first, seen);
        }
        let needed = archive
            .bytes
            .saturating_add(archive.unpacked.saturating_mul(2))
            .saturating_add(MARGIN);
        self.refuse_full(first, seen, needed);
    }

    fn refuse_version(&mut self, host: &Host, seen: &Seen, archive: &ArchiveSeen) {
        let parse = |text: &str| text.parse::<K3sVersion>().ok();
        let installed = seen.version.as_deref().and_then(parse);
        let wanted = parse(&archive.k3s_version);
        match (installed, wanted) {
            (Some(installed), Some(wanted)) if installed >= wanted => {}
            (Some(installed), _) => self.refuse(
                host,
                &format!(
                    "k3s {installed} is installed, and cannot read what {} has written: install {} or a later one first",
                    archive.k3s_version, archive.k3s_version
                ),
            ),
            (None, _) => self.refuse(host, "no k3s that tells its version is installed there"),
        }
    }

    /// A server that is told to run etcd would move SQLite into it at once.
    fn refuse_sqlite(&mut self, first: &Host, seen: &Seen) {
        if !self.peers.is_empty() {
            self.refusals.push(
                "the backup is of SQLite, which serves one controller only, and the inventory has more: take the others out of \
                 it (and stop them), restore, then make the cluster highly available again"
                    .to_owned(),
            );
        }
        if seen.cluster_init || seen.joins.is_some() {
            let place = seen.joins.as_deref().unwrap_or("cluster-init");
            self.refuse(
                first,
                &format!("the backup is of SQLite, and this server is told to run etcd ({place}): take that out of its configuration first"),
            );
        }
    }

    fn refuse_full(&mut self, host: &Host, seen: &Seen, needed: u64) {
        if seen.free < needed {
            self.refuse(
                host,
                &format!(
                    "{} MiB are free in the container, where {} MiB are needed",
                    seen.free >> 20,
                    needed.div_ceil(1 << 20)
                ),
            );
        }
    }

    fn refuse_peers(&mut self) {
        let archive = self.archive;
        for host in self.peers.clone() {
            let Some(seen) = seen(host) else { continue };
            if seen.joins.is_none() {
                self.refuse(
                    host,
                    "it is told no server to join (no `server:`), so without its database it would begin a cluster of its own: write \
                     `server:` into its configuration, or choose it by -e k3s_restore_host=",
                );
            }
            if let Some(archive) = archive {
                self.refuse_version(host, seen, archive);
            }
            if seen.token == Same::Other {
                self.refuse(
                    host,
                    "its token is not the one that this backup was taken with: it could not join",
                );
            }
            self.refuse_full(host, seen, MARGIN);
        }
        for host in self.first.iter().chain(&self.peers).copied().collect::<Vec<_>>() {
            self.refuse_settings(host);
        }
    }

    fn refuse_settings(&mut self, host: &Host) {
        let Some(seen) = seen(host) else { return };
        if let Some(place) = &seen.external {
            self.refuse(
                host,
                &format!("its datastore is external ({place}): restore it where it runs"),
            );
        }
        if let Some(path) = &seen.config_fault {
            self.refuse(
                host,
                &format!("{path} is no YAML dictionary: k3s would not start with it"),
            );
        }
        if seen.node != host.node_name {
            self.refuse(
                host,
                &format!(
                    "it registers as {}, where node_name in the inventory is {}",
                    seen.node, host.node_name
                ),
            );
        }
    }

    /// One that goes on with the old data would fight the restored cluster.
    fn refuse_unknown_servers(&mut self, planning: &'a Planning) {
        let nodes = planning.hosts.iter().flat_map(|host| &host.answer.nodes);
        for node in nodes.filter(|node| node.server) {
            if planning.hosts.iter().all(|host| host.node_name != node.name) {
                self.refusals.push(format!(
                    "{} is a server of the cluster, and not in the inventory: it would go on with the old data. Add it, or stop it \
                     and `kubectl delete node {}`",
                    node.name, node.name
                ));
            }
        }
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
