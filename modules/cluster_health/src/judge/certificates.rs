//! The certificates of the node that was asked. An authority counts too: it takes all leaves with it.

use super::{about, span};
use crate::params::Params;
use crate::state::Seen;
use crate::verdict::{Finding, Kind, Reason, Trouble};
use k3s_certs::{Found, Standing};
use std::collections::BTreeMap;

pub(super) fn judge(params: &Params, seen: &Seen) -> Vec<Finding> {
    let all = &seen.certificates;
    // The same one is in several files, as an authority behind each leaf.
    let mut distinct: BTreeMap<&str, &Found> = BTreeMap::new();
    for found in all.found.iter().filter(|found| !all.left_over(&found.file)) {
        distinct.entry(&found.certificate.fingerprint).or_insert(found);
    }
    let mut findings: Vec<Finding> = distinct
        .values()
        .filter_map(|found| {
            let trouble = trouble(params, seen, found)?;
            Some(Finding {
                name: found.file.clone(),
                ..about(Kind::Certificate, "", &found.certificate.subject, trouble)
            })
        })
        .collect();
    findings.extend(all.faults.iter().map(|fault| {
        let trouble = Trouble::warning(Reason::CannotBeRead, fault.error.clone());
        about(Kind::Certificate, "", &fault.file, trouble)
    }));
    findings
}

fn trouble(params: &Params, seen: &Seen, found: &Found) -> Option<Trouble> {
    let certificate = &found.certificate;
    let left = certificate.not_after.duration_since(seen.now).unwrap_or_default();
    let renewed = "k3s renews its leaves while it starts: playbook-refresh-k3s-kubeconfig.yaml with k3s_rotate_all=true sees to it";
    Some(match certificate.standing(seen.now, params.limits.certificates) {
        Standing::Valid => return None,
        Standing::ExpiresSoon => Trouble::warning(
            Reason::ExpiresSoon,
            format!(
                "it expires in {}, at {}; {renewed}",
                span(left),
                certificate.not_after_rfc3339()
            ),
        ),
        Standing::Expired => Trouble::error(
            Reason::Expired,
            format!("it expired at {}; {renewed}", certificate.not_after_rfc3339()),
        )
        .since(certificate.not_after),
        Standing::NotYetValid => Trouble::error(
            Reason::NotYetValid,
            format!(
                "it is not valid before {}: see to the clock of this host",
                certificate.not_before_rfc3339()
            ),
        ),
    })
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
