//! What of a kubeconfig may be seen: names, addresses, fingerprints, dates. Never a key, never a token.

use super::view::{Document, View};
use crate::kubeconfig::Kind;
use k3s_certs::Certificate;
use k3s_types::mask;

/// Enough of a fingerprint to distinguish two.
const DIGITS: usize = 16;

/// The given entries of a file, and which context is current; a line each. No line is one of the file's own, which
/// are censored wherever they show up.
pub(crate) fn entries(view: &View, wanted: &[(Kind, String)]) -> String {
    let Some(document) = &view.dest else {
        return String::new();
    };
    let mut lines: Vec<String> = wanted
        .iter()
        .filter(|(kind, name)| document.config.has(*kind, name))
        .map(|(kind, name)| entry(view, document, *kind, name))
        .collect();
    lines.push(format!(
        "current  {}",
        document.config.current().unwrap_or("none")
    ));
    lines.join("\n") + "\n"
}

fn entry(view: &View, document: &Document, kind: Kind, name: &str) -> String {
    let map = document.config.entry(kind, name);
    let text = |key: &str| map.and_then(|map| map.text(key)).unwrap_or("none");
    let certificates = |key: &str| {
        let found = view.find(kind, name)?;
        view.certificates(found, key)
    };
    match kind {
        Kind::Cluster => {
            let authority =
                certificates("certificate-authority").map_or_else(unreadable, |chain| short(&chain[0]));
            let server = mask::address(text("server"));
            format!("cluster  {name}  at {server}  authority {authority}")
        }
        Kind::Context => format!("context  {name}  to {}  as {}", text("cluster"), text("user")),
        Kind::User => {
            let certificate = certificates("client-certificate").map_or_else(unreadable, |chain| {
                format!("{} until {}", short(&chain[0]), chain[0].not_after_rfc3339())
            });
            format!("user     {name}  certificate {certificate}")
        }
    }
}

fn unreadable() -> String {
    "none that can be read".to_owned()
}

fn short(certificate: &Certificate) -> String {
    let digits = certificate.fingerprint.get(..DIGITS).unwrap_or_default();
    format!("sha256 {digits}")
}
