//! What can be wrong, in types; and many findings of one kind made one verdict.

pub use answers::health::{Identity, Kind, Reason, Severity};

use cluster::Labels;
use k3s_certs::rfc3339;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::time::SystemTime;

/// Names that a verdict lists; of more, the count is enough.
pub(crate) const NAMES: usize = 10;
/// A message quotes what other programs say. Longer ones help nobody.
const LONGEST: usize = 300;

/// One thing that is wrong with one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub kind: Kind,
    pub namespace: String,
    /// What the trouble belongs to: a pod's controller, else the object itself.
    pub owner: Owner,
    /// The object itself: a pod's own name.
    pub name: String,
    pub labels: Labels,
    pub trouble: Trouble,
}

/// What outlives a pod: the workload that makes its successor.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Empty where the verdict's own kind says it.
    pub kind: String,
    pub name: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.kind, self.name)
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    pub reason: Reason,
    pub severity: Severity,
    pub stage: Stage,
    pub message: String,
    pub since: Option<SystemTime>,
    /// When it began, as far as that is reported: earlier than `since` where it had another name at first.
    pub began: Option<SystemTime>,
    /// Whether something has failed already, although it is young.
    pub failing: bool,
    /// How much of it there is: of a workload the replicas that are missing, else one object.
    pub amount: usize,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Judged,
    /// Young enough to come right by itself: it is waited for, but fails nothing.
    Settling,
    /// A first sign, which no verdict reports and no wait is for. Only a baseline remembers it.
    Suspected,
}

impl Trouble {
    pub fn new(reason: Reason, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            reason,
            severity,
            stage: Stage::Judged,
            message: cut(&message.into()),
            since: None,
            began: None,
            failing: false,
            amount: 1,
        }
    }

    pub fn error(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(reason, Severity::Error, message)
    }

    pub fn warning(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(reason, Severity::Warning, message)
    }

    #[must_use]
    pub fn since(mut self, since: impl Into<Option<SystemTime>>) -> Self {
        self.since = since.into();
        self.began = self.since;
        self
    }

    #[must_use]
    pub fn began(mut self, began: impl Into<Option<SystemTime>>) -> Self {
        self.began = began.into();
        self
    }

    /// The same trouble, where it is too young to be one.
    #[must_use]
    pub fn settling(mut self, young: bool) -> Self {
        if young {
            (self.severity, self.stage) = (Severity::Info, Stage::Settling);
        }
        self
    }

    /// A first sign of this trouble.
    pub fn suspected(reason: Reason) -> Self {
        Self {
            stage: Stage::Suspected,
            ..Self::new(reason, Severity::Info, "")
        }
    }

    #[must_use]
    pub fn failing(mut self, failing: bool) -> Self {
        self.failing = failing;
        self
    }

    #[must_use]
    pub fn amount(mut self, amount: usize) -> Self {
        self.amount = amount;
        self
    }
}

/// One line of bounded length: what is quoted comes from anywhere.
fn cut(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// All findings of one trouble: the same reason at the same owner.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    #[serde(flatten)]
    pub identity: Identity,
    pub severity: Severity,
    pub settling: bool,
    pub message: String,
    #[serde(serialize_with = "as_time")]
    pub since: Option<SystemTime>,
    /// How many objects it concerns (of a workload: how many replicas are missing), and the first of their names.
    pub count: usize,
    pub names: Vec<String>,
    /// How many of them were so in the baseline, or had begun there.
    pub before: usize,
    /// How many had begun there and were not judged.
    #[serde(skip)]
    pub begun: usize,
}

/// What had begun and was not judged yet: a later look that has this one for its baseline finds no news in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    #[serde(flatten)]
    pub identity: Identity,
    /// The object itself: a successor of it begins anew.
    pub name: String,
    /// None where it does not matter: something had failed already, or nobody says.
    #[serde(serialize_with = "as_time")]
    pub since: Option<SystemTime>,
    pub count: usize,
}

/// A cluster that falls to pieces must not fill the playbook's memory. What is beyond it is news later.
const SUSPECTS: usize = 1000;

