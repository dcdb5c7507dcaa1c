//! The API server, what it would not report, and etcd.

use super::{about, age, servers};
use crate::params::Params;
use crate::state::{Api, Seen};
use crate::verdict::{Finding, Kind, Reason, Trouble};
use cluster::Node;
use host::Kind as FailureKind;

pub(super) fn judge(params: &Params, seen: &Seen) -> Vec<Finding> {
    let api = &seen.api;
    let mut findings: Vec<Finding> = params
        .expect
        .unanswered
        .iter()
        .filter(|name| !servers::includes(params, name))
        .map(|name| unanswered(name))
        .collect();
    if api.version.is_none() {
        findings.push(about(Kind::Api, "", "kube-apiserver", unreachable(api)));
        return findings;
    }
    if !api.ready {
        findings.extend(checks(api));
    }
    let unread = seen.unread.iter().map(|(what, why)| {
        about(
            Kind::Api,
            "",
            what,
            Trouble::error(Reason::CannotBeRead, why.clone()),
        )
    });
    findings.extend(unread);
    if servers::has_asked_etcd(params) {
        return findings;
    }
    findings.extend(local_etcd(seen));
    let members = seen.nodes.iter().filter(|node| node.has_etcd());
    findings.extend(members.filter_map(|node| voter(params, seen, node)));
    findings
}

fn unanswered(name: &str) -> Finding {
    let said = "the API server of this controller does not answer, or is not ready";
    about(Kind::Api, "", name, Trouble::error(Reason::Unanswered, said))
}

fn unreachable(api: &Api) -> Trouble {
    let mut message = match api.failure {
        Some(FailureKind::CommandNotFound) => api.said.clone(),
        Some(_) => format!("nothing can be asked: {}", api.said),
        None => format!("the API server does not answer: {}", api.said),
    };
    if let Some(service) = &api.service {
        message = format!("{service}; {message}");
    }
    Trouble::error(Reason::Unreachable, message)
}

/// Each check that has failed; where none is named, that the server calls itself not ready.
fn checks(api: &Api) -> Vec<Finding> {
    let failed = api.checks.iter().filter(|check| !check.passed);
    let failed: Vec<Finding> = failed
        .map(|check| {
            let said = "the API server answers, but this check of its /readyz fails";
            about(
                Kind::Api,
                "",
                &check.name,
                Trouble::error(Reason::CheckFailed, said),
            )
        })
        .collect();
    if failed.is_empty() {
        let said = format!("the API server answers, but calls itself not ready: {}", api.said);
        return vec![about(
            Kind::Api,
            "",
            "readyz",
            Trouble::error(Reason::CheckFailed, said),
        )];
    }
    failed
}

fn local_etcd(seen: &Seen) -> Option<Finding> {
    let etcd = seen.etcd.as_ref()?;
    let location = &seen.location;
    let trouble = if !etcd.healthy {
        Trouble::error(
            Reason::Unhealthy,
            format!(
                "{location}: this member of etcd is not healthy: it has an alarm, no leader, or no quorum: {}",
                etcd.said
            ),
        )
    } else if etcd.learner {
        Trouble::error(
            Reason::NotVoter,
            format!("{location}: this member of etcd is a learner, not a voter"),
        )
    } else {
        return None;
    };
    Some(about(Kind::Etcd, "", "this member", trouble))
}

/// k3s on the server that leads etcd writes on each Node whether its member votes, and whether it answers. It does so every
/// 15 s, after etcd itself has decided: a server that has just joined, or was restored, is given its time.
fn voter(params: &Params, seen: &Seen, node: &Node) -> Option<Finding> {
    let votes = node
        .condition("EtcdIsVoter")
        .filter(|votes| votes.status != "True")?;
    let (reason, what) = match votes.reason.as_str() {
        "Unhealthy" => (Reason::Unhealthy, "is not healthy"),
        _ => (Reason::NotVoter, "does not vote"),
    };
    let message = format!("its member of etcd {what}: {} ({})", votes.message, votes.reason);
    let since = votes.last_transition_time;
    let young = age(since, seen.now).is_some_and(|age| age <= params.limits.not_ready);
    let trouble = Trouble::error(reason, message).since(since.map(Into::into));
    let trouble = trouble.settling(young && reason == Reason::NotVoter);
    Some(about(Kind::Etcd, "", &node.name, trouble))
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
