//! Many findings of one trouble made one verdict.

use crate::baseline::Baseline;
use crate::verdict::{Finding, Identity, NAMES, Severity, Stage, Trouble, Verdict};
use std::collections::BTreeMap;

/// Makes one verdict of what is one trouble; the worst first.
pub(crate) fn group(findings: Vec<Finding>, baseline: &Baseline) -> Vec<Verdict> {
    let mut groups: BTreeMap<(Severity, Identity, Stage), Vec<Finding>> = BTreeMap::new();
    for finding in findings {
        let Trouble { severity, stage, .. } = finding.trouble;
        if stage != Stage::Suspected {
            let key = (severity, finding.identity(), stage);
            groups.entry(key).or_default().push(finding);
        }
    }
    let mut verdicts: Vec<Verdict> = groups
        .into_iter()
        .map(|((severity, identity, stage), findings)| {
            let (judged, begun) = baseline.count(severity, &identity, &findings);
            Verdict {
                before: judged + begun,
                begun,
                ..verdict(severity, identity, stage, findings)
            }
        })
        .collect();
    verdicts.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| a.identity.cmp(&b.identity))
    });
    verdicts
}

fn verdict(severity: Severity, identity: Identity, stage: Stage, mut findings: Vec<Finding>) -> Verdict {
    findings.sort_by(|a, b| a.name.cmp(&b.name));
    let own_name = |finding: &&Finding| finding.name != finding.owner.name;
    let first = findings.first();
    let message = first.map_or_else(String::new, |finding| {
        if own_name(&finding) {
            format!("{}: {}", finding.name, finding.trouble.message)
        } else {
            finding.trouble.message.clone()
        }
    });
    Verdict {
        severity,
        settling: stage == Stage::Settling,
        message,
        since: findings.iter().filter_map(|finding| finding.trouble.since).min(),
        count: findings.iter().map(|finding| finding.trouble.amount).sum(),
        names: findings
            .iter()
            .take(NAMES)
            .map(|finding| finding.name.clone())
            .collect(),
        before: 0,
        begun: 0,
        identity,
    }
}
