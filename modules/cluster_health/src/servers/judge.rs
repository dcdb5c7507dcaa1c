//! Judges the servers' answers. Pure.

use super::differing::differing;
use super::given::{Given, Server, title, words};
use super::state::Apis;
use answers::etcd::{Datastore, Etcd, Member, Stale};
use answers::health::{Kind, Reason, Severity};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Entries behind the leader. The members are asked one after the other, and a busy cluster writes some tens a second.
const LAG: u64 = 1000;
/// Percent of the quota. At all of it etcd raises an alarm and accepts no more writes.
const NEARLY_FULL: u64 = 80;
/// Characters of another program's message that are quoted.
const QUOTED: usize = 300;
/// What a problem is about that is about no single server.
pub(crate) const ETCD: &str = "etcd";
pub(crate) const SERVERS: &str = "the servers";

/// A problem of the servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    /// A server by its name in the inventory, `etcd`, or `the servers`.
    pub(crate) about: String,
    pub(crate) kind: Kind,
    pub(crate) object: String,
    pub(crate) reason: Reason,
    pub(crate) what: String,
}

impl Problem {
    /// About one server.
    fn of_server(host: &str, kind: Kind, reason: Reason, what: String) -> Self {
        Self {
            severity: Severity::Error,
            about: host.to_owned(),
            kind,
            object: host.to_owned(),
            reason,
            what,
        }
    }

    /// About all servers together.
    fn of_all(kind: Kind, object: &str, reason: Reason, what: String) -> Self {
        Self {
            about: SERVERS.to_owned(),
            ..Self::of_server(object, kind, reason, what)
        }
    }

    /// About etcd, or one of its members.
    fn of_etcd(fault: Fault) -> Self {
        Self {
            about: ETCD.to_owned(),
            ..Self::of_server(&fault.object, Kind::Etcd, fault.reason, fault.what)
        }
    }

    fn warning(self) -> Self {
        Self {
            severity: Severity::Warning,
            ..self
        }
    }
}

/// A problem of etcd as one server sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    what: String,
    object: String,
    reason: Reason,
}

impl Fault {
    fn new(object: &str, reason: Reason, what: String) -> Self {
        Self {
            what,
            object: object.to_owned(),
            reason,
        }
    }
}

type Problems = Vec<Problem>;

