//! What stops a run before it changes anything. A rule that stops several nodes is reported once.

use crate::alike::{is_alike, merged};
use serde::Serialize;

/// One rule that one node does not pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The node, or what else it is about.
    pub host: String,
    pub rule: String,
    pub evidence: String,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub lifted_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Refusal {
    pub fn new(host: impl Into<String>, rule: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            rule: rule.into(),
            evidence: evidence.into(),
            ..Self::default()
        }
    }

    fn next(&self) -> &str {
        self.next.as_deref().unwrap_or_default()
    }

    fn lifted_by(&self) -> &str {
        self.lifted_by.as_deref().unwrap_or_default()
    }

    fn is_as(&self, other: &Self) -> bool {
        self.rule == other.rule
            && is_alike(&self.evidence, &other.evidence)
            && is_alike(self.next(), other.next())
            && self.lifted_by == other.lifted_by
    }
}

/// One line for each rule, with all nodes that do not pass it.
pub fn lines(refusals: &[Refusal]) -> Vec<String> {
    let mut groups: Vec<Vec<&Refusal>> = Vec::new();
    for refusal in refusals {
        match groups.iter_mut().find(|group| group[0].is_as(refusal)) {
            Some(group) => group.push(refusal),
            None => groups.push(vec![refusal]),
        }
    }
    groups.iter().map(|group| line(group)).collect()
}

fn line(group: &[&Refusal]) -> String {
    let first = group[0];
    let hosts: Vec<&str> = group.iter().map(|refusal| refusal.host.as_str()).collect();
    let evidence: Vec<(&str, &str)> = pairs(group, |refusal| &refusal.evidence);
    let next: Vec<(&str, &str)> = pairs(group, Refusal::next);
    let mut line = format!("{}: {}: {}", hosts.join(", "), first.rule, merged(&evidence));
    add_sentence(&mut line, "Next", &merged(&next));
    add_sentence(&mut line, "To do it all the same", first.lifted_by());
    line
}

fn add_sentence(line: &mut String, begin: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    // What kubectl said may end as a sentence does.
    let end = if line.ends_with(['.', '?', '!']) { "" } else { "." };
    *line = format!("{line}{end} {begin}: {text}");
}

fn pairs<'r>(group: &[&'r Refusal], text: impl Fn(&'r Refusal) -> &'r str) -> Vec<(&'r str, &'r str)> {
    group
        .iter()
        .map(|refusal| (refusal.host.as_str(), text(refusal)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(host: &str, evidence: &str) -> Refusal {
        Refusal {
            next: Some("upgrade the kernel".to_owned()),
            lifted_by: Some("-e k3s_allow_known_bad=kernel".to_owned()),
            ..Refusal::new(host, "kernel", evidence)
        }
    }

    #[test]
    fn a_rule_of_four_nodes_is_one_line() {
        let old = "the kernel is 4.19, and containerd 2 asks for 5.10 (release notes)";
        let printed = lines(&["c1", "w1", "w2", "w3"].map(|host| refusal(host, old)));
        assert_eq!(
            printed,
            [format!(
                "c1, w1, w2, w3: kernel: {old}. Next: upgrade the kernel. To do it all the same: -e k3s_allow_known_bad=kernel"
            )]
        );
    }

    #[test]
    fn evidence_that_differs_is_given_for_each_node() {
        let old = |version| format!("the kernel is {version}, and containerd 2 asks for 5.10");
        let mut refusals = [refusal("w1", &old("4.19")), refusal("w2", &old("5.4"))];
        for refusal in &mut refusals {
            (refusal.next, refusal.lifted_by) = (None, None);
        }
        assert_eq!(
            lines(&refusals),
            ["w1, w2: kernel: the kernel is … and containerd 2 asks for 5.10 (w1: 4.19; w2: 5.4)"]
        );
    }

    #[test]
    fn keeps_refusals_with_other_rules_or_options_apart() {
        let other_rule = Refusal {
            rule: "cgroup_v1".to_owned(),
            ..refusal("w2", "old")
        };
        let other_way = Refusal {
            lifted_by: None,
            ..refusal("w3", "old")
        };
        assert_eq!(lines(&[refusal("w1", "old"), other_rule, other_way]).len(), 3);
    }

    #[test]
    fn sentences_that_have_an_end_get_no_other_one() {
        for (evidence, expected) in [
            (
                "right host or port?",
                "c1: api: right host or port? Next: start it",
            ),
            ("it is down", "c1: api: it is down. Next: start it"),
        ] {
            let refusal = Refusal {
                next: Some("start it".to_owned()),
                ..Refusal::new("c1", "api", evidence)
            };
            assert_eq!(lines(&[refusal]), [expected]);
        }
    }
}
