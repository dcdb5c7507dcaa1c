//! The answers of several nodes as one.

use crate::certificate_report::CertificateReport;
use crate::params::{Node, Params, Seen};
use k3s_certs::Fault;

/// All of them, by node.
#[derive(Default)]
pub(crate) struct Merged {
    pub(crate) certificates: Vec<CertificateReport>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) notes: Vec<String>,
}

pub(crate) fn merge(params: &Params) -> Merged {
    let mut merged = Merged::default();
    for Node { host, seen } in &params.nodes {
        if let Some(why) = unseen(seen) {
            merged.fault(host, &why);
            continue;
        }
        merged
            .certificates
            .extend(seen.certificates.iter().map(|certificate| CertificateReport {
                host: Some(host.clone()),
                ..certificate.clone()
            }));
        for Fault { file, error } in &seen.unreadable {
            merged.fault(&format!("{host}: {file}"), error);
        }
        merged
            .notes
            .extend(seen.notes.iter().map(|note| format!("{host}: {note}")));
    }
    for host in &params.hosts {
        if !params.nodes.iter().any(|node| node.host == *host) {
            merged.fault(
                host,
                "it was not checked: Ansible could not reach it, or left it out",
            );
        }
    }
    merged
}

/// Why nothing is known of a node. A failure that `failed_when` hides still has its message.
fn unseen(seen: &Seen) -> Option<String> {
    if seen.failed || seen.unreachable || seen.msg.is_some() {
        let why = seen.msg.as_deref().unwrap_or("it gave no reason");
        return Some(format!("it could not be checked: {why}"));
    }
    (seen.skipped || seen.changed.is_none()).then(|| "it was not checked".to_owned())
}

impl Merged {
    fn fault(&mut self, file: &str, error: &str) {
        self.faults.push(Fault {
            file: file.to_owned(),
            error: error.to_owned(),
        });
    }
}
