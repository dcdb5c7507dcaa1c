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

/// What one sentence may have. It is read by a person, and Ansible writes it to logs and screens several times.
const SENTENCE: usize = 16 << 10;

/// A sentence without its middle, where a foreign name or answer made it longer than anybody reads.
pub(crate) fn bounded(text: String) -> String {
    if text.len() <= SENTENCE {
        return text;
    }
    let head = text.floor_char_boundary(SENTENCE / 2);
    let tail = text.ceil_char_boundary(text.len() - SENTENCE / 2);
    format!(
        "{} [… {} bytes left out …] {}",
        &text[..head],
        tail - head,
        &text[tail..]
    )
}

fn all_bounded(texts: Vec<String>) -> Vec<String> {
    texts.into_iter().map(bounded).collect()
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
            json.insert("msg".to_owned(), bounded(msg).into());
        }
        json.insert("actions".to_owned(), all_bounded(self.actions).into());
        if !self.warnings.is_empty() {
            json.insert("warnings".to_owned(), all_bounded(self.warnings).into());
        }
        if let Some(diff) = self.diff {
            json.insert("diff".to_owned(), serde_json::to_value(diff).unwrap_or_default());
        }
        Value::Object(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_long_sentences_in_their_middle_and_leaves_others() {
        let long = |end: &str| format!("reading {}{end}", "ä".repeat(1 << 20));
        let answer = Answer {
            actions: vec![long("done")],
            warnings: vec!["short".to_owned(), long("warned")],
            ..Answer::failure(long("run this again"))
        };
        let json = answer.into_json();
        assert!(json.to_string().len() < 4 * SENTENCE);
        let msg = json["msg"].as_str().unwrap();
        assert!(msg.starts_with("reading ä") && msg.ends_with("run this again"));
        assert!(msg.contains("bytes left out"));
        assert!(json["actions"][0].as_str().unwrap().ends_with("done"));
        assert_eq!(json["warnings"][0], "short");
        assert!(json["warnings"][1].as_str().unwrap().ends_with("warned"));
    }
}
