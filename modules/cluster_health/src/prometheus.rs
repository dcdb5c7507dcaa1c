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
        if series.is_empty() {
            return;
        }
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
    // Nothing seen is not the same as none there.
    let seen_one = |value: usize| {
        if seen.api.version.is_some() {
            one(number(value))
        } else {
            Vec::new()
        }
    };
    metric("nodes", "Nodes of the cluster.", seen_one(counts.nodes));
    metric(
        "nodes_ready",
        "Nodes that are Ready.",
        seen_one(counts.nodes_ready),
    );
    let phases = counts.pods_in_phase.iter();
    let phases = phases.map(|(phase, count)| (format!("{{phase=\"{}\"}}", escape(phase)), number(*count)));
    metric("pods", "Pods by phase.", phases.collect());
    metric(
        "workloads",
        "Deployments, StatefulSets and DaemonSets.",
        seen_one(counts.workloads),
    );
    metric(
        "workloads_available",
        "Those with all their replicas.",
        seen_one(counts.workloads_available),
    );
    metric(
        "jobs_failed",
        "Jobs that have failed.",
        seen_one(counts.jobs_failed),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{bare, cluster, node, not_ready, pod, with};
    use serde_json::json;

    fn of(seen: &Seen) -> String {
        let health = seen.judged(json!({}));
        text(seen, &health, &Counts::of(seen, &health))
    }

    #[test]
    fn labels_are_escaped_and_values_are_numbers() {
        let odd = with(
            not_ready(pod("web"), 400),
            json!({"metadata": {"namespace": "a\"b\\c\nd", "ownerReferences": null}}),
        );
        let text = of(&bare().node(node("n1")).pod(odd));
        let expected = r#"k3s_health_verdict{severity="error",kind="Pod",namespace="a\"b\\c\nd",object="web",reason="NotReady"} 1"#;
        assert!(text.lines().any(|line| line == expected), "{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(
                name.starts_with("k3s_health_") && value.parse::<f64>().is_ok(),
                "{line}"
            );
        }
    }

    #[test]
    fn a_cluster_in_pieces_does_not_flood_its_watcher() {
        let lost = |number: usize| with(node(&format!("n{number}")), json!({"status": {"conditions": []}}));
        let seen = (0..300).fold(bare(), |seen, number| seen.node(lost(number)));
        let text = of(&seen);
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("k3s_health_verdict{"))
                .count(),
            SERIES
        );
        assert!(
            text.contains("k3s_health_verdicts{severity=\"error\"} 300\n"),
            "{text}"
        );
    }

    #[test]
    fn where_nothing_was_seen_nothing_is_counted() {
        let mut seen = cluster();
        seen.api.version = None;
        let text = of(&seen);
        assert!(
            text.contains("k3s_health_healthy 0\n") && !text.contains("k3s_health_nodes"),
            "{text}"
        );
    }
}
