//! Options that take the results of other modules. A value of another shape is refused by the option, its number in the list and the
//! host that it names.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What each element of a list is read as.
pub fn list<T: DeserializeOwned>(option: &str, given: Vec<Value>) -> Result<Vec<T>, String> {
    let read = |(index, value)| {
        one(value).map_err(|(host, fault)| {
            let host = if host.is_empty() {
                host
            } else {
                format!(" ({host})")
            };
            format!("{option}: number {}{host}: {fault}", index + 1)
        })
    };
    given.into_iter().enumerate().map(read).collect()
}

/// An error has the host that it is about, where the element names one.
fn one<T: DeserializeOwned>(value: Value) -> Result<T, (String, String)> {
    // serde would read a list as the fields of a struct, in their order.
    let Value::Object(fields) = value else {
        let fault = format!("a dictionary was expected, {} was given", kind(&value));
        return Err((String::new(), fault));
    };
    let host = fields.get("host").and_then(Value::as_str).unwrap_or_default();
    serde_json::from_value(Value::Object(fields.clone()))
        .map_err(|error| (host.to_owned(), blamed::<T>(&fields, &error)))
}

/// The error, with the key without which there is none.
fn blamed<T: DeserializeOwned>(fields: &Map<String, Value>, error: &serde_json::Error) -> String {
    let reads_without = |key: &&String| {
        let mut others = fields.clone();
        others.remove(*key);
        serde_json::from_value::<T>(Value::Object(others)).is_ok()
    };
    match fields.keys().find(reads_without) {
        Some(key) => format!("{key}: {error}"),
        None => error.to_string(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a dictionary",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::Member;
    use serde_json::json;

    fn fault(given: Value) -> String {
        list::<Member>("members", vec![json!({"id": "1"}), given]).unwrap_err()
    }

    #[test]
    fn names_the_option_and_number_of_an_invalid_answer() {
        let table = [
            (
                json!(["1", "2"]),
                "members: number 2: a dictionary was expected, a list was given",
            ),
            (
                json!("n1"),
                "members: number 2: a dictionary was expected, a string was given",
            ),
            (
                json!(null),
                "members: number 2: a dictionary was expected, nothing was given",
            ),
            (json!({"name": "n1"}), "members: number 2: missing field `id`"),
            (
                json!({"id": "2", "host": "c1", "peer_urls": "x"}),
                "members: number 2 (c1): peer_urls: invalid type: string \"x\", expected a sequence",
            ),
        ];
        for (given, expected) in table {
            assert_eq!(fault(given.clone()), expected, "{given}");
        }
    }

    #[test]
    fn answers_are_read_with_all_else_that_they_have() {
        let read: Vec<Member> = list("members", vec![json!({"id": "1", "name": null, "new": {}})]).unwrap();
        assert_eq!((read[0].id.as_str(), read[0].name.as_deref()), ("1", None));
    }
}
