//! Why a restore is refused, server by server. Pure.

use crate::cluster::{Verdict, seen};
use crate::params::Planning;
use crate::seen::{ArchiveSeen, Host, Same, Seen};
use k3s_types::K3sVersion;
use server_archive::Datastore;

/// What a container needs besides the backup itself.
const MARGIN: u64 = 64 << 20;

impl<'a> Verdict<'a> {
    pub(crate) fn refuse_first(&mut self, planning: &Planning, first: &'a Host) {
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
        if seen.token == Same::Other && seen.token_location.is_some() {
            let location = seen.token_location.as_deref().unwrap_or_default();
            self.refuse(
                first,
                &format!(
                    "its token, set by {location}, is not the one that this backup was taken with: nothing in the backup could be \
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
            (None, _) => self.refuse(host, "no k3s that reports its version is installed there"),
        }
    }

    /// A server that is configured to run etcd would move SQLite into it at once.
    fn refuse_sqlite(&mut self, first: &Host, seen: &Seen) {
        if !self.peers.is_empty() {
            let why = "the backup is of SQLite, which serves one controller only, and the inventory has more: take the others out of \
                       it (and stop them), restore, then make the cluster highly available again";
            self.refusals.push((None, why.to_owned()));
        }
        if seen.cluster_init || seen.joins.is_some() {
            let location = seen.joins.as_deref().unwrap_or("cluster-init");
            self.refuse(
                first,
                &format!("the backup is of SQLite, and this server is configured to run etcd ({location}): take that out of its configuration first"),
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

    pub(crate) fn refuse_peers(&mut self) {
        let archive = self.archive;
        for host in self.peers.clone() {
            let Some(seen) = seen(host) else { continue };
            if seen.joins.is_none() {
                self.refuse(
                    host,
                    "its configuration names no server to join (no `server:`), so without its database it would begin a cluster of its own: write \
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
        if let Some(location) = &seen.external {
            self.refuse(
                host,
                &format!("its datastore is external ({location}): restore it where it runs"),
            );
        }
        if let Some(path) = &seen.config_fault {
            self.refuse(
                host,
                &format!("{path} is not a YAML dictionary: k3s would not start with it"),
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
    pub(crate) fn refuse_unknown_servers(&mut self, planning: &'a Planning) {
        let nodes = planning.hosts.iter().flat_map(|host| &host.answer.nodes);
        for node in nodes.filter(|node| node.server) {
            if planning.hosts.iter().all(|host| host.node_name != node.name) {
                let why = format!(
                    "{} is a server of the cluster, and not in the inventory: it would go on with the old data. Add it, or stop it \
                     and `kubectl delete node {}`",
                    node.name, node.name
                );
                self.refusals.push((None, why));
            }
        }
    }
}
