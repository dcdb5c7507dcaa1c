//! etcd and each server in one line.

use super::given::{Given, Server};
use super::judge::{best, quota};
use super::state::Apis;
use crate::words::plural;
use answers::etcd::{Etcd, Member};

pub(crate) fn lines(given: &Given, apis: &Apis) -> Vec<String> {
    let view = best(&given.servers);
    let servers = given.servers.iter().map(|server| line(given, apis, view, server));
    let mut lines: Vec<String> = view.map(etcd).into_iter().collect();
    lines.extend(servers);
    lines.extend(snapshot(given));
    lines
}

fn etcd(view: &Etcd) -> String {
    let voters = view.members.iter().filter(|member| !member.learner);
    let (all, healthy) = (
        voters.clone().count(),
        voters.filter(|member| member.trouble.is_none()).count(),
    );
    let failures = healthy.saturating_sub(view.quorum);
    format!(
        "etcd: {}, {all} vote, {healthy} of them healthy; led by {}; {} can fail",
        plural(view.members.len(), "member"),
        view.leader.as_deref().unwrap_or("nobody"),
        failures
    )
}

/// One server: its container, version, API and member of etcd.
fn line(given: &Given, apis: &Apis, view: Option<&Etcd>, server: &Server) -> String {
    let api = apis.servers.get(&server.host);
    let version = api
        .and_then(|api| api.version.as_deref())
        .unwrap_or("an unknown k3s");
    let ready = match (server.not_ready(), api) {
        (Some(_), _) => "not ready".to_owned(),
        (None, Some(api)) if api.not_ready.is_none() => format!("ready, also at {}", api.address),
        (None, Some(api)) => format!("ready, but not at {}", api.address),
        (None, None) => "ready".to_owned(),
    };
    let its = |member: &&Member| member.node.as_deref().is_some_and(|node| server.is_node(node));
    let member = view.and_then(|view| view.members.iter().find(its));
    let member = member.map_or_else(
        || "no member of etcd".to_owned(),
        |member| described(member, quota(given, apis, member)),
    );
    format!(
        "{} ({}): {version}, {ready}; {member}",
        server.host,
        server.location()
    )
}

fn described(member: &Member, quota: Option<u64>) -> String {
    let role = match (member.leader, member.learner) {
        (true, _) => "leads",
        (false, true) => "learns",
        (false, false) => "votes",
    };
    let mut parts = vec![role.to_owned()];
    parts.extend(member.version.as_ref().map(|version| format!("etcd {version}")));
    if let Some(size) = member.db_size {
        let of = quota.map_or_else(String::new, |quota| format!(" of {}", size_of(quota)));
        let in_use = member
            .db_size_in_use
            .map_or_else(String::new, |bytes| format!(", {} in use", size_of(bytes)));
        parts.push(format!("{}{of}{in_use}", size_of(size)));
    }
    parts.extend(member.raft_lag.map(|lag| format!("{lag} behind")));
    parts.join(", ")
}

fn snapshot(given: &Given) -> Option<String> {
    let taken = given.snapshot.as_ref()?;
    let snapshot = &taken.taken;
    let (path, bytes, sha256) = (
        snapshot.path.as_ref()?,
        snapshot.bytes?,
        snapshot.sha256.as_ref()?,
    );
    let listed = if snapshot.listed == Some(true) {
        "listed by k3s"
    } else {
        "this k3s has no list"
    };
    Some(format!(
        "snapshot on {}: {path}, {}, its hash is right ({}…), {listed}",
        taken.from,
        size_of(bytes),
        sha256.get(..12).unwrap_or_default()
    ))
}

/// `1.3 MB`, as etcd's own tools print it.
fn size_of(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let unit = UNITS.iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_sizes_as_etcdctl_does() {
        let sizes = [999, 1_000, 692_000, 1_310_720, 2_147_483_648];
        assert_eq!(
            sizes.map(size_of),
            ["999 B", "1.0 kB", "692.0 kB", "1.3 MB", "2.1 GB"]
        );
    }
}
