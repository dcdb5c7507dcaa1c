//! The cluster on one screen.

use crate::counts::Counts;
use crate::judge::{Health, span};
use crate::params::{Params, Scope};
use crate::servers;
use crate::state::Seen;
use crate::verdict::{Folded, Severity, Verdict, folded};
use crate::words::plural;
use k3s_certs::rfc3339;
use std::collections::BTreeSet;
use std::time::SystemTime;

/// A screen has 24 lines, and the head and Ansible's own want some.
const VERDICTS: usize = 12;
const LOG_LINES: usize = 5;
/// A line that does not fit is read by nobody.
const LONGEST: usize = 200;

pub(crate) fn lines(params: &Params, seen: &Seen, health: &Health, counts: &Counts) -> Vec<String> {
    let mut lines = vec![headline(seen, health, counts)];
    if seen.api.version.is_none() {
        lines.extend(service(seen));
    } else if params.scope == Scope::Cluster {
        lines.extend(numbers(seen, counts));
    }
    if let (Some(given), Some(apis)) = (&params.servers, &seen.servers) {
        lines.extend(servers::lines(given, apis));
    }
    // An old trouble and a passing one take no room from what is wrong now.
    let mut verdicts: Vec<&Verdict> = health
        .verdicts
        .iter()
        .filter(|verdict| !verdict.settling)
        .collect();
    verdicts.sort_by_key(|verdict| !(verdict.is_new() && verdict.severity > Severity::Info));
    let verdicts = folded(verdicts.into_iter());
    lines.extend(certificates(seen, counts));
    lines.extend(verdicts.iter().take(VERDICTS).map(|verdict| line(seen, verdict)));
    if let Some(more) = verdicts.len().checked_sub(VERDICTS).filter(|more| *more > 0) {
        lines.push(format!("... and {more} more, in the answer's verdicts"));
    }
    if counts.settling > 0 {
        lines.push(format!(
            "{} still starting, not counted as trouble yet",
            objects(counts.settling)
        ));
    }
    lines
}

fn headline(seen: &Seen, health: &Health, counts: &Counts) -> String {
    let is = if health.is_healthy() {
        "healthy"
    } else {
        "NOT HEALTHY"
    };
    let mut parts = vec![plural(counts.errors, "error"), plural(counts.warnings, "warning")];
    let old = health.old().count();
    if old > 0 {
        parts.push(format!("{old} of them as before"));
    }
    if health.ignored > 0 {
        parts.push(format!("{} ignored", health.ignored));
    }
    format!(
        "{is}: {}; {}, seen from {}",
        parts.join(", "),
        rfc3339(seen.now),
        seen.location
    )
}

fn numbers(seen: &Seen, counts: &Counts) -> Vec<String> {
    let api = &seen.api;
    let ready = if api.ready { "ready" } else { "not ready" };
    let passed = api.checks.iter().filter(|check| check.passed).count();
    let versions: BTreeSet<&str> = seen
        .nodes
        .iter()
        .map(|node| node.kubelet_version.as_str())
        .collect();
    let versions: Vec<&str> = versions.into_iter().collect();
    let mut lines = vec![
        format!(
            "API {}: {ready}, {passed} of {} checks passed",
            api.version.as_deref().unwrap_or_default(),
            api.checks.len()
        ),
        format!(
            "nodes: {} of {} Ready, {}",
            counts.nodes_ready,
            counts.nodes,
            versions.join(", ")
        ),
    ];
    if counts.etcd_members > 0 {
        lines.push(format!(
            "etcd: {}, {} vote",
            plural(counts.etcd_members, "member"),
            counts.etcd_voters
        ));
    }
    let phases: Vec<String> = counts
        .pods_in_phase
        .iter()
        .map(|(phase, count)| format!("{count} {phase}"))
        .collect();
    lines.push(format!("pods: {} ({})", counts.pods, phases.join(", ")));
    lines.push(format!(
        "workloads: {} of {} available; jobs: {}, {} failed",
        counts.workloads_available, counts.workloads, counts.jobs, counts.jobs_failed
    ));
    lines
}

fn certificates(seen: &Seen, counts: &Counts) -> Option<String> {
    let until = seen.leaves_until()?;
    let first = match until.duration_since(seen.now) {
        Ok(left) => format!("the first expires in {}", span(left)),
        Err(_) => "the first has expired".to_owned(),
    };
    Some(format!(
        "certificates of this node: {}, {first}",
        counts.certificates
    ))
}

