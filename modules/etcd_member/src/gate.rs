//! Whether what was seen is what a playbook may go on with. Pure.
//!
//! A gate asks before a server is stopped and after it came back. A server without embedded etcd passes: it
//! has nobody to wait for.

use crate::compare::{self, node_in_name, node_of};
use crate::params::{Params, Require, Want};
use crate::state::{Cluster, Datastore, Etcd, Member, Node, Nodes, State};

/// What to know all the same, or why not to go on.
pub(crate) type Verdict = Result<Vec<String>, String>;

pub(crate) fn judge(params: &Params, state: &State) -> Verdict {
    let Want::Query {
        require, can_lose, ..
    } = &params.want
    else {
        return Ok(Vec::new());
    };
    match &state.seen.etcd {
        Etcd::None => without_etcd(state, require.as_ref(), require.is_some() || can_lose.is_some()),
        Etcd::Silent {
            name,
            listening: false,
            ..
        } if require.is_none() && is_of(name, can_lose.as_deref()) => Ok(vec![format!(
            "the member here, {name}, does not run, so nothing more is lost when its k3s is stopped; what the others do is not known"
        )]),
        Etcd::Silent { .. } | Etcd::Learner { .. } => Err(no_answer(&state.seen.etcd)),
        Etcd::Cluster(cluster) => {
            if let Some(require) = require {
                required(*require, cluster, &state.seen.nodes, &params.expected)?;
            }
            can_lose
                .as_deref()
                .map_or_else(|| Ok(Vec::new()), |node| lose(cluster, &state.seen.nodes, node))
        }
    }
}

fn is_of(member: &str, node: Option<&str>) -> bool {
    node.zip(node_in_name(member))
        .is_some_and(|(node, its)| node.eq_ignore_ascii_case(its))
}

/// What to say where a Node does not say yet what etcd says.
pub(crate) fn nodes_behind(state: &State, waited: u64) -> Option<String> {
    let (cluster, nodes) = (state.seen.cluster()?, state.seen.nodes.known()?);
    let behind = compare::nodes_behind(cluster, nodes);
    (!behind.is_empty()).then(|| {
        format!(
            "the condition EtcdIsVoter of the Node {} still differs from what etcd itself answers (waited {waited} s for it). etcd is right, and nothing has to be done: k3s on that server writes the name of its new member to the Node once its controllers run, and k3s on the server that leads etcd corrects the condition within 30 s after that. Where it stays so, `journalctl -u k3s` on the leading server says why",
            behind.join(", ")
        )
    })
}

/// Whether etcd can change its members at this moment; it could not, in an election.
pub(crate) fn decides(etcd: &Etcd) -> Result<(), String> {
    match etcd {
        Etcd::Silent { .. } => Err(no_answer(etcd)),
        Etcd::Cluster(cluster) => cluster.no_quorum.clone().map_or(Ok(()), Err),
        Etcd::None | Etcd::Learner { .. } => Ok(()),
    }
}

/// Why the member here cannot be asked.
pub(crate) fn no_answer(etcd: &Etcd) -> String {
    match etcd {
        Etcd::Learner { name } => format!(
            "the member here, {name}, is a learner that is not promoted yet, and etcd answers no questions about the others through it; it becomes a voter by itself once it has caught up"
        ),
        Etcd::Silent { why, .. } => {
            format!(
                "etcd does not answer here: {why}; `systemctl status k3s` and `journalctl -u k3s` there say more"
            )
        }
        Etcd::None | Etcd::Cluster(_) => String::new(),
    }
}

fn without_etcd(state: &State, require: Option<&Require>, is_gate: bool) -> Verdict {
    let elsewhere = members_elsewhere(&state.seen.nodes);
    if let (true, false) = (is_gate, elsewhere.is_empty()) {
        return Err(ask_elsewhere(&elsewhere));
    }
    if let Some(Require::AsExpected) = require {
        return Err(format!(
            "there is no embedded etcd here; this server keeps its data in {}",
            words(state.seen.datastore)
        ));
    }
    let unknown = match (&state.seen.nodes, state.seen.datastore) {
        (Nodes::Unknown(why), Datastore::External) if is_gate => Some(format!(
            "this server has no member of etcd, and whether others have is not known: {why}"
        )),
        _ => None,
    };
    Ok(unknown.into_iter().collect())
}

/// Nodes with a member, seen from a server that has none.
pub(crate) fn members_elsewhere(nodes: &Nodes) -> Vec<&str> {
    let with_member = |node: &&Node| node.etcd || !node.member.is_empty();
    let nodes = nodes.known().unwrap_or_default().iter();
    nodes.filter(with_member).map(|node| node.name.as_str()).collect()
}

