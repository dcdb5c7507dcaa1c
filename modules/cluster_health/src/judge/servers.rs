//! The servers compared with each other, as findings of the cluster.

use super::about;
use crate::params::Params;
use crate::servers::{self, Problem};
use crate::state::Seen;
use crate::verdict::{Finding, Kind, Reason, Severity, Trouble};
use std::collections::BTreeMap;

pub(super) fn judge(params: &Params, seen: &Seen) -> Vec<Finding> {
    let (Some(given), Some(apis)) = (&params.servers, &seen.servers) else {
        return Vec::new();
    };
    let mut findings: BTreeMap<(Severity, Kind, String, Reason), String> = BTreeMap::new();
    for problem in servers::judge(given, apis) {
        let Problem {
            severity,
            kind,
            object,
            reason,
            what,
            ..
        } = problem;
        // Servers may see one problem differently.
        let message = findings.entry((severity, kind, object, reason)).or_default();
        if !message.is_empty() {
            message.push_str("; ");
        }
        message.push_str(&what);
    }
    let mut judged = Vec::new();
    for ((severity, kind, object, reason), message) in findings {
        judged.push(about(kind, "", &object, Trouble::new(reason, severity, message)));
    }
    judged
}

/// Whether etcd itself was asked: its answers make those of the Nodes' conditions needless.
pub(super) fn has_asked_etcd(params: &Params) -> bool {
    params.servers.as_ref().is_some_and(servers::sees_etcd)
}

/// Whether this server is compared with the others, so that it is known why it does not answer.
pub(super) fn includes(params: &Params, host: &str) -> bool {
    let servers = params.servers.iter().flat_map(|given| &given.servers);
    servers.into_iter().any(|server| server.host == host)
}

#[cfg(test)]
#[path = "servers_tests.rs"]
mod tests;
