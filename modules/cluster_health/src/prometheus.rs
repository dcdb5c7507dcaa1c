//! The same for a machine: text for the textfile collector of Prometheus' node exporter.

use crate::judge::Health;
use crate::report::Counts;
use crate::state::Seen;
use crate::verdict::{Severity, Verdict};
use std::fmt::Write as _;
use std::time::SystemTime;

/// Series of single verdicts: a cluster that falls to pieces must not flood what watches it.
const SERIES: usize = 200;

pub(crate) fn text(seen: &Seen, health: &Health, counts: &Counts) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, help: &str, series: Vec<(String, u64)>| {
        let _ = writeln!(
            text,
            "# HELP k3s_health_{name} {help}\n# TYPE k3s_health_{name} gauge"
        );
        for (labels, value) in series {
            let _ = writeln!(text, "k3s_health_{name}{labels} {value}");
        }
    };
    let one = |value: u64| vec![(String::new(), value)];
    let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    let at = seen
        .now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    metric(
        "checked_timestamp_seconds",
        "When the cluster was looked at.",
        one(at),
    );
    metric(
        "healthy",
        "Whether nothing new is wrong.",
        one(health.is_healthy().into()),
    );
    metric(
        "complete",
        "Whether all could be read.",
        one(seen.is_complete().into()),
    );
    metric(
        "api_ready",
        "Whether the API server calls itself ready.",
        one(seen.api.ready.into()),
    );
    let severities = [Severity::Error, Severity::Warning, Severity::Info];
    let by_severity = severities.map(|severity| {
        let label = format!("{{severity=\"{severity}\"}}");
        (label, number(health.count(severity)))
    });
    metric("verdicts", "Troubles by severity.", by_severity.to_vec());
    metric("nodes", "Nodes of the cluster.", one(number(counts.nodes)));
    metric(
        "nodes_ready",
        "Nodes that are Ready.",
        one(number(counts.nodes_ready)),
    );
    let phases = counts.pods_in_phase.iter();
    let phases = phases.map(|(phase, count)| (format!("{{phase=\"{}\"}}", escape(phase)), number(*count)));
    metric("pods", "Pods by phase.", phases.collect());
    metric(
        "workloads",
        "Deployments, StatefulSets and DaemonSets.",
        one(number(counts.workloads)),
    );
    metric(
        "workloads_available",
        "Those with all their replicas.",
        one(number(counts.workloads_available)),
    );
    metric(
        "jobs_failed",
        "Jobs that have failed.",
        one(number(counts.jobs_failed)),
    );
    let told = health
        .verdicts
        .iter()
        .filter(|verdict| !verdict.settling)
        .take(SERIES);
    metric(
        "verdict",
        "Objects in one trouble.",
        told.map(|verdict| (labels(verdict), number(verdict.count)))
            .collect(),
    );
    text
}

fn labels(verdict: &Verdict) -> String {
    let identity = &verdict.identity;
    format!(
        "{{severity=\"{}\",kind=\"{}\",namespace=\"{}\",object=\"{}\",reason=\"{}\"}}",
        verdict.severity,
        identity.kind,
        escape(&identity.namespace),
        escape(&identity.object),
        identity.reason
    )
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
