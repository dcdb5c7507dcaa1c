//! Reads and writes YAML so that all readers agree on it: a text is quoted where a reader of YAML 1.1 or 1.2 would take
//! it for something else, and values of an existing file keep their quotes.
//!
//! k3s reads its configuration as YAML 1.1, where `123_456` is a number and `no` is false; a usual writer of YAML 1.2 puts
//! both down without quotes.

mod emit;
mod tree;

pub use emit::{Format, to_text};
pub use tree::{Map, Node, Scalar, first_document, parse};

use serde_json::Value;

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::text(text.as_str()),
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Scalar(Scalar {
                text: value.to_string(),
                plain: true,
            }),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(entries) => Self::Map(Map::from(entries)),
        }
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Self::from(&Value::Bool(value))
    }
}

impl From<&serde_json::Map<String, Value>> for Map {
    fn from(entries: &serde_json::Map<String, Value>) -> Self {
        let entry = |(key, value): (&String, &Value)| (Scalar::text(key.as_str()), Node::from(value));
        Self(entries.iter().map(entry).collect())
    }
}

/// A configuration as YAML.
pub fn to_yaml(entries: &serde_json::Map<String, Value>) -> String {
    to_text(&Map::from(entries), Format::Yaml)
}

#[cfg(test)]
mod tests;
