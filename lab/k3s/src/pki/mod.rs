//! Certificate authorities and the certificates they sign, in k3s's shape: EC P-256, leaf and CA in one file.

pub mod layout;
pub mod sec1;

use crate::files;
use crate::version::hex;
use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

const CA_DAYS: i64 = 3650;
const LEAF_DAYS: i64 = 365;
/// A leaf with less than this left is renewed when k3s starts.
const RENEWAL_DAYS: i64 = 90;
const LIFETIME_VARIABLE: &str = "CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS";

pub struct Authority {
    pem: String,
    key: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    pub name: String,
    pub organization: String,
    /// Names and addresses that a server answers for.
    pub hosts: Vec<String>,
    pub server: bool,
    pub client: bool,
}

impl Subject {
    pub fn client(name: &str, organization: &str) -> Self {
        Self {
            name: name.to_owned(),
            organization: organization.to_owned(),
            client: true,
            ..Self::default()
        }
    }

    pub fn server(name: &str, hosts: &[String]) -> Self {
        Self {
            name: name.to_owned(),
            hosts: hosts.to_vec(),
            server: true,
            ..Self::default()
        }
    }

    #[must_use]
    pub fn as_client_too(mut self) -> Self {
        self.client = true;
        self
    }
}

/// A certificate chain and its key, both as PEM.
pub struct Pair {
    pub chain: String,
    pub key: String,
}

impl Authority {
    /// The one at `<stem>.crt` and `.key`, made if there is none.
    pub fn at(stem: &Path, name: &str) -> Result<Self> {
        let (certificate, key) = (with(stem, "crt"), with(stem, "key"));
        if !certificate.exists() {
            let made = Self::make(name)?;
            files::write(&key, &made.key, 0o600)?;
            files::write(&certificate, &made.pem, 0o644)?;
        }
        Ok(Self {
            pem: files::read(&certificate)?,
            key: files::read(&key)?,
        })
    }

    fn make(name: &str) -> Result<Self> {
        let now = OffsetDateTime::now_utc();
        let mut params = params(&format!("{name}@{}", now.unix_timestamp()), "");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
        ];
        (params.not_before, params.not_after) = (now, now + Duration::days(CA_DAYS));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key).context("signing a CA certificate")?;
        Ok(Self {
            pem: certificate.pem(),
            key: sec1::pem(key.serialized_der())?,
        })
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The hash in a full token.
    pub fn hash(&self) -> String {
        hash(&self.pem)
    }

    pub fn issue(&self, subject: &Subject, key: Option<&str>) -> Result<Pair> {
        let key = match key {
            Some(pem) => key_pair(pem)?,
            None => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
        };
        let mut params = params(&subject.name, &subject.organization);
        for host in &subject.hosts {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.as_str().try_into()?),
            });
        }
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        let purposes = [
            (subject.server, ExtendedKeyUsagePurpose::ServerAuth),
            (subject.client, ExtendedKeyUsagePurpose::ClientAuth),
        ];
        params.extended_key_usages = purposes
            .into_iter()
            .filter_map(|(is, purpose)| is.then_some(purpose))
            .collect();
        params.not_before = self.valid_from()?;
        params.not_after = OffsetDateTime::now_utc() + Duration::days(lifetime());
        let issuer = Issuer::from_ca_cert_pem(&self.pem, key_pair(&self.key)?)?;
        let leaf = params
            .signed_by(&key, &issuer)
            .with_context(|| format!("signing CN={}", subject.name))?;
        Ok(Pair {
            chain: format!("{}{}", leaf.pem(), self.pem),
            key: sec1::pem(key.serialized_der())?,
        })
    }

    /// A leaf begins when its CA began.
    fn valid_from(&self) -> Result<OffsetDateTime> {
        let pem = first(&self.pem)?;
        Ok(pem
            .parse_x509()
            .context("reading a CA certificate")?
            .validity()
            .not_before
            .to_datetime())
    }

    /// The pair at `<stem>.crt` and `.key`: kept while it is good for long enough, else renewed with its old key.
    pub fn pair_at(&self, stem: &Path, subject: &Subject, mode: u32) -> Result<Pair> {
        let (certificate, key) = (with(stem, "crt"), with(stem, "key"));
        let old_key = std::fs::read_to_string(&key).ok();
        if let (Ok(chain), Some(old)) = (files::read(&certificate), &old_key)
            && self.is_good(&chain, subject)
        {
            return Ok(Pair {
                chain,
                key: old.clone(),
            });
        }
        let pair = self.issue(subject, old_key.as_deref())?;
        files::write(&key, &pair.key, 0o600)?;
        files::write(&certificate, &pair.chain, mode)?;
        Ok(pair)
    }

    fn is_good(&self, chain: &str, subject: &Subject) -> bool {
        let check = || -> Result<bool> {
            let pem = first(chain)?;
            let leaf = pem.parse_x509()?;
            let left = leaf.validity().not_after.to_datetime() - OffsetDateTime::now_utc();
            let name = leaf
                .subject()
                .iter_common_name()
                .next()
                .and_then(|n| n.as_str().ok());
            let hosts = hosts(&leaf);
            let has_all = subject.hosts.iter().all(|host| hosts.contains(host));
            let ours = chain.ends_with(&self.pem);
            Ok(left > Duration::days(RENEWAL_DAYS) && name == Some(&subject.name) && has_all && ours)
        };
        check().unwrap_or(false)
    }
}

