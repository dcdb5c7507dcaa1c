//! The state of certificates at a time.

use crate::certificate_report::{CertificateReport, kind};
use crate::params::Params;
use k3s_certs::{All, Found};
use std::time::SystemTime;

impl CertificateReport {
    fn new(params: &Params, found: &Found, all: &All, now: SystemTime) -> Self {
        let certificate = &found.certificate;
        let names = certificate.dns_names.iter().cloned();
        let addresses = certificate.ip_addresses.iter().map(ToString::to_string);
        Self {
            host: None,
            file: found.file.clone(),
            entry: found.entry.clone(),
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            kind: kind(certificate),
            not_before: certificate.not_before_rfc3339(),
            not_after: certificate.not_after_rfc3339(),
            days_left: certificate.days_left(now),
            state: certificate.standing(now, params.warn_window()),
            ignored: ignored(params, &found.file, all),
            names: names.chain(addresses).collect(),
            fingerprint: certificate.fingerprint.clone(),
        }
    }
}

pub(crate) fn all(params: &Params, all: &All, now: SystemTime) -> Vec<CertificateReport> {
    let judged = |found| CertificateReport::new(params, found, all, now);
    all.found.iter().map(judged).collect()
}

/// Why a file's certificates do not count: the user says so, or k3s has stopped using it.
pub(crate) fn ignored(params: &Params, file: &str, all: &All) -> Option<String> {
    if let Some(pattern) = params.ignore.iter().find(|pattern| names(pattern, file)) {
        return Some(format!("ignore: {pattern}"));
    }
    all.left_over(file)
        .then(|| "k3s uses another file now; it may be removed".to_owned())
}

/// A complete path, or the end of one.
fn names(pattern: &str, file: &str) -> bool {
    let rest = file.strip_suffix(pattern.trim_start_matches('/'));
    if pattern.starts_with('/') {
        file == pattern
    } else {
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    }
}
