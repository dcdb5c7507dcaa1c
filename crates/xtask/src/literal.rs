//! YAML values as Python text.

use serde_yaml_ng::Value;

pub(crate) fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Sequence(values) => format!("[{}]", list(values.iter().map(python))),
        Value::Mapping(map) => {
            let entry = |(key, value)| format!("{}: {}", python(key), python(value));
            format!("{{{}}}", list(map.iter().map(entry)))
        }
        Value::Tagged(tagged) => python(&tagged.value),
    }
}

/// A JSON string is a Python string too.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_python() {
        let value: Value =
            serde_yaml_ng::from_str("{a: [1, 2.5, true, null], b: \"say \\\"x\\\"\\n\"}").unwrap();
        assert_eq!(
            python(&value),
            r#"{"a": [1, 2.5, True, None], "b": "say \"x\"\n"}"#
        );
    }
}
