//! Versions: which nodes should be there, what they run, and how far a kubelet may be from its API server.

use super::about;
use crate::params::Params;
use crate::servers::differing;
use crate::state::Seen;
use crate::verdict::{Finding, Kind, Reason, Severity, Trouble};
use cluster::Node;
use k3s_types::K3sVersion;
use std::collections::BTreeSet;

/// API servers may be this many minors apart.
const SERVERS_APART: u32 = 1;
/// So many minors a kubelet may be behind.
const KUBELETS_BEHIND: u32 = 3;

pub(super) fn judge(params: &Params, seen: &Seen) -> Vec<Finding> {
    if seen.api.version.is_none() || seen.unread.contains_key("nodes") {
        return Vec::new();
    }
    if seen.nodes.is_empty() {
        let trouble = Trouble::error(Reason::Missing, "the cluster has no node at all");
        return vec![about(Kind::Cluster, "", "nodes", trouble)];
    }
    let mut findings = missing(params, seen);
    if let Some(wanted) = &params.expect.version {
        let runs_it = |node: &&Node| {
            node.kubelet_version
                .parse()
                .is_ok_and(|runs: K3sVersion| runs == *wanted)
        };
        let other = seen.nodes.iter().filter(|node| !runs_it(node));
        findings.extend(other.map(|node| {
            let message = format!("{} runs, {wanted} is expected", or_none(&node.kubelet_version));
            about(
                Kind::Node,
                "",
                &node.name,
                Trouble::error(Reason::WrongVersion, message),
            )
        }));
    }
    findings.extend(mixed(params, seen));
    findings.extend(skew(seen));
    findings
}

fn or_none(version: &str) -> &str {
    if version.is_empty() { "no version" } else { version }
}

fn missing(params: &Params, seen: &Seen) -> Vec<Finding> {
    let there: BTreeSet<&str> = seen.nodes.iter().map(|node| node.name.as_str()).collect();
    let gone = params
        .expect
        .nodes
        .iter()
        .filter(|name| !there.contains(name.as_str()));
    gone.map(|name| {
        about(
            Kind::Node,
            "",
            name,
            Trouble::error(Reason::Missing, "the cluster has no such node"),
        )
    })
    .collect()
}

/// Normal in the middle of an upgrade; otherwise somebody has forgotten a node.
fn mixed(params: &Params, seen: &Seen) -> Option<Finding> {
    let nodes = seen.nodes.iter();
    let versions = differing(nodes.map(|node| (node.name.as_str(), or_none(&node.kubelet_version))))?;
    let versions: Vec<String> = versions
        .iter()
        .map(|(version, nodes)| format!("{version}: {}", nodes.join(", ")))
        .collect();
    let severity = if params.expect.same_version {
        Severity::Error
    } else {
        Severity::Warning
    };
    let trouble = Trouble::new(
        Reason::MixedVersions,
        severity,
        format!("the nodes do not run one version: {}", versions.join("; ")),
    );
    Some(about(Kind::Cluster, "", "versions", trouble))
}

/// A kubelet may not be newer in minor than any API server, nor much older. A controller's kubelet and API server are
/// one program, so its version stands for both.
fn skew(seen: &Seen) -> Vec<Finding> {
    let version = |node: &Node| node.kubelet_version.parse::<K3sVersion>().ok();
    let controllers = seen
        .nodes
        .iter()
        .filter(|node| node.is_controller())
        .filter_map(version);
    let asked = seen.api.version.as_ref().and_then(|version| version.parse().ok());
    let minors: Vec<u32> = controllers
        .chain(asked)
        .map(|version: K3sVersion| version.minor)
        .collect();
    let (Some(oldest), Some(newest)) = (minors.iter().min(), minors.iter().max()) else {
        return Vec::new();
    };
    let of_node = |node: &Node| {
        let kubelet = version(node)?;
        let may = if node.is_controller() {
            SERVERS_APART
        } else {
            KUBELETS_BEHIND
        };
        let trouble = if !node.is_controller() && kubelet.minor > *oldest {
            Trouble::error(
                Reason::KubeletTooNew,
                format!(
                    "its kubelet is {kubelet}, newer than an API server of v1.{oldest}: upgrade the controllers"
                ),
            )
        } else if kubelet.minor + may < *newest {
            Trouble::error(
                Reason::TooOld,
                format!(
                    "it runs {kubelet}, more than {may} minors behind an API server of v1.{newest}: upgrade it"
                ),
            )
        } else {
            return None;
        };
        Some(about(Kind::Node, "", &node.name, trouble))
    };
    seen.nodes.iter().filter_map(of_node).collect()
}

#[cfg(test)]
#[path = "versions_tests.rs"]
mod tests;
