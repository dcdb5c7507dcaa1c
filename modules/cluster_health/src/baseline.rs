//! Problems that existed before, or had begun: they are not new.

use crate::verdict::{self, Finding, Severity};
use cluster::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// The times of an answer are without fractions of a second.
const ROUNDED: Duration = Duration::from_secs(1);

/// What one trouble is called one after the other: a pod that was never started waits for a node, then for its image; a
/// node that is not heard of is called Ready for a while.
const STAGES: [(&str, &[&str]); 3] = [
    (
        "Pod",
        &[
            "Pending",
            "Unschedulable",
            "SchedulingGated",
            "ImagePullBackOff",
            "CreateContainerConfigError",
            "RunContainerError",
        ],
    ),
    ("Pod", &["CrashLoopBackOff", "OOMKilled"]),
    ("Node", &["StaleHeartbeat", "NotReady"]),
];

/// What a former answer has reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// How many objects each trouble affected, by its severity.
    judged: BTreeMap<Identity, BTreeMap<Severity, usize>>,
    /// What had begun and was not judged yet, by the object's own name.
    begun: BTreeMap<(Identity, String), Begun>,
}

#[derive(Clone, Debug, PartialEq)]
struct Begun {
    since: Option<SystemTime>,
    count: usize,
}

/// As [`verdict::Identity`], in words: another version may have written it.
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
    /// Then it is among the suspects, too.
    #[serde(default)]
    settling: bool,
}

#[derive(Deserialize)]
struct Suspect {
    #[serde(flatten)]
    identity: Identity,
    name: String,
    since: Option<Time>,
    count: usize,
}

impl Identity {
    fn of(identity: &verdict::Identity) -> Self {
        Self {
            kind: identity.kind.to_string(),
            namespace: identity.namespace.clone(),
            object: identity.object.clone(),
            reason: identity.reason.to_string(),
        }
    }

    /// With one reason for all stages of a trouble.
    fn whatever_stage(mut self) -> Self {
        let mut stages = STAGES.iter().filter(|(kind, _)| *kind == self.kind);
        let first = stages
            .find(|(_, reasons)| reasons.contains(&self.reason.as_str()))
            .and_then(|(_, reasons)| reasons.first());
        if let Some(first) = first {
            (*first).clone_into(&mut self.reason);
        }
        self
    }
}

impl Baseline {
    /// How many of these findings are old: as many as had the same trouble at least as badly, whichever objects they
    /// were; and those of objects whose trouble had begun.
    pub fn count(
        &self,
        severity: Severity,
        identity: &verdict::Identity,
        findings: &[Finding],
    ) -> (usize, usize) {
        let judged = self.judged.get(&Identity::of(identity));
        let judged: usize = judged.map_or(0, |known| known.range(severity..).map(|(_, count)| count).sum());
        let begun: usize = findings.iter().map(|finding| self.had_begun(finding)).sum();
        (judged, begun)
    }

    /// How much of it had begun. What came right in between has begun anew.
    fn had_begun(&self, finding: &Finding) -> usize {
        let identity = Identity::of(&finding.identity()).whatever_stage();
        let Some(begun) = self.begun.get(&(identity, finding.name.clone())) else {
            return 0;
        };
        let times = finding.trouble.began.zip(begun.since);
        if times.is_some_and(|(now, then)| now >= then + ROUNDED) {
            return 0;
        }
        finding.trouble.amount.min(begun.count)
    }

    fn add_judged(&mut self, known: Known) {
        if !known.settling {
            let counts = self.judged.entry(known.identity).or_default();
            *counts.entry(known.severity).or_default() += known.count;
        }
    }

