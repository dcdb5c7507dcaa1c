//! Judges what was seen. Pure: a look and the options in, verdicts out.

mod api;
mod certificates;
mod containers;
mod jobs;
mod nodes;
mod pods;
mod servers;
mod versions;
mod workloads;

use crate::group::group;
use crate::params::{FailOn, Params, Scope};
use crate::state::Seen;
use crate::verdict::{Finding, Kind, Owner, Severity, Stage, Suspect, Trouble, Verdict, suspects};
use cluster::{Labels, Pod, Time};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

/// All verdicts of one look.
#[derive(Clone, Debug, Default)]
pub struct Health {
    pub verdicts: Vec<Verdict>,
    /// For a later look that has this one for its baseline.
    pub suspects: Vec<Suspect>,
    /// Findings that the options say to ignore.
    pub ignored: usize,
    fail_on: FailOn,
}

impl Health {
    /// What makes the cluster unhealthy: it is bad enough, and was not so in the baseline.
    pub fn failing(&self) -> impl Iterator<Item = &Verdict> {
        let enough = match self.fail_on {
            FailOn::Warning => Severity::Warning,
            FailOn::Error | FailOn::Never => Severity::Error,
        };
        self.verdicts
            .iter()
            .filter(move |verdict| verdict.severity >= enough && verdict.is_new())
    }

    /// What was so in the baseline. What is good to know only is nothing to report again.
    pub fn old(&self) -> impl Iterator<Item = &Verdict> {
        let is_new_problem = |verdict: &&Verdict| verdict.severity > Severity::Info && !verdict.is_new();
        self.verdicts.iter().filter(is_new_problem)
    }

    /// Of those what had only begun there, so that it was not reported before.
    pub fn had_begun(&self) -> impl Iterator<Item = &Verdict> {
        self.old().filter(|verdict| verdict.begun > 0)
    }

    pub fn is_healthy(&self) -> bool {
        self.failing().next().is_none()
    }

    /// What is too young to be trouble, and was not there before either.
    pub fn settling(&self) -> usize {
        let young = self
            .verdicts
            .iter()
            .filter(|verdict| verdict.settling && verdict.is_new());
        young.map(|verdict| verdict.count).sum()
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.verdicts
            .iter()
            .filter(|verdict| verdict.severity == severity && !verdict.settling)
            .count()
    }
}

pub fn judge(params: &Params, seen: &Seen) -> Health {
    let mut findings = servers::judge(params, seen);
    if params.scope == Scope::Cluster {
        let known: BTreeSet<_> = findings.iter().map(Finding::identity).collect();
        let cluster = cluster(params, seen).into_iter();
        findings.extend(cluster.filter(|finding| !known.contains(&finding.identity())));
    }
    findings.retain(|finding| is_asked_for(params, seen, finding));
    let (ignored, findings): (Vec<Finding>, Vec<Finding>) = findings
        .into_iter()
        .partition(|finding| params.ignore.ignores(finding));
    let ignored = ignored
        .iter()
        .filter(|finding| finding.trouble.stage != Stage::Suspected);
    Health {
        ignored: ignored.count(),
        suspects: suspects(&findings),
        verdicts: group(findings, &params.baseline),
        fail_on: params.fail_on,
    }
}

fn cluster(params: &Params, seen: &Seen) -> Vec<Finding> {
    let mut findings = api::judge(params, seen);
    findings.extend(certificates::judge(params, seen));
    findings.extend(nodes::judge(seen));
    findings.extend(versions::judge(params, seen));
    let (pods, standing_in) = pods::judge(params, seen);
    findings.extend(pods);
    findings.extend(workloads::judge(params, seen, &standing_in));
    findings.extend(jobs::judge(params, seen));
    findings
}

/// Of a look at some nodes: what is about them or about a pod on one of them; and without an API nothing is known of them.
fn is_asked_for(params: &Params, seen: &Seen, finding: &Finding) -> bool {
    let nodes = &params.only_nodes;
    let is_here =
        |pod: &&Pod| pod.metadata.namespace == finding.namespace && pod.metadata.name == finding.name;
    match finding.kind {
        _ if nodes.is_empty() => true,
        Kind::Api => true,
        Kind::Node => nodes.contains(&finding.name),
        Kind::Pod => {
            let mut pods = seen.pods.suspect.iter();
            pods.find(is_here)
                .is_some_and(|pod| nodes.iter().any(|name| name == pod.node_name()))
        }
        _ => false,
    }
}

/// A finding about an object that is nobody's.
fn about(kind: Kind, namespace: &str, name: &str, trouble: Trouble) -> Finding {
    Finding {
        kind,
        namespace: namespace.to_owned(),
        owner: Owner {
            kind: String::new(),
            name: name.to_owned(),
        },
        name: name.to_owned(),
        labels: Labels::new(),
        trouble,
    }
}

/// How long it has been so, as far as the object shows.
fn age(since: Option<Time>, now: SystemTime) -> Option<Duration> {
    since.map(|since| since.until(now))
}

/// A span for a person: `45 s`, `12 min`, `5 h`, `3 d`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
