//! One certificate, and how it stands at a time.

use crate::name;
use anyhow::{Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

const DAY: i64 = 24 * 60 * 60;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// `CN=system:admin,O=system:masters`
    pub subject: String,
    pub issuer: String,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
    /// SHA-256 of the certificate, in small hexadecimal digits.
    pub fingerprint: String,
    pub dns_names: Vec<String>,
    pub ip_addresses: Vec<IpAddr>,
    /// Whether it may sign others.
    pub is_ca: bool,
    der: Vec<u8>,
}

/// How a certificate stands at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Valid,
    /// Valid, but for no longer than the window that was asked about.
    ExpiresSoon,
    NotYetValid,
    Expired,
}

impl Certificate {
    pub fn from_der(der: &[u8]) -> Result<Self> {
        let parsed = parse(der)?;
        let (mut dns_names, mut ip_addresses) = (Vec::new(), Vec::new());
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| anyhow!("its alternative names cannot be read: {error}"))?;
        for general in names.iter().flat_map(|names| &names.value.general_names) {
            match general {
                GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => ip_addresses.extend(address(bytes)),
                _ => {}
            }
        }
        Ok(Self {
            subject: name::text(parsed.subject()),
            issuer: name::text(parsed.issuer()),
            not_before: moment(parsed.validity().not_before),
            not_after: moment(parsed.validity().not_after),
            fingerprint: hex(&Sha256::digest(der)),
            dns_names,
            ip_addresses,
            is_ca: parsed.is_ca(),
            der: der.to_vec(),
        })
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// `2026-06-09T10:17:00Z`
    pub fn not_before_rfc3339(&self) -> String {
        rfc3339(self.not_before)
    }

    pub fn not_after_rfc3339(&self) -> String {
        rfc3339(self.not_after)
    }

    /// How it stands at `now`, where it ought to be renewed within `window` of its end.
    pub fn standing(&self, now: SystemTime, window: Duration) -> Standing {
        // X.509 counts both ends in, to the second.
        if seconds(now) > seconds(self.not_after) {
            Standing::Expired
        } else if seconds(now) < seconds(self.not_before) {
            Standing::NotYetValid
        } else if seconds(self.not_after) - seconds(now)
            <= i64::try_from(window.as_secs()).unwrap_or(i64::MAX)
        {
            Standing::ExpiresSoon
        } else {
            Standing::Valid
        }
    }

    /// Full days until its end; negative once that is past.
    pub fn days_left(&self, now: SystemTime) -> i64 {
        (seconds(self.not_after) - seconds(now)).div_euclid(DAY)
    }

    pub(crate) fn parsed(&self) -> Result<X509Certificate<'_>> {
        parse(&self.der)
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>> {
    let (rest, parsed) =
        parse_x509_certificate(der).map_err(|_| anyhow!("it is not an X.509 certificate"))?;
    ensure!(rest.is_empty(), "{} bytes follow the certificate", rest.len());
    Ok(parsed)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn moment(time: ASN1Time) -> SystemTime {
    SystemTime::from(time.to_datetime())
}

/// Seconds since 1970; negative before.
fn seconds(time: SystemTime) -> i64 {
    OffsetDateTime::from(time).unix_timestamp()
}

/// A time to the second, as in `2026-06-09T10:17:00Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let seconds_only = OffsetDateTime::from_unix_timestamp(seconds(time));
    seconds_only
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        // Only years that no certificate can hold have no such form.
        .unwrap_or_default()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Authority, Kind, Leaf, NOW, openssl};

    const WINDOW: Duration = Duration::from_hours(30 * 24);

    fn read(pem: &str) -> Certificate {
        crate::certificates(pem.as_bytes(), "x.crt").unwrap().remove(0)
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + NOW
    }

