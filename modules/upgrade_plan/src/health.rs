//! What was wrong with the cluster before anything was changed, as `cluster_health` found it.

use serde::Deserialize;

/// Longer lists tell nobody anything.
const NAMED: usize = 5;

/// Its answer; of a task that was skipped there is nothing to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Health {
    verdicts: Vec<Verdict>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Verdict {
    severity: String,
    kind: String,
    namespace: String,
    object: String,
    reason: String,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        write!(f, "{}: {}", self.object, self.reason)
    }
}

impl Health {
    /// What the operator should know: trouble that is there already is no reason to stop.
    pub(crate) fn notice(&self) -> Option<String> {
        let errors = self.verdicts.iter().filter(|verdict| verdict.severity == "error");
        let errors: Vec<String> = errors.map(ToString::to_string).collect();
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
}
