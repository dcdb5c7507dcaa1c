//! What Ansible asks for: the module's own arguments, and Ansible's beside them.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

/// The call, taken apart. Nobody else sees a key that starts with `_ansible_`.
#[derive(Debug, Default)]
pub struct Call {
    pub check_mode: bool,
    pub diff: bool,
    pub arguments: Map<String, Value>,
}

impl Call {
    pub fn parse(json: &[u8]) -> Result<Self> {
        let value: Value =
            serde_json::from_slice(json).context("reading the arguments: they are not JSON")?;
        let Value::Object(all) = value else {
            bail!("reading the arguments: a JSON object was expected");
        };
        let mut call = Self::default();
        for (key, value) in all {
            match key.as_str() {
                "_ansible_check_mode" => call.check_mode = value == Value::Bool(true),
                "_ansible_diff" => call.diff = value == Value::Bool(true),
                key if key.starts_with("_ansible_") => {}
                // An option that is null was left out, or is a variable that is none.
                _ if value.is_null() => {}
                _ => {
                    call.arguments.insert(key, value);
                }
            }
        }
        Ok(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ansibles_keys_are_split_off() {
        let call = Call::parse(
            br#"{"a": 1, "_ansible_check_mode": true, "_ansible_diff": true, "_ansible_new": 1}"#,
        )
        .unwrap();
        assert!(call.check_mode && call.diff);
        assert_eq!(call.arguments.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn null_is_left_out() {
        assert!(Call::parse(br#"{"a": null}"#).unwrap().arguments.is_empty());
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for bad in ["", "[]", "\"x\"", "{", "nonsense"] {
            assert!(Call::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
