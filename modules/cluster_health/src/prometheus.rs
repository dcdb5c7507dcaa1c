//! The same for a machine: text for the textfile collector of Prometheus' node exporter.

use crate::counts::Counts;
use crate::judge::Health;
use crate::params::{Params, Scope};
use crate::state::Seen;
use crate::verdict::{Severity, Verdict};
use std::fmt::Write as _;
use std::time::SystemTime;

/// Series of single verdicts: a cluster that falls to pieces must not flood what watches it.
const SERIES: usize = 200;

#[derive(Default)]
struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, help: &str, series: impl IntoIterator<Item = (String, usize)>) {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return;
        }
        let _ = writeln!(
            self.0,
            "# HELP k3s_health_{name} {help}\n# TYPE k3s_health_{name} gauge"
        );
        for (labels, value) in series {
            let _ = writeln!(self.0, "k3s_health_{name}{labels} {value}");
        }
    }

    fn number(&mut self, name: &str, help: &str, value: usize) {
        self.metric(name, help, [(String::new(), value)]);
    }

    fn fact(&mut self, name: &str, help: &str, value: bool) {
        self.number(name, help, value.into());
    }
}

pub(crate) fn text(params: &Params, seen: &Seen, health: &Health, counts: &Counts) -> String {
    let mut page = Page::default();
    let at = seen
        .now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let at = at.try_into().unwrap_or_default();
    page.number("checked_timestamp_seconds", "When the cluster was checked.", at);
    page.fact("healthy", "Whether nothing new is wrong.", health.is_healthy());
    page.fact("complete", "Whether all could be read.", seen.is_complete());
    page.fact(
        "api_ready",
        "Whether the API server calls itself ready.",
        seen.api.ready,
    );
    let until = seen
        .leaves_until()
        .and_then(|until| until.duration_since(SystemTime::UNIX_EPOCH).ok());
    let until = until.and_then(|until| until.as_secs().try_into().ok());
    let help = "When the first certificate of the node that was asked ends.";
    page.metric(
        "certificate_end_timestamp_seconds",
        help,
        until.map(|until| (String::new(), until)),
    );
    let severities = [Severity::Error, Severity::Warning, Severity::Info];
    let by_severity = severities.map(|severity| (label("severity", severity), health.count(severity)));
    page.metric("verdicts", "Troubles by severity.", by_severity);
    // Nothing seen is not the same as none there.
    if seen.api.version.is_some() {
        nodes(&mut page, counts);
    }
    if seen.api.version.is_some() && params.scope == Scope::Cluster {
        workloads(&mut page, counts);
    }
    let reported = health
        .verdicts
        .iter()
        .filter(|verdict| !verdict.settling)
        .take(SERIES);
    page.metric(
        "verdict",
        "Objects in one trouble.",
        reported.map(|verdict| (labels(verdict), verdict.count)),
    );
    page.0
}

fn nodes(page: &mut Page, counts: &Counts) {
    page.number("nodes", "Nodes of the cluster.", counts.nodes);
    page.number("nodes_ready", "Nodes that are Ready.", counts.nodes_ready);
}

fn workloads(page: &mut Page, counts: &Counts) {
    let phases = counts.pods_in_phase.iter();
    page.metric(
        "pods",
        "Pods by phase.",
        phases.map(|(phase, count)| (label("phase", phase), *count)),
    );
    page.number(
        "workloads",
        "Deployments, StatefulSets and DaemonSets.",
        counts.workloads,
    );
    page.number(
        "workloads_available",
        "Those with all their replicas.",
        counts.workloads_available,
    );
    page.number("jobs_failed", "Jobs that have failed.", counts.jobs_failed);
}

fn label(name: &str, value: impl ToString) -> String {
    format!("{{{name}=\"{}\"}}", escape(&value.to_string()))
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
    use crate::samples::{bare, cluster, node, not_ready, params, pod, with};
    use serde_json::json;

    fn of(seen: &Seen) -> String {
        let health = seen.judged(json!({}));
        text(&params(json!({})), seen, &health, &Counts::of(seen, &health))
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
