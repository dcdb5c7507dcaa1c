//! Certificate authorities and the certificates they sign, in k3s's shape: EC P-256, leaf and CA in one file.

pub mod layout;
pub mod leaf;
pub mod listener;
pub mod sec1;
pub mod services;

use crate::files;
use crate::log;
use crate::version::hex;
use anyhow::{Context, Result};
use leaf::{Validity, common_name, first};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

const CA_DAYS: i64 = 3650;
pub const LEAF_DAYS: i64 = 365;
/// A leaf with less than this left is renewed when k3s starts.
const RENEWAL_DAYS: i64 = 120;
const LIFETIME_VARIABLE: &str = "CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS";

pub use leaf::Subject;

pub struct Authority {
    pem: String,
    key: String,
}

/// A certificate chain and its key, both as PEM.
pub struct Pair {
    pub chain: String,
    pub key: String,
}

impl Pair {
    pub fn read(stem: &Path) -> Result<Self> {
        Ok(Self {
            chain: files::read(&with(stem, "crt"))?,
            key: files::read(&with(stem, "key"))?,
        })
    }
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
        Self::read(stem)
    }

    pub fn read(stem: &Path) -> Result<Self> {
        Ok(Self {
            pem: files::read(&with(stem, "crt"))?,
            key: files::read(&with(stem, "key"))?,
        })
    }

    pub fn from_pem(pem: &str, key: &str) -> Self {
        Self {
            pem: pem.to_owned(),
            key: key.to_owned(),
        }
    }

    pub fn make(name: &str) -> Result<Self> {
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

    /// A leaf as k3s makes it, with k3s's line in the log.
    pub fn issue(&self, subject: &Subject, key: Option<&str>) -> Result<Pair> {
        // A leaf begins when its CA began.
        let validity = Validity {
            from: self.validity()?.from,
            until: OffsetDateTime::now_utc() + Duration::days(lifetime()),
        };
        let pair = self.sign(subject, key, validity)?;
        log::info(&format!(
            "certificate {} signed by CN={}: notBefore={} notAfter={}",
            subject.distinguished(),
            self.name()?,
            go_time(validity.from),
            go_time(validity.until)
        ));
        Ok(pair)
    }

    pub fn sign(&self, subject: &Subject, key: Option<&str>, validity: Validity) -> Result<Pair> {
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
        (params.not_before, params.not_after) = (validity.from, validity.until);
        let issuer = Issuer::from_ca_cert_pem(&self.pem, key_pair(&self.key)?)?;
        let leaf = params
            .signed_by(&key, &issuer)
            .with_context(|| format!("signing CN={}", subject.name))?;
        Ok(Pair {
            chain: format!("{}{}", leaf.pem(), self.pem),
            key: sec1::pem(key.serialized_der())?,
        })
    }

    fn validity(&self) -> Result<Validity> {
        let pem = first(&self.pem)?;
        Ok(Validity::of(
            &pem.parse_x509().context("reading a CA certificate")?,
        ))
    }

    /// `k3s-client-ca@1742309831`
    pub fn name(&self) -> Result<String> {
        let pem = first(&self.pem)?;
        Ok(common_name(
            &pem.parse_x509().context("reading a CA certificate")?,
        ))
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

    pub fn is_good(&self, chain: &str, subject: &Subject) -> bool {
        let check = || -> Result<bool> {
            let pem = first(chain)?;
            let leaf = pem.parse_x509()?;
            let own = Subject::of(&leaf);
            let has_all = subject.hosts.iter().all(|host| own.hosts.contains(host));
            let same = (&own.name, &own.organization) == (&subject.name, &subject.organization);
            let lasts = Validity::of(&leaf).left() > Duration::days(RENEWAL_DAYS);
            Ok(lasts && same && has_all && chain.ends_with(&self.pem))
        };
        check().unwrap_or(false)
    }
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

/// The key at `<stem>.key`, made if there is none.
fn key_at(stem: &Path) -> Result<()> {
    let file = with(stem, "key");
    if file.exists() {
        return Ok(());
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    files::write(&file, &sec1::pem(key.serialized_der())?, 0o600)
}

fn key_pair(pem: &str) -> Result<KeyPair> {
    let der = sec1::pkcs8(pem)?;
    KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), &PKCS_ECDSA_P256_SHA256)
        .context("reading a private key")
}

/// `2026-11-22 16:57:55 +0000 UTC`
fn go_time(moment: OffsetDateTime) -> String {
    let (date, time) = (moment.date(), moment.time());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{date} {hour:02}:{minute:02}:{second:02} +0000 UTC")
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
        assert_eq!(pair.chain.matches("BEGIN CERTIFICATE").count(), 2);
        let pem = leaf::first(&pair.chain).unwrap();
        let leaf = pem.parse_x509().unwrap();
        assert_eq!(leaf.subject().to_string(), "O=system:masters, CN=system:admin");
        let days = (leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp()) / 86400;
        assert_eq!(days, 365);
    }
}
