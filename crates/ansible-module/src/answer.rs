//! The one JSON object that a module prints.

use serde::Serialize;
use serde_json::{Map, Value};

/// What `--diff` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    pub before_header: String,
    pub after_header: String,
    pub before: String,
    pub after: String,
}

/// The answer in the making. `changed` and `failed` are always there: Ansible ignores the exit status, and
/// reads a missing `failed` beside a status as a failure.
#[derive(Debug, Default)]
pub struct Answer {
    pub changed: bool,
    pub failed: bool,
    pub msg: Option<String>,
    /// What a failure left behind, or that nothing is left; part of the message.
    pub left: Option<String>,
    pub actions: Vec<String>,
    pub warnings: Vec<String>,
    pub diff: Option<Vec<Diff>>,
    pub returned: Map<String, Value>,
}

impl Answer {
    pub fn failure(msg: impl Into<String>) -> Self {
        Self {
            failed: true,
            msg: Some(msg.into()),
            ..Self::default()
        }
    }

    pub fn into_json(self) -> Value {
        let mut json = self.returned;
        json.insert("changed".to_owned(), self.changed.into());
        json.insert("failed".to_owned(), self.failed.into());
        if let Some(msg) = self.msg {
            json.insert("msg".to_owned(), msg.into());
        }
        json.insert("actions".to_owned(), self.actions.into());
        if !self.warnings.is_empty() {
            json.insert("warnings".to_owned(), self.warnings.into());
        }
        if let Some(diff) = self.diff {
            json.insert("diff".to_owned(), serde_json::to_value(diff).unwrap_or_default());
        }
        Value::Object(json)
    }
}
