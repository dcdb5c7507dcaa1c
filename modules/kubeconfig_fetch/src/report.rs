//! The return values of both halves.

use crate::credentials::Credentials;
use k3s_certs::rotation::Done;
use serde::Serialize;

/// What became of the steps.
#[derive(Default)]
pub struct Journal {
    /// Whether anything is, or may be, different now.
    pub(crate) changed: bool,
    pub(crate) renewal: Done,
    /// Whether the certificate is another one now.
    pub(crate) rotated: bool,
    pub(crate) backup: Option<String>,
}

/// SHA-256, in hexadecimal digits.
#[derive(Serialize)]
pub(crate) struct Fingerprints {
    client: String,
    authority: Vec<String>,
}

impl Fingerprints {
    pub(crate) fn of(credentials: &Credentials) -> Self {
        let authority = credentials.authority.iter().map(|own| own.fingerprint.clone());
        Self {
            client: credentials.leaf().fingerprint.clone(),
            authority: authority.collect(),
        }
    }
}
