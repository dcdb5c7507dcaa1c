//! What was wrong before: then it is no news.

use crate::verdict::{Severity, Verdict};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// A former answer's verdicts: how many objects each trouble concerned, by its severity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline(BTreeMap<Identity, BTreeMap<Severity, usize>>);

/// As [`crate::verdict::Identity`], in words: another version may have written it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Identity {
    kind: String,
    #[serde(default)]
    namespace: String,
    object: String,
    reason: String,
}

#[derive(Deserialize)]
struct Known {
    #[serde(flatten)]
    identity: Identity,
    severity: Severity,
    count: usize,
}

impl Baseline {
    /// How many objects had this trouble, at least as badly.
    fn count(&self, verdict: &Verdict) -> usize {
        let identity = Identity {
            kind: verdict.identity.kind.to_string(),
            namespace: verdict.identity.namespace.clone(),
            object: verdict.identity.object.clone(),
            reason: verdict.identity.reason.to_string(),
        };
        let known = self.0.get(&identity);
        known.map_or(0, |known| {
            known.range(verdict.severity..).map(|(_, count)| count).sum()
        })
    }

    /// Notes in each verdict how many it is known of.
    pub fn compare(&self, verdicts: &mut [Verdict]) {
        for verdict in verdicts {
            verdict.before = self.count(verdict);
        }
    }
}

impl<'de> Deserialize<'de> for Baseline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer)
            .map_err(|error| error.to_string())
            .and_then(read)
            .map_err(serde::de::Error::custom)
    }
}

/// The verdicts, the whole answer, or either of them as the JSON text that a file has.
fn read(value: Value) -> Result<Baseline, String> {
    let fault = |what: &str| {
        format!("baseline: {what}: give it a former answer of cluster_health, or the verdicts of one")
    };
    let verdicts = match value {
        Value::Null => return Ok(Baseline::default()),
        Value::String(text) if text.trim().is_empty() => return Ok(Baseline::default()),
        Value::String(text) => {
            let value: Value =
                serde_json::from_str(&text).map_err(|error| fault(&format!("it is no JSON: {error}")))?;
            return if value.is_string() {
                Err(fault("it is a mere text"))
            } else {
                read(value)
            };
        }
        Value::Object(mut answer) => answer
            .remove("verdicts")
            .ok_or_else(|| fault("it has no verdicts"))?,
        verdicts => verdicts,
    };
    let known: Vec<Known> =
        serde_json::from_value(verdicts).map_err(|error| fault(&format!("they are no verdicts: {error}")))?;
    let mut baseline = Baseline::default();
    for Known {
        identity,
        severity,
        count,
    } in known
    {
        *baseline
            .0
            .entry(identity)
            .or_default()
            .entry(severity)
            .or_default() += count;
    }
    Ok(baseline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Finding, Kind, Owner, Reason, Trouble, group};
    use serde_json::json;

    fn pod(name: &str, reason: Reason) -> Finding {
        Finding {
            kind: Kind::Pod,
            namespace: "demo".to_owned(),
            owner: Owner {
                kind: "Deployment".to_owned(),
                name: "web".to_owned(),
            },
            name: name.to_owned(),
            labels: kubectl::Labels::new(),
            trouble: Trouble::error(reason, "it fails"),
        }
    }

    /// Whether each verdict is new, in their order.
    fn new(before: &[Finding], now: &[Finding]) -> Vec<bool> {
        let answer = json!({"changed": false, "verdicts": group(before.to_vec())});
        let baseline: Baseline = serde_json::from_value(answer).unwrap();
        let mut verdicts = group(now.to_vec());
        baseline.compare(&mut verdicts);
        verdicts.iter().map(Verdict::is_new).collect()
    }

    #[test]
    fn a_pod_made_anew_has_the_same_trouble() {
        let crash = Reason::CrashLoopBackOff;
        assert_eq!(new(&[], &[pod("a", crash)]), [true]);
        assert_eq!(new(&[pod("a", crash)], &[pod("b", crash)]), [false]);
        assert_eq!(
            new(&[pod("a", crash), pod("b", crash)], &[pod("c", crash)]),
            [false]
        );
    }

    #[test]
    fn more_of_them_or_another_reason_is_new() {
        let crash = Reason::CrashLoopBackOff;
        assert_eq!(
            new(&[pod("a", crash)], &[pod("a", crash), pod("b", crash)]),
            [true]
        );
        assert_eq!(new(&[pod("a", crash)], &[pod("a", Reason::OOMKilled)]), [true]);
    }

    #[test]
    fn what_was_young_trouble_does_not_excuse_old_trouble() {
        let mut young = pod("a", Reason::NotReady);
        young.trouble = young.trouble.settling(true);
        let old = pod("a", Reason::NotReady);
        assert_eq!(
            new(std::slice::from_ref(&young), std::slice::from_ref(&old)),
            [true]
        );
        assert_eq!(new(&[old], &[young]), [false]);
    }

    #[test]
    fn an_api_that_is_away_is_never_old_news() {
        let mut away = pod("k3s", Reason::Unreachable);
        away.kind = Kind::Api;
        assert_eq!(
            new(std::slice::from_ref(&away), std::slice::from_ref(&away)),
            [true]
        );
    }

    #[test]
    fn verdicts_answers_and_their_text_are_read_alike() {
        let verdicts = json!(group(vec![pod("a", Reason::OOMKilled)]));
        let answer = json!({"verdicts": verdicts, "healthy": false});
        let read = |value: Value| serde_json::from_value::<Baseline>(value).unwrap();
        let expected = read(verdicts.clone());
        assert_eq!(expected.0.len(), 1);
        for value in [
            answer.clone(),
            json!(verdicts.to_string()),
            json!(answer.to_string()),
        ] {
            assert_eq!(read(value), expected);
        }
        assert_eq!(read(json!(" ")), Baseline::default());
        assert_eq!(read(Value::Null), Baseline::default());
    }

    #[test]
    fn what_is_no_baseline_is_refused() {
        for bad in [
            json!("nonsense"),
            json!("\"text\""),
            json!([{"kind": "Pod"}]),
            json!({"msg": "x"}),
            json!(true),
        ] {
            let error = serde_json::from_value::<Baseline>(bad.clone())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("a former answer of cluster_health"),
                "{bad}: {error}"
            );
        }
    }
}
