//! For tests: authorities and certificates with chosen names and lifetimes, made on the spot, and a node that has some.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "this is only ever linked into tests, where a panic is how a test fails"
)]

mod node;

pub use node::{DATA, KEY_MARK, KUBECONFIG, Node};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, SignatureAlgorithm,
};
use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// 2026-01-01T00:00:00Z, where the virtual clocks of tests start.
pub const NOW: Duration = Duration::from_hours(490_896);
const YEAR: i64 = 365;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    P256,
    P384,
    Ed25519,
}

impl Kind {
    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::P256 => &PKCS_ECDSA_P256_SHA256,
            Self::P384 => &PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &PKCS_ED25519,
        }
    }
}

/// What a certificate shall say. Days are counted from [`NOW`].
#[derive(Clone, Debug)]
pub struct Leaf {
    name: String,
    organization: Option<String>,
    kind: Kind,
    from: i64,
    until: i64,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Leaf {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            organization: None,
            kind: Kind::P256,
            from: -1,
            until: YEAR - 1,
            names: Vec::new(),
            addresses: Vec::new(),
        }
    }

    #[must_use]
    pub fn organization(mut self, organization: &str) -> Self {
        self.organization = Some(organization.to_owned());
        self
    }

    #[must_use]
    pub fn of(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Valid from and until so many days after [`NOW`].
    #[must_use]
    pub fn days(mut self, from: i64, until: i64) -> Self {
        (self.from, self.until) = (from, until);
        self
    }

    #[must_use]
    pub fn reached_at(mut self, names: &[&str], addresses: &[&str]) -> Self {
        self.names = names.iter().map(ToString::to_string).collect();
        self.addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        // In the order in which k3s has them.
        if let Some(organization) = &self.organization {
            params
                .distinguished_name
                .push(DnType::OrganizationName, organization.as_str());
        }
        params
            .distinguished_name
            .push(DnType::CommonName, self.name.as_str());
        (params.not_before, params.not_after) = (day(self.from), day(self.until));
        let names = self
            .names
            .iter()
            .map(|name| SanType::DnsName(name.as_str().try_into().unwrap()));
        let addresses = self.addresses.iter().map(|address| SanType::IpAddress(*address));
        params.subject_alt_names = names.chain(addresses).collect();
        params
    }
}

fn day(days: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from(SystemTime::UNIX_EPOCH + NOW) + time::Duration::days(days)
}

/// A certificate with its key, both PEM; the key is PKCS #8.
#[derive(Clone, Debug)]
pub struct Signed {
    pub pem: String,
    pub key_pem: String,
}

/// A certificate authority, valid for ten years.
pub struct Authority {
    pub pem: String,
    pub key_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Self::made(&Leaf::new(name).days(-1, 10 * YEAR), None)
    }

    /// One of another kind of key or lifetime.
    pub fn like(leaf: &Leaf) -> Self {
        Self::made(leaf, None)
    }

    /// One below this one.
    #[must_use]
    pub fn below(&self, leaf: &Leaf) -> Self {
        Self::made(leaf, Some(self))
    }

    fn made(leaf: &Leaf, above: Option<&Self>) -> Self {
        let key = KeyPair::generate_for(leaf.kind.algorithm()).unwrap();
        let mut params = leaf.params();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = match above {
            Some(above) => params.signed_by(&key, &above.issuer),
            None => params.self_signed(&key),
        };
        Self {
            pem: certificate.unwrap().pem(),
            key_pem: key.serialize_pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub fn sign(&self, leaf: &Leaf) -> Signed {
        let key = KeyPair::generate_for(leaf.kind.algorithm()).unwrap();
        let mut params = leaf.params();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Signed {
            pem: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key_pem: key.serialize_pem(),
        }
    }
}

/// What `openssl` makes of `input`: forms and kinds of keys that rcgen does not write.
pub fn openssl(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
