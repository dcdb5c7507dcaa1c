//! Problems that the operator has accepted and does not want reported again.

use crate::verdict::Finding;
use cluster::Selector;
use serde::Deserialize;

/// One line of the option: all that it names must fit.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    namespace: Option<String>,
    selector: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    reason: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ignore(Vec<(Rule, Option<Selector>)>);

impl Ignore {
    pub fn of(rules: Vec<Rule>) -> Result<Self, String> {
        let read = |rule: Rule| {
            if rule == Rule::default() {
                return Err(
                    "ignore: an entry that names nothing would ignore everything; give it a namespace, selector, kind, name or reason"
                        .to_owned(),
                );
            }
            let selector = rule.selector.as_deref().map(Selector::parse).transpose();
            let selector = selector.map_err(|error| format!("ignore: selector: {error}"))?;
            Ok((rule, selector))
        };
        rules.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    pub fn ignores(&self, finding: &Finding) -> bool {
        self.0.iter().any(|(rule, selector)| {
            let kinds = [finding.kind.to_string(), finding.owner.kind.clone()];
            let names = [finding.name.as_str(), finding.owner.name.as_str()];
            fits(rule.namespace.as_ref(), |pattern| {
                matches(pattern, &finding.namespace)
            }) && fits(rule.kind.as_ref(), |wanted| {
                kinds.iter().any(|kind| kind.eq_ignore_ascii_case(wanted))
            }) && fits(rule.name.as_ref(), |pattern| {
                names.iter().any(|name| matches(pattern, name))
            }) && fits(rule.reason.as_ref(), |wanted| {
                finding.trouble.reason.to_string().eq_ignore_ascii_case(wanted)
            }) && fits(selector.as_ref(), |selector| selector.selects(&finding.labels))
        })
    }
}

/// What a rule does not name fits everything.
fn fits<T>(wanted: Option<&T>, fits: impl FnOnce(&T) -> bool) -> bool {
    wanted.is_none_or(fits)
}

/// Whether a name fits a pattern, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Kind, Owner, Reason, Trouble};
    use serde_json::{Value, json};

    fn finding() -> Finding {
        Finding {
            kind: Kind::Pod,
            namespace: "demo".to_owned(),
            owner: Owner {
                kind: "Deployment".to_owned(),
                name: "web".to_owned(),
            },
            name: "web-5448b494b7-j4zj7".to_owned(),
            labels: [("app".to_owned(), "web".to_owned())].into(),
            trouble: Trouble::error(Reason::CrashLoopBackOff, ""),
        }
    }

    fn ignores(rule: Value) -> bool {
        let rules = serde_json::from_value(json!([rule])).unwrap();
        Ignore::of(rules).unwrap().ignores(&finding())
    }

    #[test]
    fn all_that_a_rule_names_must_fit() {
        let table = [
            (json!({"namespace": "demo"}), true),
            (json!({"namespace": "dem"}), false),
            (json!({"namespace": "de*"}), true),
            (json!({"kind": "pod"}), true),
            (json!({"kind": "Deployment"}), true),
            (json!({"kind": "Node"}), false),
            (json!({"name": "web"}), true),
            (json!({"name": "web-*"}), true),
            (json!({"name": "db"}), false),
            (json!({"reason": "crashloopbackoff"}), true),
            (json!({"reason": "OOMKilled"}), false),
            (json!({"selector": "app in (web,db)"}), true),
            (json!({"selector": "app!=web"}), false),
            (json!({"namespace": "demo", "reason": "OOMKilled"}), false),
            (
                json!({"namespace": "demo", "reason": "CrashLoopBackOff", "selector": "app=web", "kind": "Pod", "name": "web"}),
                true,
            ),
        ];
        for (rule, expected) in table {
            assert_eq!(ignores(rule.clone()), expected, "{rule}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        let table = [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "ab", false),
            ("*-backup-*", "db-backup-1", true),
            ("*-backup-*", "db-restore-1", false),
            ("a**b", "ab", true),
            ("ab", "abc", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
