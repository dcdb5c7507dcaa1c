//! Transcript cases: arguments, what the module does, what it answers. A case is data; no case needs Rust.

use crate::scripted::{Entry, Scripted};
use crate::sidecar::Sidecar;
use ansible_module::{Answer, Call, Module, params, run};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// A sentence: what the module promises.
    name: String,
    #[serde(default)]
    args: Map<String, Value>,
    #[serde(default)]
    check: bool,
    #[serde(default)]
    diff: bool,
    #[serde(default)]
    transcript: Vec<Entry>,
    /// The complete answer.
    answer: Value,
}

/// What every answer may have besides what RETURN documents.
const COMMON: [&str; 7] = [
    "changed", "failed", "msg", "actions", "warnings", "diff", "failure",
];

/// Runs each case of `file` (relative to the module's folder, beside `tests/recorded/`) and reports all that
/// differ at once.
pub fn run_cases<M: Module>(folder: &str, file: &str) {
    let folder = Path::new(folder);
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let cases = parse(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(!cases.is_empty(), "{file} has no cases");
    let sidecar = Sidecar::of::<M>();
    let mut wrong = Vec::new();
    for case in cases {
        let answer = answer::<M>(&case, folder);
        for key in answer.as_object().unwrap().keys() {
            assert!(
                COMMON.contains(&key.as_str()) || sidecar.returns(key),
                "{}: {key} is not in RETURN",
                case.name
            );
        }
        if answer != case.answer {
            wrong.push(format!(
                "{}\n  expected {}\n  answered {answer}",
                case.name, case.answer
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// With `<<: *anchor`, so that an answer may be another one with a difference.
fn parse(text: &str) -> serde_yaml_ng::Result<Vec<Case>> {
    let mut cases: serde_yaml_ng::Value = serde_yaml_ng::from_str(text)?;
    cases.apply_merge()?;
    serde_yaml_ng::from_value(cases)
}

fn answer<M: Module>(case: &Case, folder: &Path) -> Value {
    eprintln!("case: {}", case.name);
    let mut json = case.args.clone();
    json.insert("_ansible_check_mode".to_owned(), case.check.into());
    json.insert("_ansible_diff".to_owned(), case.diff.into());
    let call = Call::parse(&serde_json::to_vec(&json).unwrap()).unwrap();
    let answer = match params::<M>(&call) {
        Err(error) => Answer::failure(format!("{error:#}")),
        Ok(params) => {
            let host = Scripted::new(case.transcript.clone(), &folder.join("tests/recorded"));
            let answer = run::<M>(&params, &call, &host);
            host.finish();
            answer
        }
    };
    answer.into_json()
}
