//! The transcripts of the modules' own tests: arguments, and what a host answered.

use crate::SEPARATOR;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(crate) struct Case {
    pub(crate) module: &'static str,
    /// The arguments, with Ansible's own beside them.
    pub(crate) arguments: Vec<u8>,
    /// In the form that [`crate::HostileHost`] reads.
    pub(crate) answers: Vec<u8>,
}

/// Where a module has its transcripts.
pub(crate) struct Source {
    pub(crate) module: &'static str,
    pub(crate) folder: &'static str,
    pub(crate) file: &'static str,
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All cases of all modules. They are read from the tree once.
pub(crate) fn all(sources: &[Source]) -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| sources.iter().flat_map(read).collect())
}

fn read(source: &Source) -> Vec<Case> {
    let folder = repository().join("modules").join(source.folder).join("tests");
    let path = folder.join(source.file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut cases: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    cases.apply_merge().unwrap();
    let cases: Vec<Map<String, Value>> = serde_yaml_ng::from_value(cases).unwrap();
    cases
        .into_iter()
        .map(|case| of(source.module, &case, &folder.join("recorded")))
        .collect()
}

fn of(module: &'static str, case: &Map<String, Value>, recorded: &Path) -> Case {
    let mut arguments = case
        .get("args")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    for (option, key) in [("check", "_ansible_check_mode"), ("diff", "_ansible_diff")] {
        let value = case.get(option).cloned().unwrap_or(Value::Bool(false));
        arguments.insert(key.to_owned(), value);
    }
    let entries = case
        .get("transcript")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let answers: Vec<Vec<u8>> = entries
        .iter()
        .filter_map(|entry| answer(entry, recorded))
        .collect();
    Case {
        module,
        arguments: serde_json::to_vec(&arguments).unwrap(),
        answers: answers.join(&SEPARATOR),
    }
}

/// What a command printed, or what a file had; `None` where nothing was asked.
fn answer(entry: &Value, recorded: &Path) -> Option<Vec<u8>> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let file = |key: &str| text(key).map(|name| std::fs::read(recorded.join(name)).unwrap());
    if text("fails").is_some() {
        return Some([b"!", text("stderr").unwrap_or_default().as_bytes()].concat());
    }
    if text("read").is_some() {
        let content = file("content_file").or_else(|| text("content").map(|text| text.as_bytes().to_vec()));
        return Some(content.map_or(b"?".to_vec(), |content| [b"0", content.as_slice()].concat()));
    }
    if text("write").is_some() || text("remove").is_some() {
        return None;
    }
    let status = entry.get("status").and_then(Value::as_i64).unwrap_or_default();
    let stdout =
        file("stdout_file").unwrap_or_else(|| text("stdout").unwrap_or_default().as_bytes().to_vec());
    let status = u8::try_from(status.rem_euclid(128)).unwrap_or_default();
    Some([[b'0'.wrapping_add(status)].as_slice(), stdout.as_slice()].concat())
}

/// How many cases each module has, by its name.
pub(crate) fn by_module(cases: &'static [Case]) -> BTreeMap<&'static str, Vec<&'static Case>> {
    let mut all: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        all.entry(case.module).or_default().push(case);
    }
    all
}