    /// Of two signs the later time counts, and none where one of them has none.
    fn add_suspect(&mut self, suspect: Suspect) {
        let since = suspect.since.map(SystemTime::from);
        let key = (suspect.identity.whatever_stage(), suspect.name);
        let begun = self.begun.entry(key).or_insert(Begun { since, count: 0 });
        begun.since = begun.since.zip(since).map(|(a, b)| a.max(b));
        begun.count = begun.count.max(suspect.count);
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

fn fault(what: &str) -> String {
    format!("baseline: {what}: give it a former answer of cluster_health, or the verdicts of one")
}

fn list<T: DeserializeOwned>(value: Value, what: &str) -> Result<Vec<T>, String> {
    serde_json::from_value(value).map_err(|error| fault(&format!("they are no {what}: {error}")))
}

/// The verdicts, the complete answer, or either of them as the JSON text that a file has.
fn read(value: Value) -> Result<Baseline, String> {
    let (verdicts, suspects) = match value {
        Value::Null => return Ok(Baseline::default()),
        Value::String(text) if text.trim().is_empty() => return Ok(Baseline::default()),
        Value::String(text) => {
            let value: Value =
                serde_json::from_str(&text).map_err(|error| fault(&format!("it is not JSON: {error}")))?;
            return if value.is_string() {
                Err(fault("it is a mere text"))
            } else {
                read(value)
            };
        }
        Value::Object(mut answer) => {
            let verdicts = answer
                .remove("verdicts")
                .ok_or_else(|| fault("it has no verdicts"))?;
            (
                verdicts,
                answer
                    .remove("suspects")
                    .unwrap_or_else(|| Value::Array(Vec::new())),
            )
        }
        verdicts => (verdicts, Value::Array(Vec::new())),
    };
    let mut baseline = Baseline::default();
    list(verdicts, "verdicts")?
        .into_iter()
        .for_each(|known| baseline.add_judged(known));
    list(suspects, "suspects")?
        .into_iter()
        .for_each(|suspect| baseline.add_suspect(suspect));
    Ok(baseline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::group;
    use crate::verdict::{Kind, Owner, Reason, Trouble, Verdict, suspects};
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
            labels: cluster::Labels::new(),
            trouble: Trouble::error(reason, "it fails"),
        }
    }

    /// Whether each verdict is new, in their order.
    fn new(before: &[Finding], now: &[Finding]) -> Vec<bool> {
        let verdicts = group(before.to_vec(), &Baseline::default());
        let answer = json!({"changed": false, "verdicts": verdicts, "suspects": suspects(before)});
        let baseline: Baseline = serde_json::from_value(answer).unwrap();
        let verdicts = group(now.to_vec(), &baseline);
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

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn since(mut finding: Finding, second: u64) -> Finding {
        finding.trouble = finding.trouble.since(at(second));
        finding
    }

    fn young(mut finding: Finding) -> Finding {
        finding.trouble = finding.trouble.settling(true);
        finding
    }

    #[test]
    fn a_problem_that_had_begun_stays_old_while_it_lasts() {
        let (a, b) = (
            || since(pod("a", Reason::NotReady), 100),
            || since(pod("b", Reason::NotReady), 120),
        );
        assert_eq!(new(&[young(a())], &[a()]), [false]);
        assert_eq!(new(&[young(a()), b()], &[a(), b()]), [false]);
        // It was Ready in between.
        assert_eq!(new(&[young(a())], &[since(a(), 200)]), [true]);
        // Another pod of the same workload has begun later.
        assert_eq!(new(&[young(a())], &[b()]), [true]);
        assert_eq!(new(&[young(a())], &[a(), b()]), [true]);
        // And of what is young still, only what is new is waited for.
        assert_eq!(new(&[young(a())], &[young(a())]), [false]);
        assert_eq!(new(&[young(a())], &[young(b())]), [true]);
        assert_eq!(new(&[a()], &[young(a())]), [false]);
    }

    #[test]
    fn what_had_failed_already_may_begin_anew() {
        let chart = |failing, second| {
            let mut chart = since(pod("traefik", Reason::NotInstalled), second);
            chart.kind = Kind::Addon;
            chart.trouble = chart.trouble.failing(failing);
            chart
        };
        assert_eq!(new(&[young(chart(true, 100))], &[chart(true, 200)]), [false]);
        assert_eq!(new(&[young(chart(false, 100))], &[chart(true, 200)]), [true]);
    }

    #[test]
    fn remembers_a_first_sign_without_reporting_it() {
        let sign = |name: &str| Finding {
            trouble: Trouble::suspected(Reason::CrashLoopBackOff),
            ..pod(name, Reason::CrashLoopBackOff)
        };
        assert!(group(vec![sign("a")], &Baseline::default()).is_empty());
        assert_eq!(new(&[sign("a")], &[pod("a", Reason::CrashLoopBackOff)]), [false]);
        assert_eq!(new(&[sign("a")], &[pod("b", Reason::CrashLoopBackOff)]), [true]);
        assert_eq!(new(&[sign("a")], &[pod("a", Reason::NotReady)]), [true]);
        // One that is judged counts once.
        assert!(suspects(&[sign("a"), pod("a", Reason::CrashLoopBackOff)]).is_empty());
    }

    #[test]
    fn a_trouble_may_get_another_name_as_it_goes_on() {
        let table = [
            (Reason::Pending, Reason::ImagePullBackOff, false),
            (Reason::Unschedulable, Reason::Pending, false),
            (Reason::CrashLoopBackOff, Reason::OOMKilled, false),
            (Reason::Pending, Reason::NotReady, true),
            (Reason::NotReady, Reason::CrashLoopBackOff, true),
        ];
        for (before, now, is_news) in table {
            assert_eq!(
                new(&[young(pod("a", before))], &[pod("a", now)]),
                [is_news],
                "{before} {now}"
            );
        }
    }

    #[test]
    fn more_replicas_that_are_missing_are_new() {
        let lacks = |missing: usize| {
            let mut web = pod("web", Reason::Unavailable);
            web.kind = Kind::Deployment;
            web.owner.kind = String::new();
            web.trouble = web.trouble.amount(missing);
            web
        };
        for before in [lacks(2), young(lacks(2))] {
            assert_eq!(new(std::slice::from_ref(&before), &[lacks(2)]), [false]);
            assert_eq!(new(std::slice::from_ref(&before), &[lacks(1)]), [false]);
            assert_eq!(new(&[before], &[lacks(3)]), [true]);
        }
        let verdict = group(vec![lacks(3)], &Baseline::default())[0].to_string();
        assert_eq!(verdict, "Deployment demo/web: Unavailable (3 missing): it fails");
    }

    /// As a file has it that was written before there were suspects.
    #[test]
    fn a_baseline_without_suspects_is_one_of_what_was_judged() {
        let before = [young(pod("a", Reason::NotReady)), pod("b", Reason::OOMKilled)];
        let baseline: Baseline =
            serde_json::from_value(json!(group(before.to_vec(), &Baseline::default()))).unwrap();
        let now = [pod("a", Reason::NotReady), pod("b", Reason::OOMKilled)];
        let verdicts = group(now.to_vec(), &baseline);
        let judged: Vec<(Reason, bool)> = verdicts
            .iter()
            .map(|verdict| (verdict.identity.reason, verdict.is_new()))
            .collect();
        assert_eq!(judged, [(Reason::NotReady, true), (Reason::OOMKilled, false)]);
    }

    #[test]
    fn a_cluster_in_pieces_is_remembered_up_to_a_limit() {
        let pods: Vec<Finding> = (0..3000)
            .map(|number| young(pod(&format!("p{number}"), Reason::Pending)))
            .collect();
        assert_eq!(suspects(&pods).len(), 1000);
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
        let verdicts = json!(group(vec![pod("a", Reason::OOMKilled)], &Baseline::default()));
        let answer = json!({"verdicts": verdicts, "healthy": false});
        let read = |value: Value| serde_json::from_value::<Baseline>(value).unwrap();
        let expected = read(verdicts.clone());
        assert_eq!(expected.judged.len(), 1);
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
    fn refuses_an_invalid_baseline() {
        for bad in [
            json!("nonsense"),
            json!("\"text\""),
            json!([{"kind": "Pod"}]),
            json!({"msg": "x"}),
            json!({"verdicts": [], "suspects": [{"kind": "Pod"}]}),
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
