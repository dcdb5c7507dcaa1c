//! The cluster on one screen.

use crate::judge::{Health, span};
use crate::report::Counts;
use crate::state::Seen;
use crate::verdict::{Severity, Verdict, rfc3339};
use std::collections::BTreeSet;
use std::time::SystemTime;

/// A screen has 24 lines, and the head and Ansible's own want some.
const VERDICTS: usize = 12;
const LOG_LINES: usize = 5;
/// A line that does not fit is read by nobody.
const LONGEST: usize = 160;

pub(crate) fn lines(seen: &Seen, health: &Health, counts: &Counts) -> Vec<String> {
    let mut lines = vec![headline(seen, health, counts)];
    if seen.api.version.is_some() {
        lines.extend(numbers(seen, counts));
    } else {
        lines.extend(service(seen));
    }
    // An old trouble and a passing one take no room from what is wrong now.
    let mut told: Vec<&Verdict> = health
        .verdicts
        .iter()
        .filter(|verdict| !verdict.settling)
        .collect();
    told.sort_by_key(|verdict| !(verdict.is_new() && verdict.severity > Severity::Info));
    lines.extend(told.iter().take(VERDICTS).map(|verdict| line(seen, verdict)));
    if let Some(more) = told.len().checked_sub(VERDICTS).filter(|more| *more > 0) {
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
    let mut told = vec![plural(counts.errors, "error"), plural(counts.warnings, "warning")];
    let known = health
        .verdicts
        .iter()
        .filter(|verdict| verdict.before > 0 && !verdict.is_new())
        .count();
    if known > 0 {
        told.push(format!("{known} known before"));
    }
    if health.ignored > 0 {
        told.push(format!("{} ignored", health.ignored));
    }
    format!(
        "{is}: {}; {}, seen from {}",
        told.join(", "),
        rfc3339(seen.now),
        seen.place
    )
}

fn numbers(seen: &Seen, counts: &Counts) -> Vec<String> {
    let api = &seen.api;
    let ready = if api.ready { "ready" } else { "not ready" };
    let passed = api.checks.iter().filter(|check| check.passed).count();
    let versions: BTreeSet<&str> = seen.nodes.iter().map(|node| node.kubelet.as_str()).collect();
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
        // Old versions do not say.
        let voters = match counts.etcd_voters {
            0 => String::new(),
            voters => format!(", {voters} vote"),
        };
        lines.push(format!("etcd: {}{voters}", plural(counts.etcd_members, "member")));
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

fn line(seen: &Seen, verdict: &Verdict) -> String {
    let known = if verdict.is_new() { "" } else { ", known before" };
    let since = verdict
        .since
        .and_then(|since| ago(since, seen.now))
        .map(|ago| format!(" for {ago}"))
        .unwrap_or_default();
    cut(&format!("{}{known}{since}: {verdict}", verdict.severity))
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

fn plural(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

fn objects(count: usize) -> String {
    if count == 1 {
        "1 object is".to_owned()
    } else {
        format!("{count} objects are")
    }
}
