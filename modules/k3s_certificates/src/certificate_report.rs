//! The report of certificates: judged at a time, worst first where it matters.

use k3s_certs::{Certificate, Fault, Standing};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Leaf,
    Ca,
}

/// One certificate of the answer. What a summary is given comes from other machines: it is text again by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificateReport {
    /// The node, in a summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    pub(crate) file: String,
    /// The field of the file, where the file is not PEM.
    #[serde(default)]
    pub(crate) entry: Option<String>,
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) kind: Kind,
    pub(crate) not_before: String,
    pub(crate) not_after: String,
    pub(crate) days_left: i64,
    pub(crate) state: Standing,
    /// Why its state does not count.
    #[serde(default)]
    pub(crate) ignored: Option<String>,
    /// By which a server may be called.
    #[serde(default)]
    pub(crate) names: Vec<String>,
    pub(crate) fingerprint: String,
}

impl CertificateReport {
    pub(crate) fn counts(&self) -> bool {
        self.ignored.is_none()
    }

    /// `/etc/rancher/k3s/k3s.yaml, client-certificate-data`
    fn location(&self) -> String {
        match &self.entry {
            Some(entry) => format!("{}, {entry}", self.file),
            None => self.file.clone(),
        }
    }

    /// Why it needs somebody, in words; none where it does not.
    fn problem_text(&self) -> Option<String> {
        match self.state {
            _ if !self.counts() => None,
            Standing::Valid => None,
            Standing::Expired => Some(format!("expired at {}", self.not_after)),
            Standing::ExpiresSoon => {
                let left = days(self.days_left);
                Some(format!("expires in {left}, at {}", self.not_after))
            }
            Standing::NotYetValid => Some(format!("is not valid before {}", self.not_before)),
        }
    }
}

pub(crate) fn kind(certificate: &Certificate) -> Kind {
    if certificate.is_ca { Kind::Ca } else { Kind::Leaf }
}

fn days(days: i64) -> String {
    match days {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// The message of a failed task is read completely; the table has the rest.
const NAMED: usize = 12;

/// What needs somebody, as one text for a failed task; none: all is well.
pub(crate) fn problem(certificates: &[CertificateReport], faults: &[Fault]) -> Option<String> {
    let mut lines = troubles(certificates);
    lines.extend(
        faults
            .iter()
            .map(|fault| format!("{}: {}", fault.file, fault.error)),
    );
    let more = lines.len().saturating_sub(NAMED);
    lines.truncate(NAMED);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// A line for each certificate that needs somebody, wherever it is found, the worst first.
pub(crate) fn troubles(certificates: &[CertificateReport]) -> Vec<String> {
    let mut worst: Vec<&CertificateReport> = Vec::new();
    for one in distinct(certificates) {
        let same =
            |other: &&CertificateReport| (&other.host, &other.fingerprint) == (&one.host, &one.fingerprint);
        if one.problem_text().is_some() && !worst.iter().any(same) {
            worst.push(one);
        }
    }
    worst.sort_by_key(|certificate| certificate.days_left);
    let line = |one: &&CertificateReport| {
        let same = |other: &&&CertificateReport| {
            (&other.host, &other.fingerprint) == (&one.host, &one.fingerprint) && other.counts()
        };
        let distinct = distinct(certificates);
        let locations: Vec<String> = distinct
            .iter()
            .filter(same)
            .map(|other| other.location())
            .collect();
        let host = one
            .host
            .as_ref()
            .map(|host| format!("{host}: "))
            .unwrap_or_default();
        Some(format!(
            "{host}{} {} ({})",
            one.subject,
            one.problem_text()?,
            locations.join("; ")
        ))
    };
    worst.iter().filter_map(line).collect()
}

/// Each authority once a host: it stands behind most leaves too.
pub(crate) fn distinct(certificates: &[CertificateReport]) -> Vec<&CertificateReport> {
    let mut distinct: Vec<&CertificateReport> = Vec::new();
    for one in certificates {
        let same = |other: &&CertificateReport| {
            one.kind == Kind::Ca
                && (&other.host, &other.fingerprint, other.counts())
                    == (&one.host, &one.fingerprint, one.counts())
        };
        match distinct.iter_mut().find(|other| same(other)) {
            // Its own file says best where it is.
            Some(other) if !is_own(other) && is_own(one) => *other = one,
            Some(_) => {}
            None => distinct.push(one),
        }
    }
    distinct
}

fn is_own(certificate: &CertificateReport) -> bool {
    certificate.file.ends_with("-ca.crt")
}
