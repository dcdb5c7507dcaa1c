//! What was wrong with the cluster before anything was changed, as `cluster_health` found it.

use answers::health::{Health, Severity};

/// Longer lists help nobody.
const NAMED: usize = 5;

/// Problems that exist already are reported, and do not stop the upgrade.
pub(crate) fn notice(health: &Health) -> Option<String> {
    let errors = health
        .verdicts
        .iter()
        .filter(|verdict| verdict.severity == Severity::Error);
    let errors: Vec<String> = errors.map(|verdict| verdict.identity.to_string()).collect();
    if errors.is_empty() {
        return None;
    }
    let named = errors.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = match errors.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Some(format!(
        "the cluster already has problems, and only new ones stop the run: {named}{more}"
    ))
}
