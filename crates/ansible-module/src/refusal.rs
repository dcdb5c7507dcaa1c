//! Why a module does not do what it is asked.

use serde::Serialize;
use std::fmt;

/// One reason, with what was found and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub rule: &'static str,
    pub evidence: String,
    pub advice: String,
}

impl Refusal {
    pub fn new(rule: &'static str, evidence: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            rule,
            evidence: evidence.into(),
            advice: advice.into(),
        }
    }

    /// All of them in one message.
    pub fn list(refusals: &[Self]) -> String {
        let list: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        list.join(". ")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.evidence, self.rule, self.advice)
    }
}
