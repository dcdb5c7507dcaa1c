//! The report on one screen, and the one line that a failure is.

use crate::servers::{self, Apis, ETCD, Given, Problem, SERVERS};
use crate::words::plural;
use answers::health::Severity;

/// Findings that a message and the screen name; all of them are in the answer.
const NAMED: usize = 12;

/// Nothing where nothing is wrong. Warnings do not count as a failure.
pub(crate) fn fault(findings: &[Problem]) -> Option<String> {
    let errors = said(findings, Severity::Error);
    if errors.is_empty() {
        return None;
    }
    let named = errors[..errors.len().min(NAMED)].join("; ");
    let more = match errors.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Some(format!(
        "the servers of the cluster are not healthy: {named}{more}"
    ))
}

pub(crate) fn lines(given: &Given, apis: &Apis, findings: &[Problem]) -> Vec<String> {
    let mut lines = vec![headline(findings)];
    lines.extend(servers::lines(given, apis));
    let errors = said(findings, Severity::Error);
    let warnings = said(findings, Severity::Warning);
    let errors = errors.iter().map(|error| format!("error: {error}"));
    let found: Vec<String> = errors
        .chain(warnings.iter().map(|warning| format!("warning: {warning}")))
        .collect();
    lines.extend(found.iter().take(NAMED).cloned());
    if let Some(more) = found.len().checked_sub(NAMED + 1) {
        lines.push(format!("... and {} more, in the answer's findings", more + 1));
    }
    lines
}

/// What is so of several servers is said once.
fn said(findings: &[Problem], severity: Severity) -> Vec<String> {
    let mut about: Vec<(&str, Vec<(String, String)>)> = Vec::new();
    for finding in of(findings, severity) {
        // What is about all of them together is not about one like another.
        let is_of_one = !matches!(finding.about.as_str(), ETCD | SERVERS);
        let text = (finding.about.clone(), finding.what.clone());
        match about.last_mut().filter(|(kind, _)| is_of_one && *kind == "one") {
            Some((_, texts)) => texts.push(text),
            None => about.push((if is_of_one { "one" } else { "all" }, vec![text])),
        }
    }
    let line = |said: per_node::Said| format!("{}: {}", said.nodes.join(", "), said.text);
    about
        .iter()
        .flat_map(|(_, texts)| per_node::once(texts))
        .map(line)
        .collect()
}

fn of(findings: &[Problem], severity: Severity) -> impl Iterator<Item = &Problem> {
    findings
        .iter()
        .filter(move |finding| finding.severity == severity)
}

fn headline(findings: &[Problem]) -> String {
    let errors = of(findings, Severity::Error).count();
    let warnings = of(findings, Severity::Warning).count();
    let is = if errors == 0 { "healthy" } else { "NOT HEALTHY" };
    format!(
        "{is}: {}, {}",
        plural(errors, "error"),
        plural(warnings, "warning")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::judge;
    use crate::servers::samples::{apis, given, servers, unanswered, with};
    use serde_json::json;

    fn of_servers(count: usize, more: serde_json::Value) -> Vec<String> {
        let given = given(with(json!({"servers": servers(count)}), more));
        let apis = apis(count);
        lines(&given, &apis, &judge(&given, &apis))
    }

    #[test]
    fn summarizes_a_healthy_cluster_in_a_few_lines() {
        let snapshot = json!({"snapshot": {"from": "c1", "path": "/s/validated-c1-1", "bytes": 1_234_567, "sha256": "0123456789abcdef", "listed": true}});
        assert_eq!(
            of_servers(3, snapshot),
            [
                "healthy: 0 errors, 0 warnings",
                "etcd: 3 members, 3 vote, 3 of them healthy; led by n1-00000001; 1 can fail",
                "c1 (container 101 on pve1): v1.31.4+k3s1, ready, also at 10.0.0.1:6443; leads, etcd 3.5.16, 1.2 MB of 2.1 GB, 912.3 kB in use, 0 behind",
                "c2 (container 102 on pve1): v1.31.4+k3s1, ready, also at 10.0.0.2:6443; votes, etcd 3.5.16, 1.2 MB of 2.1 GB, 912.3 kB in use, 0 behind",
                "c3 (container 103 on pve1): v1.31.4+k3s1, ready, also at 10.0.0.3:6443; votes, etcd 3.5.16, 1.2 MB of 2.1 GB, 912.3 kB in use, 0 behind",
                "snapshot on c1: /s/validated-c1-1, 1.2 MB, its hash is right (0123456789ab…), listed by k3s",
            ]
        );
    }

    #[test]
    fn what_is_wrong_fits_on_a_screen() {
        let alone = given(json!({"servers": unanswered(20)}));
        let findings = judge(&alone, &Apis::default());
        assert_eq!(findings.len(), 40);
        let printed = lines(&alone, &Apis::default(), &findings);
        assert_eq!(printed[0], "NOT HEALTHY: 40 errors, 0 warnings");
        // What is so of each of them is said once.
        assert!(
            printed.last().unwrap().starts_with("error: c1, c2, c3,")
                && printed
                    .last()
                    .unwrap()
                    .ends_with("c20: its API is not ready: it was not asked"),
            "{printed:#?}"
        );
        let faults = unanswered(20).into_iter().enumerate();
        let faults = faults.map(|(at, server)| with(server, json!({"etcd": {"msg": format!("fault-{at}")}})));
        let each = given(json!({"servers": faults.collect::<Vec<_>>()}));
        let findings = judge(&each, &Apis::default());
        let printed = lines(&each, &Apis::default(), &findings);
        assert_eq!(
            printed.last().unwrap(),
            "... and 9 more, in the answer's findings"
        );
        let fault = fault(&findings).unwrap();
        assert!(
            fault.ends_with("; and 9 more") && fault.matches("; ").count() == 12,
            "{fault}"
        );
    }
}