/// The suspects among the findings, without what is judged already.
pub fn suspects(findings: &[Finding]) -> Vec<Suspect> {
    let is_judged = |finding: &&Finding| finding.trouble.stage == Stage::Judged;
    let key = |finding: &Finding| (finding.identity(), finding.name.clone());
    let judged: BTreeSet<(Identity, String)> = findings.iter().filter(is_judged).map(key).collect();
    let suspects = findings
        .iter()
        .filter(|finding| !is_judged(finding) && !judged.contains(&key(finding)));
    let suspect = |finding: &Finding| Suspect {
        identity: finding.identity(),
        name: finding.name.clone(),
        since: finding.trouble.began.filter(|_| !finding.trouble.failing),
        count: finding.trouble.amount,
    };
    suspects.map(suspect).take(SUSPECTS).collect()
}

impl Finding {
    pub fn identity(&self) -> Identity {
        Identity {
            kind: self.kind,
            namespace: self.namespace.clone(),
            object: self.owner.to_string(),
            reason: self.trouble.reason,
        }
    }
}

impl Verdict {
    /// Whether it says of another node what this one says of one.
    fn is_like(&self, other: &Self) -> bool {
        let key = |verdict: &Self| {
            let Identity { kind, reason, .. } = verdict.identity;
            (kind, reason, verdict.severity, verdict.settling, verdict.is_new())
        };
        let is_of_the_cluster = |verdict: &Self| verdict.identity.namespace.is_empty() && verdict.count == 1;
        is_of_the_cluster(self) && is_of_the_cluster(other) && key(self) == key(other)
    }

    /// Whether its count is one of missing replicas.
    fn is_of_a_workload(&self) -> bool {
        matches!(
            self.identity.kind,
            Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet
        )
    }

    /// An API server that is away is never old news: nothing else is known then.
    pub fn is_new(&self) -> bool {
        self.identity.kind == Kind::Api || self.count > self.before
    }
}

/// Verdicts that say the same of several objects without a namespace, as nodes are.
#[derive(Clone, Debug)]
pub struct Folded<'v> {
    /// The first of them.
    pub verdict: &'v Verdict,
    objects: Vec<String>,
    text: String,
    pub since: Option<SystemTime>,
}

/// Says what is the same of several nodes once, in the order of the verdicts.
pub fn folded<'v>(verdicts: impl Iterator<Item = &'v Verdict>) -> Vec<Folded<'v>> {
    let mut groups: Vec<Vec<&Verdict>> = Vec::new();
    for verdict in verdicts {
        match groups.iter_mut().find(|group| group[0].is_like(verdict)) {
            Some(group) => group.push(verdict),
            None => groups.push(vec![verdict]),
        }
    }
    groups.iter().flat_map(|group| fold(group)).collect()
}

fn fold<'v>(group: &[&'v Verdict]) -> Vec<Folded<'v>> {
    let texts: Vec<(String, String)> = group
        .iter()
        .map(|verdict| (verdict.identity.object.clone(), verdict.message.clone()))
        .collect();
    let folded = |said: per_node::Said| {
        let of = |verdict: &&&'v Verdict| said.nodes.contains(&verdict.identity.object);
        let first: &'v Verdict = group.iter().find(of)?;
        Some(Folded {
            verdict: first,
            since: group.iter().filter(of).filter_map(|verdict| verdict.since).min(),
            objects: said.nodes,
            text: said.text,
        })
    };
    per_node::once(&texts).into_iter().filter_map(folded).collect()
}

impl fmt::Display for Folded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { kind, reason, .. } = &self.verdict.identity;
        let Self { objects, text, .. } = self;
        if objects.len() == 1 {
            return write!(f, "{}", self.verdict);
        }
        let named = &objects[..objects.len().min(NAMES)];
        write!(f, "{kind} {}", named.join(", "))?;
        if objects.len() > NAMES {
            write!(f, " and {} more", objects.len() - NAMES)?;
        }
        write!(f, ": {reason}: {text}")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.identity)?;
        if self.count > 1 {
            let what = if self.is_of_a_workload() {
                "missing"
            } else {
                "of them"
            };
            write!(f, " ({} {what}", self.count)?;
            if self.before > 0 {
                write!(f, ", {} before", self.before)?;
            }
            f.write_str(")")?;
        }
        write!(f, ": {}", self.message)
    }
}

#[expect(clippy::ref_option, reason = "serde hands a field over by reference")]
fn as_time<S: serde::Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(rfc3339).serialize(serializer)
}
