//! Label and field selectors, as query strings and as objects.

use crate::json::{items, text};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
enum Term {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels(Vec<Term>);

impl Labels {
    /// `a=b,c!=d,e in (f,g),h,!i`
    pub fn parse(text: &str) -> Result<Self, String> {
        split(text)
            .iter()
            .map(|part| Term::parse(part))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// `matchLabels` and `matchExpressions`. An empty selector matches everything.
    pub fn of(selector: &Value) -> Self {
        let equal = crate::json::pairs(selector, "/matchLabels");
        let mut terms: Vec<Term> = equal
            .map(|(k, v)| Term::In(k.to_owned(), vec![v.to_owned()]))
            .collect();
        terms.extend(items(selector, "/matchExpressions").iter().filter_map(Term::of));
        Self(terms)
    }

    pub fn match_object(&self, object: &Value) -> bool {
        self.match_map(&object["metadata"]["labels"])
    }

    pub fn match_map(&self, labels: &Value) -> bool {
        self.0.iter().all(|term| term.holds(labels))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// At the commas outside parentheses.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
        .into_iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}

impl Term {
    fn parse(text: &str) -> Result<Self, String> {
        let equality = [("!=", false), ("==", true), ("=", true)];
        for (operator, wanted) in equality {
            if let Some((key, value)) = text.split_once(operator) {
                let (key, values) = (key.trim().to_owned(), vec![value.trim().to_owned()]);
                return Ok(if wanted {
                    Self::In(key, values)
                } else {
                    Self::NotIn(key, values)
                });
            }
        }
        if let Some((head, list)) = text.strip_suffix(')').and_then(|t| t.split_once('(')) {
            let values = list.split(',').map(|v| v.trim().to_owned()).collect();
            return match head.split_whitespace().collect::<Vec<_>>().as_slice() {
                [key, "in"] => Ok(Self::In((*key).to_owned(), values)),
                [key, "notin"] => Ok(Self::NotIn((*key).to_owned(), values)),
                _ => Err(format!("unable to parse requirement: {text}")),
            };
        }
        match text.strip_prefix('!') {
            Some(key) => Ok(Self::Missing(key.trim().to_owned())),
            None if text.contains(char::is_whitespace) => Err(format!("unable to parse requirement: {text}")),
            None => Ok(Self::Exists(text.to_owned())),
        }
    }

    fn of(expression: &Value) -> Option<Self> {
        let key = text(expression, "/key").to_owned();
        let values = items(expression, "/values")
            .iter()
            .filter_map(|v| Some(v.as_str()?.to_owned()))
            .collect();
        match text(expression, "/operator") {
            "In" => Some(Self::In(key, values)),
            "NotIn" => Some(Self::NotIn(key, values)),
            "Exists" => Some(Self::Exists(key)),
            "DoesNotExist" => Some(Self::Missing(key)),
            _ => None,
        }
    }

    fn holds(&self, labels: &Value) -> bool {
        let value = |key: &str| labels.get(key).and_then(Value::as_str);
        match self {
            Self::In(key, values) => value(key).is_some_and(|v| values.iter().any(|wanted| wanted == v)),
            Self::NotIn(key, values) => value(key).is_none_or(|v| values.iter().all(|wanted| wanted != v)),
            Self::Exists(key) => value(key).is_some(),
            Self::Missing(key) => value(key).is_none(),
        }
    }
}

/// `metadata.name=x,spec.nodeName!=y`: any path will do, an absent value is the empty text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(String, bool, String)>);

impl Fields {
    pub fn parse(text: &str) -> Result<Self, String> {
        split(text)
            .iter()
            .map(|part| Self::term(part))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn term(part: &str) -> Result<(String, bool, String), String> {
        for (operator, wanted) in [("!=", false), ("==", true), ("=", true)] {
            if let Some((path, value)) = part.split_once(operator) {
                return Ok((format!("/{}", path.replace('.', "/")), wanted, value.to_owned()));
            }
        }
        Err(format!("invalid field selector: {part:?}"))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn match_object(&self, object: &Value) -> bool {
        self.0.iter().all(|(pointer, wanted, value)| {
            let found = match object.pointer(pointer) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            // `spec.unschedulable=false` also means nodes that do not say.
            let found = if found.is_empty() && value == "false" {
                "false"
            } else {
                &found
            };
            (found == value) == *wanted
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_label_selector_is_understood() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        let cases = [
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app in (web, db),tier", true),
            ("app notin (web)", false),
            ("!app", false),
            ("other!=x,!missing", true),
            ("app=db", false),
            ("", true),
        ];
        for (selector, wanted) in cases {
            assert_eq!(
                Labels::parse(selector).unwrap().match_object(&object),
                wanted,
                "{selector}"
            );
        }
        assert!(Labels::parse("a b").is_err());
    }

    #[test]
    fn objects_select_too() {
        let selector = json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]});
        assert!(Labels::of(&selector).match_map(&json!({"app": "web"})));
        assert!(!Labels::of(&selector).match_map(&json!({"app": "web", "x": ""})));
    }

    #[test]
    fn fields_are_paths() {
        let object = json!({"metadata": {"name": "n1"}, "spec": {"nodeName": ""}});
        for (selector, wanted) in [
            ("metadata.name=n1", true),
            ("spec.nodeName=", true),
            ("metadata.name!=n1", false),
        ] {
            assert_eq!(
                Fields::parse(selector).unwrap().match_object(&object),
                wanted,
                "{selector}"
            );
        }
    }
}