pub(crate) fn ask_elsewhere(nodes: &[&str]) -> String {
    format!(
        "this server has no member of etcd, but the cluster has: ask through one of {}",
        nodes.join(", ")
    )
}

fn words(datastore: Datastore) -> &'static str {
    match datastore {
        Datastore::Etcd => "embedded etcd",
        Datastore::Sqlite => "SQLite",
        Datastore::External => "an external datastore",
    }
}

fn required(require: Require, cluster: &Cluster, nodes: &Nodes, expected: &[String]) -> Result<(), String> {
    let mut problems = shared_problems(cluster);
    problems.extend(unhealthy(cluster, cluster.voters()));
    let stale = compare::stale(cluster, nodes, expected);
    if require >= Require::AllVoters {
        problems.extend(learners(cluster));
    }
    match require {
        Require::Healthy => {}
        Require::AllVoters => {
            let missing = stale.expected_without_member.iter().flatten();
            problems.extend(missing.map(|name| format!("{name} is expected and has no member")));
        }
        Require::AsExpected => {
            problems.extend(compare::words(&stale));
            if let Nodes::Unknown(why) = nodes {
                problems.push(format!("the Nodes could not be read: {why}"));
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(format!(
        "etcd is not as required: {}. {}",
        problems.join("; "),
        numbers(cluster)
    ))
}

/// Whether k3s on `node` may be stopped: every other voter has to be healthy, and they have to be enough.
fn lose(cluster: &Cluster, nodes: &Nodes, node: &str) -> Verdict {
    let is_its = |member: &&Member| node_of(member, nodes).is_some_and(|of| of.eq_ignore_ascii_case(node));
    let (its, others): (Vec<&Member>, Vec<&Member>) = cluster.voters().partition(is_its);
    if let ([its], [other], None) = (its.as_slice(), others.as_slice(), cluster.leader())
        && its.status.is_none()
        && other.status.is_some()
    {
        return Ok(vec![format!(
            "{} is down, so the two voters have no quorum and the API is out already; only its return restores it",
            its.title()
        )]);
    }
    let (voters, quorum) = (its.len() + others.len(), cluster.quorum());
    // A node whose voter is not known may have any of them.
    let stay = others.len().saturating_sub(usize::from(its.is_empty()));
    let mut problems = shared_problems(cluster);
    problems.extend(learners(cluster));
    problems.extend(unhealthy(cluster, others.iter().copied()));
    if voters == 2 {
        problems.extend(unhealthy(cluster, its.iter().copied()));
    } else if stay < quorum && voters > 2 {
        problems.push(format!("{stay} voters would remain, and the quorum is {quorum}"));
    }
    if !problems.is_empty() {
        return Err(format!(
            "k3s on {node} must not be stopped now: {}. {}; fix that first, then run the same again",
            problems.join("; "),
            numbers(cluster)
        ));
    }
    let unknown = its
        .is_empty()
        .then(|| format!("no voter of etcd is known to be of node {node}"));
    let out = (!its.is_empty() && stay < quorum).then(|| {
        let few = if voters == 1 {
            "one voter tolerates"
        } else {
            "two voters tolerate"
        };
        format!("{few} no failure: the API is out while k3s on {node} is stopped")
    });
    Ok(unknown.into_iter().chain(out).collect())
}

/// What concerns all members.
fn shared_problems(cluster: &Cluster) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(why) = &cluster.no_quorum {
        problems.push(format!("a quorum does not answer: {why}"));
    } else if cluster.leader().is_none() {
        problems.push("there is no leader".to_owned());
    }
    problems.extend(cluster.alarms.iter().map(|alarm| {
        let member = cluster
            .member(alarm.member)
            .map_or_else(|| format!("{:x}", alarm.member), Member::title);
        format!("{member} has raised the alarm {}", alarm.kind)
    }));
    problems
}

fn unhealthy<'a>(cluster: &'a Cluster, members: impl Iterator<Item = &'a Member>) -> Vec<String> {
    let problems = members.filter_map(|member| {
        let trouble = cluster.trouble(member)?;
        Some(format!("{} is not healthy: {trouble}", member.title()))
    });
    problems.collect()
}

fn learners(cluster: &Cluster) -> impl Iterator<Item = String> {
    cluster
        .learners()
        .map(|member| format!("{} is a learner, not a voter yet", member.title()))
}

pub(crate) fn numbers(cluster: &Cluster) -> String {
    format!(
        "{} of {} voters are healthy, and the quorum is {}",
        cluster.healthy_voters(),
        cluster.voters().count(),
        cluster.quorum()
    )
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
