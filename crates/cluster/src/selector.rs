//! Label selectors: of pods (`app=web,tier in (a,b)`), of budgets, and of the nodes that a volume allows.

use crate::object::{Labels, null_is_empty};
use serde::Deserialize;

/// One condition; a selector is met when all of its conditions are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
    /// Of a newer Kubernetes: it is met by nothing.
    #[serde(other)]
    Unknown,
}

impl Requirement {
    pub fn met_by(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let listed = || value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Unknown => false,
            Operator::Gt => self.compared(value).is_some_and(|(value, bound)| value > bound),
            Operator::Lt => self.compared(value).is_some_and(|(value, bound)| value < bound),
        }
    }

    fn compared(&self, value: Option<&String>) -> Option<(i64, i64)> {
        Some((value?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

/// A selector as objects have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LabelSelector {
    #[serde(deserialize_with = "null_is_empty")]
    match_labels: Labels,
    #[serde(deserialize_with = "null_is_empty")]
    match_expressions: Vec<Requirement>,
}

impl LabelSelector {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// An empty one selects everything.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.met_by(labels))
    }
}

/// A selector as kubectl's `-l` takes it. An empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

impl Selector {
    pub fn selects(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.met_by(labels))
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let terms = terms(text);
        let parsed = terms
            .iter()
            .map(|term| requirement(term.trim()).ok_or_else(|| fault(term.trim())));
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }
}

fn fault(term: &str) -> String {
    format!(
        "{term:?} is not a label selector: use key=value, key!=value, key in (a,b), key notin (a,b), key or !key, with commas between"
    )
}

/// Splits at the commas that are not inside parentheses.
fn terms(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut depth = 0;
    for letter in text.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                terms.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(term) = terms.last_mut() {
            term.push(letter);
        }
    }
    terms
}

fn requirement(term: &str) -> Option<Requirement> {
    let make = |key: &str, operator, values: Vec<String>| {
        let well_formed =
            is_word(key.trim()) && values.iter().all(|value| value.is_empty() || is_word(value));
        well_formed.then(|| Requirement {
            key: key.trim().to_owned(),
            operator,
            values,
        })
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(list) = term.strip_suffix(')') {
        let (left, list) = list.split_once('(')?;
        let (key, word) = left.trim().rsplit_once(char::is_whitespace)?;
        let operator = match word {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            _ => return None,
        };
        return make(
            key,
            operator,
            list.split(',').map(|value| value.trim().to_owned()).collect(),
        );
    }
    if let Some((key, value)) = term.split_once("!=") {
        return make(key, Operator::NotIn, one(value));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return make(key, Operator::In, one(value));
    }
    match term.strip_prefix('!') {
        Some(key) => make(key, Operator::DoesNotExist, Vec::new()),
        None => make(term, Operator::Exists, Vec::new()),
    }
}

fn is_word(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    !text.is_empty() && text.chars().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        text.split_terminator(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect()
    }

    #[test]
    fn selectors_select_what_kubectl_selects() {
        let table = [
            ("app=web", "app=web,x=1", true),
            ("app == web", "app=web", true),
            ("app=web", "app=db", false),
            ("app=web", "", false),
            ("app!=web", "", true),
            ("app!=web", "app=web", false),
            ("app in (web, db)", "app=db", true),
            ("app in (web,db),tier=1", "app=db,tier=2", false),
            ("app notin (web,db)", "app=api", true),
            ("app notin (web,db)", "", true),
            ("app", "app=", true),
            ("app", "x=1", false),
            ("!app", "x=1", true),
            ("!app", "app=web", false),
            (
                "app.kubernetes.io/name=vault",
                "app.kubernetes.io/name=vault",
                true,
            ),
            ("app=", "app=", true),
        ];
        for (selector, of, expected) in table {
            assert_eq!(
                Selector::parse(selector).unwrap().selects(&labels(of)),
                expected,
                "{selector} of {of}"
            );
        }
    }

    #[test]
    fn refuses_an_invalid_selector() {
        for bad in [
            "",
            "app=web,",
            "=web",
            "app in web",
            "app within (a)",
            "a b",
            "app=(web)",
            "app=$(x)",
        ] {
            let error = Selector::parse(bad).unwrap_err();
            assert!(error.contains("is not a label selector"), "{bad}: {error}");
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let more = Requirement {
            key: "n".to_owned(),
            operator: Operator::Gt,
            values: vec!["9".to_owned()],
        };
        assert!(more.met_by(&labels("n=10")) && !more.met_by(&labels("n=9")) && !more.met_by(&labels("n=x")));
        let less = Requirement {
            operator: Operator::Lt,
            ..more
        };
        assert!(less.met_by(&labels("n=8")) && !less.met_by(&labels("")));
    }
}
