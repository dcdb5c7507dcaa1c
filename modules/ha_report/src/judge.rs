//! What is wrong, and what is only good to know. Pure.

use crate::params::Params;
use crate::seen::{Server, title, words};
use crate::state::State;
use answers::etcd::{Datastore, Etcd, Member, Stale};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Entries behind the leader. The members are asked one after the other, and a busy cluster writes some tens a second.
const LAG: u64 = 1000;
/// Of a hundred parts of the quota. Where it is reached etcd raises an alarm, and takes nothing more.
const NEARLY_FULL: u64 = 80;
/// Enough of a fault to act on.
const SAID: usize = 300;
/// What a finding is about that is about no single server.
pub(crate) const ETCD: &str = "etcd";
pub(crate) const SERVERS: &str = "the servers";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    Error,
    Warning,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// A server by its name in the inventory, `etcd`, or `the servers`.
    pub(crate) about: String,
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.what)
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, about: &str, what: String) {
        self.add(Severity::Error, about, what);
    }

    fn warn(&mut self, about: &str, what: String) {
        self.add(Severity::Warning, about, what);
    }

    fn add(&mut self, severity: Severity, about: &str, what: String) {
        self.0.push(Finding {
            severity,
            about: about.to_owned(),
            what,
        });
    }
}

/// Errors first.
pub(crate) fn judge(params: &Params, state: &State) -> Vec<Finding> {
    let mut found = Findings::default();
    datastores(params, &mut found);
    views(params, &mut found);
    if let Some(best) = best(&params.servers) {
        numbers(params, state, best, &mut found);
    }
    apis(params, state, &mut found);
    versions(params, state, &mut found);
    settings(params, state, &mut found);
    if let Some(snapshot) = &params.snapshot
        && let Some(msg) = &snapshot.taken.task.msg
    {
        found.error(&snapshot.from, format!("no snapshot was taken: {}", short(msg)));
    }
    found.0.sort_by_key(|finding| finding.severity);
    found.0
}

/// Servers that see members of etcd.
fn seeing(servers: &[Server]) -> impl Iterator<Item = (&str, &Etcd)> {
    let seeing = servers.iter().filter(|server| !server.etcd.members.is_empty());
    seeing.map(|server| (server.host.as_str(), &server.etcd.answer))
}

/// The view that numbers are taken from: one with a quorum behind it where there is one.
pub(crate) fn best(servers: &[Server]) -> Option<&Etcd> {
    let views = || seeing(servers).map(|(_, view)| view);
    views().find(|view| view.has_quorum).or_else(|| views().next())
}

fn datastores(params: &Params, found: &mut Findings) {
    for server in &params.servers {
        let Server { host, etcd, .. } = server;
        match (etcd.datastore, &etcd.task.msg) {
            (_, Some(msg)) => found.error(host, short(msg)),
            (None, None) => found.error(host, "it was not asked for its members of etcd".to_owned()),
            (Some(Datastore::Etcd), None) => {}
            (Some(other), None) => {
                let next = match other {
                    Datastore::Sqlite => {
                        "playbook-bootstrap-k3s-ha.yaml moves it to embedded etcd, and others can join then"
                    }
                    _ => "what keeps it looks after its copies; there are no members to validate",
                };
                let what = format!(
                    "it keeps its data in {}, which no other server shares: {next}",
                    words(other)
                );
                found.error(host, what);
            }
        }
    }
}

/// What the servers see of etcd, told once each, and where they differ.
fn views(params: &Params, found: &mut Findings) {
    let mut told: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (host, view) in seeing(&params.servers) {
        for what in faults(view) {
            told.entry(what).or_default().push(host);
        }
        if let Some(why) = &view.nodes_unknown {
            found.error(host, format!("the Nodes could not be read there: {}", short(why)));
        }
    }
    let all = seeing(&params.servers).count();
    for (what, hosts) in told {
        let seen_by = if hosts.len() == all {
            String::new()
        } else {
            format!(" (as {} sees it)", hosts.join(", "))
        };
        found.error(ETCD, format!("{what}{seen_by}"));
    }
    let leader = |view: &Etcd| view.leader.clone().unwrap_or_else(|| "nobody".to_owned());
    disagreement(params, "leads", leader, found);
    let members = |view: &Etcd| {
        let titles: BTreeSet<String> = view.members.iter().map(title).collect();
        titles.into_iter().collect::<Vec<_>>().join(", ")
    };
    disagreement(params, "is a member", members, found);
}

fn disagreement(params: &Params, what: &str, of: impl Fn(&Etcd) -> String, found: &mut Findings) {
    let mut answers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (host, view) in seeing(&params.servers) {
        answers.entry(of(view)).or_default().push(host);
    }
    if answers.len() > 1 {
        let told: Vec<String> = answers
            .iter()
            .map(|(answer, hosts)| format!("{answer}, says {}", hosts.join(" and ")))
            .collect();
        let what = format!("they do not agree who {what}: {}", told.join("; "));
        found.error(SERVERS, what);
    }
}