    #[test]
    fn all_that_is_shown_is_read() {
        let authority = Authority::new("k3s-server-ca@1");
        let leaf = Leaf::new("system:admin")
            .organization("system:masters")
            .days(-3, 362)
            .reached_at(&["kubernetes", "n1"], &["10.43.0.1", "fd00::1"]);
        let leaf = read(&authority.sign(&leaf).pem);
        assert_eq!(leaf.subject, "CN=system:admin,O=system:masters");
        assert_eq!(leaf.issuer, "CN=k3s-server-ca@1");
        assert_eq!(leaf.dns_names, ["kubernetes", "n1"]);
        let addresses: Vec<String> = leaf.ip_addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.43.0.1", "fd00::1"]);
        assert_eq!(leaf.not_before_rfc3339(), "2025-12-29T00:00:00Z");
        assert_eq!(leaf.not_after_rfc3339(), "2026-12-29T00:00:00Z");
        assert!(!leaf.is_ca && read(&authority.pem).is_ca);
    }

    #[test]
    fn fingerprints_are_those_that_openssl_prints() {
        let pem = Authority::new("ca").pem;
        let printed = openssl(&["x509", "-noout", "-fingerprint", "-sha256"], &pem);
        let printed = printed
            .trim()
            .rsplit('=')
            .next()
            .unwrap()
            .replace(':', "")
            .to_lowercase();
        assert_eq!(read(&pem).fingerprint, printed);
    }

    #[test]
    fn other_keys_are_read_alike() {
        let authority = Authority::like(&Leaf::new("ca").of(Kind::P384));
        assert_eq!(read(&authority.pem).subject, "CN=ca");
        let key = openssl(&["genrsa", "2048"], "");
        let rsa = openssl(
            &["req", "-x509", "-key", "/dev/stdin", "-subj", "/O=a,b/CN=rsa"],
            &key,
        );
        assert_eq!(read(&rsa).subject, "CN=rsa,O=a\\,b");
    }

    #[test]
    fn it_stands_as_the_time_is() {
        let authority = Authority::new("ca");
        let cases = [
            ((-365, -1), Standing::Expired, -1),
            ((-1, 0), Standing::ExpiresSoon, 0),
            ((-1, 30), Standing::ExpiresSoon, 30),
            ((-1, 31), Standing::Valid, 31),
            // That of the API server for its own loopback (`temporary-certs`) is made for a hundred years.
            ((-1, 36_500), Standing::Valid, 36_500),
            ((1, 365), Standing::NotYetValid, 365),
            ((1, 10), Standing::NotYetValid, 10),
        ];
        for ((from, until), standing, left) in cases {
            let leaf = read(&authority.sign(&Leaf::new("x").days(from, until)).pem);
            assert_eq!(leaf.standing(now(), WINDOW), standing, "{from} {until}");
            assert_eq!(leaf.days_left(now()), left, "{from} {until}");
        }
        let leaf = read(&authority.sign(&Leaf::new("x").days(-1, 1)).pem);
        let day = Duration::from_hours(24);
        assert_eq!(leaf.standing(now() + day, Duration::ZERO), Standing::ExpiresSoon);
        let after = now() + day + Duration::from_secs(1);
        assert_eq!(leaf.standing(after, Duration::ZERO), Standing::Expired);
        assert_eq!(leaf.days_left(after), -1);
        assert_eq!(leaf.days_left(now() + Duration::from_secs(1)), 0);
        assert_eq!(leaf.standing(now(), Duration::MAX), Standing::ExpiresSoon);
    }

    #[test]
    fn refuses_a_damaged_certificate() {
        let pem = Authority::new("ca").pem;
        let mut longer = read(&pem).der().to_vec();
        longer.extend([5, 0]);
        assert!(
            Certificate::from_der(&longer)
                .unwrap_err()
                .to_string()
                .contains("2 bytes follow")
        );
        assert!(Certificate::from_der(&longer[..40]).is_err());
        assert!(Certificate::from_der(b"").is_err());
    }
}
