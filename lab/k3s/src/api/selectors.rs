//! Label and field selectors, as query strings and as objects.

use crate::json::pairs;
use serde_json::Value;

/// A key or pointer, and what its value is to be.
#[derive(Clone, Debug, PartialEq)]
enum Term {
    Is(String, String),
    IsNot(String, String),
    Exists(String),
}

impl Term {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some((key, value)) = text.split_once("!=") {
            return Ok(Self::IsNot(key.to_owned(), value.to_owned()));
        }
        if let Some((key, value)) = text.split_once('=') {
            return Ok(Self::Is(key.to_owned(), value.trim_start_matches('=').to_owned()));
        }
        if text.contains([' ', '(', '!']) {
            return Err(format!("unable to parse requirement: {text}"));
        }
        Ok(Self::Exists(text.to_owned()))
    }

    fn holds<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::Is(key, wanted) => value(key) == Some(wanted),
            Self::IsNot(key, other) => value(key) != Some(other),
            Self::Exists(key) => value(key).is_some(),
        }
    }
}

fn terms(text: &str) -> Result<Vec<Term>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(Term::parse).collect()
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels(Vec<Term>);

impl Labels {
    /// `a=b,c!=d,e`
    pub fn parse(text: &str) -> Result<Self, String> {
        terms(text).map(Self)
    }

    /// `matchLabels`. An empty selector matches everything.
    pub fn of(selector: &Value) -> Self {
        let equal = pairs(selector, "/matchLabels");
        Self(
            equal
                .map(|(key, value)| Term::Is(key.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    pub fn match_object(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|term| term.holds(|key| labels[key].as_str()))
    }
}

/// `metadata.name=x,spec.nodeName!=y`: any path will do, an absent value is the empty text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<Term>);

impl Fields {
    pub fn parse(text: &str) -> Result<Self, String> {
        terms(text).map(Self)
    }

    pub fn match_object(&self, object: &Value) -> bool {
        let value = |path: &str| {
            let found = object.pointer(&format!("/{}", path.replace('.', "/")));
            Some(found.and_then(Value::as_str).unwrap_or_default())
        };
        self.0.iter().all(|term| term.holds(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_are_compared_and_asked_for() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        let cases = [
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("tier,other!=x", true),
            ("other", false),
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
        assert!(Labels::parse("app in (web)").is_err());
        assert!(Labels::of(&json!({"matchLabels": {"app": "web"}})).match_object(&object));
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