fn hosts(leaf: &x509_parser::certificate::X509Certificate<'_>) -> Vec<String> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|extension| &extension.value.general_names);
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|b| IpAddr::from(b).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|b| IpAddr::from(b).to_string()),
        },
        _ => None,
    };
    names.filter_map(text).collect()
}

fn params(name: &str, organization: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if !organization.is_empty() {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organization);
    }
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn key_pair(pem: &str) -> Result<KeyPair> {
    let der = sec1::pkcs8(pem)?;
    KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), &PKCS_ECDSA_P256_SHA256)
        .context("reading a private key")
}

fn first(pem: &str) -> Result<Pem> {
    Pem::iter_from_buffer(pem.as_bytes())
        .next()
        .context("reading a certificate: the file is empty")?
        .map_err(Into::into)
}

fn lifetime() -> i64 {
    let given = std::env::var(LIFETIME_VARIABLE).ok();
    given
        .and_then(|days| days.parse().ok())
        .filter(|days| *days > 0)
        .unwrap_or(LEAF_DAYS)
}

pub fn with(stem: &Path, extension: &str) -> PathBuf {
    stem.with_extension(extension)
}

pub fn hash(pem: &str) -> String {
    hex(&Sha256::digest(pem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_kept_until_something_changes() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::at(&folder.path().join("server-ca"), "k3s-server-ca").unwrap();
        let stem = folder.path().join("serving");
        let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let first = authority
            .pair_at(&stem, &Subject::server("a", &hosts), 0o644)
            .unwrap();
        let again = authority
            .pair_at(&stem, &Subject::server("a", &hosts), 0o644)
            .unwrap();
        assert_eq!(first.chain, again.chain);
        let more = [hosts, vec!["10.0.0.9".to_owned()]].concat();
        let renewed = authority
            .pair_at(&stem, &Subject::server("a", &more), 0o644)
            .unwrap();
        assert_ne!(first.chain, renewed.chain);
        assert_eq!(first.key, renewed.key, "renewal keeps the key");
    }

    #[test]
    fn a_leaf_carries_its_authority_and_lives_a_year() {
        let authority = Authority::make("k3s-client-ca").unwrap();
        let pair = authority
            .issue(&Subject::client("system:admin", "system:masters"), None)
            .unwrap();
        assert_eq!(Pem::iter_from_buffer(pair.chain.as_bytes()).count(), 2);
        let pem = super::first(&pair.chain).unwrap();
        let leaf = pem.parse_x509().unwrap();
        assert_eq!(leaf.subject().to_string(), "O=system:masters, CN=system:admin");
        let days = (leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp()) / 86400;
        assert_eq!(days, 365);
    }
}