/// Errors first.
pub(crate) fn judge(given: &Given, apis: &Apis) -> Problems {
    let mut found = Problems::new();
    datastores(given, &mut found);
    views(given, &mut found);
    if let Some(best) = best(&given.servers) {
        numbers(given, apis, best, &mut found);
    }
    answering(given, apis, &mut found);
    versions(given, apis, &mut found);
    settings(given, apis, &mut found);
    if let Some(snapshot) = &given.snapshot
        && let Some(msg) = &snapshot.taken.task.msg
    {
        let what = format!("no snapshot was taken: {}", short(msg));
        found.push(Problem::of_server(
            &snapshot.from,
            Kind::Etcd,
            Reason::SnapshotFailed,
            what,
        ));
    }
    found.sort_by_key(|problem| Reverse(problem.severity));
    found
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

/// Whether a server has answered what etcd's members are.
pub(crate) fn sees_etcd(given: &Given) -> bool {
    seeing(&given.servers).next().is_some()
}

fn datastores(given: &Given, found: &mut Problems) {
    for server in &given.servers {
        let Server { host, etcd, .. } = server;
        let (reason, what) = match (etcd.datastore, &etcd.task.msg) {
            (_, Some(msg)) => (Reason::Unanswered, short(msg)),
            (None, None) => (
                Reason::Unanswered,
                "it was not asked for its members of etcd".to_owned(),
            ),
            (Some(Datastore::Etcd), None) => continue,
            (Some(other), None) => (Reason::NotEmbeddedEtcd, without_etcd(other)),
        };
        found.push(Problem::of_server(host, Kind::Etcd, reason, what));
    }
}

fn without_etcd(datastore: Datastore) -> String {
    let next = match datastore {
        Datastore::Sqlite => {
            "playbook-bootstrap-k3s-ha.yaml moves it to embedded etcd, and others can join then"
        }
        _ => "what keeps it looks after its copies; there are no members to validate",
    };
    format!(
        "it keeps its data in {}, which no other server shares: {next}",
        words(datastore)
    )
}

/// What the servers report of etcd, once each, and where they differ.
fn views(given: &Given, found: &mut Problems) {
    let mut by_fault: BTreeMap<Fault, Vec<&str>> = BTreeMap::new();
    for (host, view) in seeing(&given.servers) {
        for fault in faults(view) {
            by_fault.entry(fault).or_default().push(host);
        }
        if let Some(why) = &view.nodes_unknown {
            let what = format!("the Nodes could not be read there: {}", short(why));
            found.push(Problem::of_server(host, Kind::Api, Reason::CannotBeRead, what));
        }
    }
    let all = seeing(&given.servers).count();
    for (mut fault, hosts) in by_fault {
        if hosts.len() < all {
            fault.what = format!("{} (as {} sees it)", fault.what, hosts.join(", "));
        }
        found.push(Problem::of_etcd(fault));
    }
    let leader = |view: &Etcd| view.leader.clone().unwrap_or_else(|| "nobody".to_owned());
    found.extend(disagreement(given, "leader", "leads", leader));
    let members = |view: &Etcd| {
        let titles: BTreeSet<String> = view.members.iter().map(title).collect();
        titles.into_iter().collect::<Vec<_>>().join(", ")
    };
    found.extend(disagreement(given, "members", "is a member", members));
}

fn disagreement(given: &Given, object: &str, what: &str, of: impl Fn(&Etcd) -> String) -> Option<Problem> {
    let answers = differing(seeing(&given.servers).map(|(host, view)| (host, of(view))))?;
    let answers: Vec<String> = answers
        .iter()
        .map(|(answer, hosts)| format!("{answer}, says {}", hosts.join(" and ")))
        .collect();
    let what = format!("they do not agree who {what}: {}", answers.join("; "));
    Some(Problem::of_all(Kind::Etcd, object, Reason::Disagreement, what))
}

/// What is wrong with etcd, as one server sees it.
fn faults(view: &Etcd) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !view.has_quorum {
        let what = "no quorum of the voters answers".to_owned();
        faults.push(Fault::new("quorum", Reason::NoQuorum, what));
    }
    if view.leader.is_none() {
        faults.push(Fault::new(
            "leader",
            Reason::NoLeader,
            "no member leads".to_owned(),
        ));
    }
    for member in &view.members {
        let title = title(member);
        if member.learner {
            let what = format!("{title} is a learner, not a voter yet");
            faults.push(Fault::new(&title, Reason::NotVoter, what));
        }
        if let Some(trouble) = &member.trouble {
            let what = format!("{title} is not healthy: {}", short(trouble));
            faults.push(Fault::new(&title, Reason::Unhealthy, what));
        }
    }
    for alarm in &view.alarms {
        let member = alarm.member.as_ref().unwrap_or(&alarm.id);
        let what = format!("{member} has raised the alarm {}", alarm.kind);
        faults.push(Fault::new(member, Reason::Alarm, what));
    }
    faults.extend(strangers(view));
    faults
}

/// Where the members, the Nodes and the inventory differ.
fn strangers(view: &Etcd) -> Vec<Fault> {
    let Stale {
        members_without_node,
        nodes_without_member,
        unexpected_members,
        expected_without_member,
        nodes_behind: _,
    } = view.stale.clone().unwrap_or_default();
    let sides = [
        (
            members_without_node,
            Reason::WithoutNode,
            "is a member and has no Node",
        ),
        (
            nodes_without_member,
            Reason::WithoutMember,
            "is a Node with the role etcd and has no member",
        ),
        (
            unexpected_members,
            Reason::NotInInventory,
            "is a member and none of the inventory's controllers",
        ),
        (
            expected_without_member,
            Reason::WithoutMember,
            "is a controller in the inventory and has no member",
        ),
    ];
    let faults = sides.into_iter().flat_map(|(names, reason, what)| {
        let fault = move |name: String| Fault::new(&name, reason, format!("{name} {what}"));
        names.into_iter().flatten().map(fault)
    });
    faults.collect()
}

fn numbers(given: &Given, apis: &Apis, best: &Etcd, found: &mut Problems) {
    let mut warnings: Vec<Fault> = voters(best).into_iter().collect();
    let behind = best.stale.clone().and_then(|stale| stale.nodes_behind);
    for node in behind.into_iter().flatten() {
        let what = format!(
            "the condition EtcdIsVoter of the Node {node} does not say yet what etcd itself answers: etcd is right, and k3s on the server that leads etcd corrects the condition"
        );
        warnings.push(Fault::new(&node, Reason::ConditionBehind, what));
    }
    for member in &best.members {
        let title = title(member);
        if let Some(lag) = member.raft_lag.filter(|lag| *lag > LAG) {
            let what = format!("{title} is {lag} entries behind the leader");
            warnings.push(Fault::new(&title, Reason::Lagging, what));
        }
        let full = member.db_size.zip(quota(given, apis, member));
        if let Some((size, quota)) = full
            && size.saturating_mul(100) >= quota.saturating_mul(NEARLY_FULL)
        {
            let what = format!(
                "the database of {title} has {size} of {quota} bytes that it may have: at all of them etcd accepts no more writes; a restart of k3s there defragments it, and --etcd-arg=quota-backend-bytes=… raises the quota"
            );
            warnings.push(Fault::new(&title, Reason::NearlyFull, what));
        }
    }
    let warnings = warnings.into_iter().map(Problem::of_etcd);
    found.extend(warnings.map(Problem::warning));
}

