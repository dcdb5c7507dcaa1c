//! The report on one screen, and the one line that a failure is.

use crate::judge::{ETCD, Finding, SERVERS, Severity, best, quota};
use crate::params::Params;
use crate::seen::Server;
use crate::state::State;
use answers::etcd::{Etcd, Member};

/// Findings that a message and the screen name; all of them are in the answer.
const NAMED: usize = 12;

/// Nothing where nothing is wrong. Warnings are no failure.
pub(crate) fn fault(findings: &[Finding]) -> Option<String> {
    let errors = said(findings, Severity::Error);
    if errors.is_empty() {
        return None;
    }
    let named = errors[..errors.len().min(NAMED)].join("; ");
    let more = match errors.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Some(format!(
        "the servers of the cluster are not healthy: {named}{more}"
    ))
}

pub(crate) fn lines(params: &Params, state: &State, findings: &[Finding]) -> Vec<String> {
    let mut lines = vec![headline(findings)];
    let view = best(&params.servers);
    lines.extend(view.map(etcd));
    lines.extend(
        params
            .servers
            .iter()
            .map(|server| line(params, state, view, server)),
    );
    lines.extend(snapshot(params));
    let errors = said(findings, Severity::Error);
    let warnings = said(findings, Severity::Warning);
    let errors = errors.iter().map(|error| format!("error: {error}"));
    let told: Vec<String> = errors
        .chain(warnings.iter().map(|warning| format!("warning: {warning}")))
        .collect();
    lines.extend(told.iter().take(NAMED).cloned());
    if let Some(more) = told.len().checked_sub(NAMED + 1) {
        lines.push(format!("... and {} more, in the answer's findings", more + 1));
    }
    lines
}

/// What is so of several servers is said once.
fn said(findings: &[Finding], severity: Severity) -> Vec<String> {
    let mut about: Vec<(&str, Vec<(String, String)>)> = Vec::new();
    for finding in of(findings, severity) {
        // What is about all of them together is not about one like another.
        let is_of_one = !matches!(finding.about.as_str(), ETCD | SERVERS);
        let text = (finding.about.clone(), finding.what.clone());
        match about.last_mut().filter(|(kind, _)| is_of_one && *kind == "one") {
            Some((_, texts)) => texts.push(text),
            None => about.push((if is_of_one { "one" } else { "all" }, vec![text])),
        }
    }
    let line = |said: per_node::Said| format!("{}: {}", said.nodes.join(", "), said.text);
    about
        .iter()
        .flat_map(|(_, texts)| per_node::once(texts))
        .map(line)
        .collect()
}

fn of(findings: &[Finding], severity: Severity) -> impl Iterator<Item = &Finding> {
    findings
        .iter()
        .filter(move |finding| finding.severity == severity)
}

fn headline(findings: &[Finding]) -> String {
    let errors = of(findings, Severity::Error).count();
    let warnings = of(findings, Severity::Warning).count();
    let is = if errors == 0 { "healthy" } else { "NOT HEALTHY" };
    format!(
        "{is}: {}, {}",
        plural(errors, "error"),
        plural(warnings, "warning")
    )
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

/// One server: where it is, what runs, whether it answers, and its member.
fn line(params: &Params, state: &State, view: Option<&Etcd>, server: &Server) -> String {
    let api = state.servers.get(&server.host);
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
        |member| described(member, quota(params, state, member)),
    );
    format!(
        "{} ({}): {version}, {ready}; {member}",
        server.host,
        server.place()
    )
}

fn described(member: &Member, quota: Option<u64>) -> String {
    let role = match (member.leader, member.learner) {
        (true, _) => "leads",
        (false, true) => "learns",
        (false, false) => "votes",
    };
    let mut told = vec![role.to_owned()];
    told.extend(member.version.as_ref().map(|version| format!("etcd {version}")));
    if let Some(size) = member.db_size {
        let of = quota.map_or_else(String::new, |quota| format!(" of {}", size_of(quota)));
        let in_use = member
            .db_size_in_use
            .map_or_else(String::new, |bytes| format!(", {} in use", size_of(bytes)));
        told.push(format!("{}{of}{in_use}", size_of(size)));
    }
    told.extend(member.raft_lag.map(|lag| format!("{lag} behind")));
    told.join(", ")
}

fn snapshot(params: &Params) -> Option<String> {
    let taken = params.snapshot.as_ref()?;
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

fn plural(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::judge;
    use crate::samples::{apis, params, with};
    use serde_json::json;

    fn of_servers(count: usize, more: serde_json::Value) -> Vec<String> {
        let params = params(with(json!({"servers": crate::samples::servers(count)}), more));
        let state = apis(count);
        lines(&params, &state, &judge(&params, &state))
    }

    #[test]
    fn a_whole_cluster_is_told_in_a_few_lines() {
        let snapshot = json!({"snapshot": {"from": "c1", "path": "/s/validated-c1-1", "bytes": 1_234_567, "sha256": "0123456789abcdef", "listed": true}});
        assert_eq!(
            of_servers(3, snapshot),
            [
                "healthy: 0 errors, 0 warnings",
                "etcd: 3 members, 3 vote, 3 of them healthy; led by n1-00000001; 1 can fail",
                "c1 (container 101 on pve1): v1.31.4+k3s1, ready, also at 10.0.0.1:6443; leads, etcd 3.5.16, 1.2 MB of 2.1 GB, 912.3 kB in use, 0 behind",
                "c2 (container 102 on pve1): v1.31.4+k3s1, ready, also at 10.0.0.2:6443; votes, etcd 3.5.16, 1.2 MB of 2.1 GB, 912.3 kB in use, 0 behind",
                "c3 (container 103 on pve1): v1.31.4+k3s1, ready, also at 10.0.0.3:6443; votes, etcd 3.5.16, 1.2 MB of 2.1 GB, 912.3 kB in use, 0 behind",
                "snapshot on c1: /s/validated-c1-1, 1.2 MB, its hash is right (0123456789ab…), listed by k3s",
            ]
        );
    }

    #[test]
    fn what_is_wrong_fits_on_a_screen() {
        let alone = params(json!({"servers": crate::samples::unanswered(20)}));
        let findings = judge(&alone, &State::default());
        assert_eq!(findings.len(), 40);
        let told = lines(&alone, &State::default(), &findings);
        assert_eq!(told[0], "NOT HEALTHY: 40 errors, 0 warnings");
        // What is so of each of them is said once.
        assert!(
            told.last().unwrap().starts_with("error: c1, c2, c3,")
                && told
                    .last()
                    .unwrap()
                    .ends_with("c20: its API is not ready: it was not asked"),
            "{told:#?}"
        );
        let faults = crate::samples::unanswered(20).into_iter().enumerate();
        let faults = faults.map(|(at, server)| with(server, json!({"etcd": {"msg": format!("fault-{at}")}})));
        let each = params(json!({"servers": faults.collect::<Vec<_>>()}));
        let findings = judge(&each, &State::default());
        let told = lines(&each, &State::default(), &findings);
        assert_eq!(told.last().unwrap(), "... and 9 more, in the answer's findings");
        let fault = fault(&findings).unwrap();
        assert!(
            fault.ends_with("; and 9 more") && fault.matches("; ").count() == 12,
            "{fault}"
        );
    }

    #[test]
    fn sizes_are_told_as_etcd_tells_them() {
        let sizes = [999, 1_000, 692_000, 1_310_720, 2_147_483_648];
        assert_eq!(
            sizes.map(size_of),
            ["999 B", "1.0 kB", "692.0 kB", "1.3 MB", "2.1 GB"]
        );
    }
}