fn service(seen: &Seen) -> Vec<String> {
    let api = &seen.api;
    let mut lines: Vec<String> = api
        .service
        .iter()
        .map(|service| format!("service: {service}"))
        .collect();
    let last = api.log.len().saturating_sub(LOG_LINES);
    lines.extend(api.log[last..].iter().map(|line| cut(&format!("log: {line}"))));
    lines
}

fn line(seen: &Seen, folded: &Folded) -> String {
    let verdict = folded.verdict;
    let old = if verdict.is_new() { "" } else { ", was so before," };
    let since = folded
        .since
        .and_then(|since| ago(since, seen.now))
        .map(|ago| format!(" for {ago}"))
        .unwrap_or_default();
    cut(&format!("{}{old}{since}: {folded}", verdict.severity))
}

fn ago(since: SystemTime, now: SystemTime) -> Option<String> {
    now.duration_since(since).ok().map(span)
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

fn objects(count: usize) -> String {
    if count == 1 {
        "1 object is".to_owned()
    } else {
        format!("{count} objects are")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{ago, bare, node, not_ready, params, pod, with};
    use serde_json::json;

    fn of(seen: &Seen, options: serde_json::Value) -> Vec<String> {
        let health = seen.judged(options.clone());
        lines(&params(options), seen, &health, &Counts::of(seen, &health))
    }

    #[test]
    fn it_fits_on_a_screen_and_counts_what_does_not() {
        let stuck = |number: usize| {
            let pod = not_ready(pod("web-1"), 400);
            with(
                pod,
                json!({"metadata": {"namespace": format!("space{number:02}")}}),
            )
        };
        let seen = (0..50).fold(bare().node(node("n1")), |seen, number| seen.pod(stuck(number)));
        let lines = of(&seen, json!({}));
        assert!(
            lines.len() < 24 && lines.iter().all(|line| line.chars().count() <= LONGEST + 1),
            "{lines:#?}"
        );
        assert_eq!(
            lines[0],
            "NOT HEALTHY: 50 errors, 0 warnings; 2026-01-01T00:00:00Z, seen from container 101 on pve1"
        );
        assert_eq!(lines.last().unwrap(), "... and 38 more, in the answer's verdicts");
    }

    #[test]
    fn what_several_nodes_have_is_one_line() {
        let lost = |number: usize, seconds: u64| {
            let ready = json!([{"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "no CNI", "lastTransitionTime": ago(seconds)}]);
            with(
                node(&format!("n{number}")),
                json!({"status": {"conditions": ready}}),
            )
        };
        let lines = of(&bare().node(lost(1, 400)).node(lost(2, 800)), json!({}));
        assert!(
            lines.contains(
                &"error for 13 min: Node n1, n2: NotReady: Ready is False (KubeletNotReady): no CNI"
                    .to_owned()
            ),
            "{lines:#?}"
        );
        assert!(lines[0].starts_with("NOT HEALTHY: 2 errors"), "{lines:#?}");
    }

    #[test]
    fn new_trouble_comes_before_what_is_known() {
        let lost = with(
            node("n1"),
            json!({"status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": ago(400)}]}}),
        );
        let seen = bare().node(lost);
        let baseline = json!(seen.judged(json!({})).verdicts);
        let seen = seen
            .node(with(node("n2"), json!({"spec": {"unschedulable": true}})))
            .pod(not_ready(pod("web-1"), 20));
        let lines = of(&seen, json!({"baseline": baseline}));
        let starts: Vec<&str> = lines
            .iter()
            .skip(5)
            .map(|line| line.split(':').next().unwrap())
            .collect();
        assert_eq!(
            starts,
            ["warning", "warning for 20 s", "error, was so before, for 6 min"],
            "{lines:#?}"
        );
        assert!(
            lines[0].starts_with("healthy: 1 error, 2 warnings, 1 of them as before; "),
            "{lines:#?}"
        );
    }

    #[test]
    fn what_is_about_to_start_is_mentioned_only() {
        let lines = of(
            &bare().node(node("n1")).pod(not_ready(pod("web-1"), 20)),
            json!({}),
        );
        assert_eq!(
            lines.last().unwrap(),
            "1 object is still starting, not counted as trouble yet"
        );
    }
}