fn voters(best: &Etcd) -> Option<Fault> {
    let voters = best.members.iter().filter(|member| !member.learner).count();
    let what = match voters {
        1 => "one voter tolerates no failure: two more servers can join".to_owned(),
        even if even % 2 == 0 => format!(
            "{even} voters tolerate no more failures than {} would: an odd number is better",
            even - 1
        ),
        _ => return None,
    };
    Some(Fault::new("voters", Reason::NumberOfVoters, what))
}

/// The limit of a member's database, in bytes.
pub(crate) fn quota(given: &Given, apis: &Apis, member: &Member) -> Option<u64> {
    let node = member.node.as_deref()?;
    let server = given.servers.iter().find(|server| server.is_node(node))?;
    apis.servers.get(&server.host)?.quota
}

fn answering(given: &Given, apis: &Apis, found: &mut Problems) {
    if let Some(why) = &apis.nodes_unknown {
        let what = format!(
            "the Nodes could not be read, so no API was asked at its own address: {}",
            short(why)
        );
        found.push(Problem::of_all(Kind::Api, "nodes", Reason::CannotBeRead, what));
    }
    let problems = given.servers.iter();
    found.extend(problems.filter_map(|server| not_answering(server, apis)));
}

fn not_answering(server: &Server, apis: &Apis) -> Option<Problem> {
    let host = &server.host;
    if let Some(why) = server.not_ready() {
        let what = format!("its API is not ready: {}", not_ready(&why));
        return Some(Problem::of_server(host, Kind::Api, Reason::NotReady, what));
    }
    let Some(api) = apis.servers.get(host) else {
        let what = format!("the cluster has no Node {} with an address", server.node_name);
        let problem = Problem {
            object: server.node_name.clone(),
            ..Problem::of_server(host, Kind::Node, Reason::Missing, what)
        };
        return apis.nodes_unknown.is_none().then_some(problem);
    };
    let why = api.not_ready.as_ref()?;
    let what = format!(
        "its API does not answer at {}, asked from {}: {}",
        api.address,
        apis.asked_from,
        not_ready(why)
    );
    Some(Problem::of_server(host, Kind::Api, Reason::Unreachable, what))
}

fn versions(given: &Given, apis: &Apis, found: &mut Problems) {
    let versions = given.servers.iter().filter_map(|server| {
        let api = apis.servers.get(&server.host)?;
        Some((server.host.as_str(), api.version.as_deref()?))
    });
    let Some(versions) = differing(versions) else {
        return;
    };
    let versions: Vec<String> = versions
        .iter()
        .map(|(version, hosts)| format!("{version} on {}", hosts.join(", ")))
        .collect();
    let what = format!(
        "they run different versions: {}; playbook-upgrade-k3s.yaml finishes what it began",
        versions.join("; ")
    );
    found.push(Problem::of_all(
        Kind::Cluster,
        "versions",
        Reason::MixedVersions,
        what,
    ));
}

/// k3s compares them while a server joins, and only then.
fn settings(given: &Given, apis: &Apis, found: &mut Problems) {
    let shared: Vec<_> = given
        .servers
        .iter()
        .filter_map(|server| {
            Some((
                server.host.as_str(),
                apis.servers.get(&server.host)?.settings.as_ref()?,
            ))
        })
        .collect();
    let names: BTreeSet<&String> = shared.iter().flat_map(|(_, settings)| settings.keys()).collect();
    for name in names {
        let values = shared
            .iter()
            .filter_map(|(host, settings)| Some((*host, settings.get(name)?)));
        let Some(values) = differing(values) else {
            continue;
        };
        let values: Vec<String> = values
            .iter()
            .map(|(values, hosts)| format!("{} on {}", listed(values), hosts.join(", ")))
            .collect();
        let what = format!(
            "they must have the same --{name}, and have {}: k3s lets no server join, or come back after its data was lost, that differs",
            values.join("; ")
        );
        let object = format!("--{name}");
        found.push(Problem::of_all(
            Kind::Cluster,
            &object,
            Reason::DifferentSettings,
            what,
        ));
    }
}

fn listed(values: &[String]) -> String {
    if values.is_empty() {
        "nothing".to_owned()
    } else {
        values.join(",")
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
    words.join(" ").chars().take(QUOTED).collect()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