/// What is wrong with etcd in one server's eyes.
fn faults(view: &Etcd) -> Vec<String> {
    let mut faults = Vec::new();
    if !view.has_quorum {
        faults.push("no quorum of the voters answers".to_owned());
    }
    if view.leader.is_none() {
        faults.push("no member leads".to_owned());
    }
    for member in &view.members {
        let title = title(member);
        if member.learner {
            faults.push(format!("{title} is a learner, not a voter yet"));
        }
        if let Some(trouble) = &member.trouble {
            faults.push(format!("{title} is not healthy: {}", short(trouble)));
        }
    }
    for alarm in &view.alarms {
        let member = alarm.member.as_ref().unwrap_or(&alarm.id);
        faults.push(format!("{member} has raised the alarm {}", alarm.kind));
    }
    let Stale {
        members_without_node,
        nodes_without_member,
        unexpected_members,
        expected_without_member,
        nodes_behind: _,
    } = view.stale.clone().unwrap_or_default();
    let sides = [
        (members_without_node, "is a member and has no Node"),
        (
            nodes_without_member,
            "is a Node with the role etcd and has no member",
        ),
        (
            unexpected_members,
            "is a member and none of the inventory's controllers",
        ),
        (
            expected_without_member,
            "is a controller in the inventory and has no member",
        ),
    ];
    for (names, what) in sides {
        faults.extend(names.into_iter().flatten().map(|name| format!("{name} {what}")));
    }
    faults
}

fn numbers(params: &Params, state: &State, best: &Etcd, found: &mut Findings) {
    let voters = best.members.iter().filter(|member| !member.learner).count();
    match voters {
        1 => found.warn(
            ETCD,
            "one voter tolerates no failure: two more servers can join".to_owned(),
        ),
        even if even % 2 == 0 => found.warn(
            ETCD,
            format!(
                "{even} voters tolerate no more failures than {} would: an odd number is better",
                even - 1
            ),
        ),
        _ => {}
    }
    let behind = best.stale.clone().and_then(|stale| stale.nodes_behind);
    for node in behind.into_iter().flatten() {
        let what = format!(
            "the condition EtcdIsVoter of the Node {node} does not say yet what etcd itself answers: etcd is right, and k3s on the server that leads etcd corrects the condition"
        );
        found.warn(ETCD, what);
    }
    for member in &best.members {
        if let Some(lag) = member.raft_lag.filter(|lag| *lag > LAG) {
            found.warn(
                ETCD,
                format!("{} is {lag} entries behind the leader", title(member)),
            );
        }
        let full = member.db_size.zip(quota(params, state, member));
        if let Some((size, quota)) = full
            && size.saturating_mul(100) >= quota.saturating_mul(NEARLY_FULL)
        {
            let what = format!(
                "the database of {} has {size} of {quota} bytes that it may have: at all of them etcd accepts no more writes; a restart of k3s there defragments it, and --etcd-arg=quota-backend-bytes=… raises the quota",
                title(member)
            );
            found.warn(ETCD, what);
        }
    }
}

/// What the database of a member may have.
pub(crate) fn quota(params: &Params, state: &State, member: &Member) -> Option<u64> {
    let node = member.node.as_deref()?;
    let server = params.servers.iter().find(|server| server.is_node(node))?;
    state.servers.get(&server.host)?.quota
}

fn apis(params: &Params, state: &State, found: &mut Findings) {
    if let Some(why) = &state.nodes_unknown {
        let what = format!(
            "the Nodes could not be read, so no API was asked at its own address: {}",
            short(why)
        );
        found.error(SERVERS, what);
    }
    for server in &params.servers {
        if let Some(why) = server.not_ready() {
            found.error(&server.host, format!("its API is not ready: {}", not_ready(&why)));
            continue;
        }
        match state.servers.get(&server.host) {
            None if state.nodes_unknown.is_none() => {
                let what = format!("the cluster has no Node {} with an address", server.node_name);
                found.error(&server.host, what);
            }
            None => {}
            Some(api) => {
                if let Some(why) = &api.not_ready {
                    let what = format!(
                        "its API does not answer at {}, asked from {}: {}",
                        api.address,
                        state.place,
                        not_ready(why)
                    );
                    found.error(&server.host, what);
                }
            }
        }
    }
}

fn versions(params: &Params, state: &State, found: &mut Findings) {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for server in &params.servers {
        if let Some(version) = state
            .servers
            .get(&server.host)
            .and_then(|api| api.version.as_deref())
        {
            versions.entry(version).or_default().push(&server.host);
        }
    }
    if versions.len() > 1 {
        let told: Vec<String> = versions
            .iter()
            .map(|(version, hosts)| format!("{version} on {}", hosts.join(", ")))
            .collect();
        let what = format!(
            "they run different versions: {}; playbook-upgrade-k3s.yaml finishes what it began",
            told.join("; ")
        );
        found.error(SERVERS, what);
    }
}

/// k3s compares them while a server joins, and only then.
fn settings(params: &Params, state: &State, found: &mut Findings) {
    let mut told: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for server in &params.servers {
        let api = state.servers.get(&server.host);
        for (name, values) in api.and_then(|api| api.settings.as_ref()).into_iter().flatten() {
            let values = if values.is_empty() {
                "nothing".to_owned()
            } else {
                values.join(",")
            };
            told.entry((name, values)).or_default().push(&server.host);
        }
    }
    let names: BTreeSet<&str> = told.keys().map(|(name, _)| *name).collect();
    for name in names {
        let of_it = told.iter().filter(|((other, _), _)| *other == name);
        let of_it: Vec<String> = of_it
            .map(|((_, values), hosts)| format!("{values} on {}", hosts.join(", ")))
            .collect();
        if of_it.len() > 1 {
            let what = format!(
                "they must have the same --{name}, and have {}: k3s lets no server join, or come back after its data was lost, that differs",
                of_it.join("; ")
            );
            found.error(SERVERS, what);
        }
    }
}

/// The checks that fail, where the answer is a list of them; else what was said.
fn not_ready(why: &str) -> String {
    let failing = why.split("[-]").skip(1);
    let failing: Vec<&str> = failing
        .filter_map(|check| check.split_whitespace().next())
        .collect();
    if failing.is_empty() {
        short(why)
    } else {
        format!("failing: {}", failing.join(", "))
    }
}

/// In one line, and not longer than is read.
fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(SAID).collect()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
