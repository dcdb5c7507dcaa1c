//! What a leaf certificate says of itself: whose it is, what for, how long.

use anyhow::{Context, Result};
use std::net::IpAddr;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

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

    #[must_use]
    pub fn of_organization(mut self, organization: &str) -> Self {
        organization.clone_into(&mut self.organization);
        self
    }

    pub fn of(leaf: &X509Certificate<'_>) -> Self {
        let purposes = leaf.extended_key_usage().ok().flatten();
        Self {
            name: common_name(leaf),
            organization: first_text(leaf.subject().iter_organization()),
            hosts: hosts(leaf),
            server: purposes.as_ref().is_some_and(|usage| usage.value.server_auth),
            client: purposes.is_some_and(|usage| usage.value.client_auth),
        }
    }

    /// `CN=system:admin,O=system:masters`, as k3s's log has it.
    pub fn distinguished(&self) -> String {
        if self.organization.is_empty() {
            format!("CN={}", self.name)
        } else {
            format!("CN={},O={}", self.name, self.organization)
        }
    }
}

fn first_text<'a>(
    mut parts: impl Iterator<Item = &'a x509_parser::x509::AttributeTypeAndValue<'a>>,
) -> String {
    let first = parts.next().and_then(|part| part.as_str().ok());
    first.unwrap_or_default().to_owned()
}

pub fn common_name(certificate: &X509Certificate<'_>) -> String {
    first_text(certificate.subject().iter_common_name())
}

fn hosts(leaf: &X509Certificate<'_>) -> Vec<String> {
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

/// The first certificate of a file.
pub fn first(pem: &str) -> Result<Pem> {
    Pem::iter_from_buffer(pem.as_bytes())
        .next()
        .context("reading a certificate: the file is empty")?
        .map_err(Into::into)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validity {
    pub from: OffsetDateTime,
    pub until: OffsetDateTime,
}

impl Validity {
    pub fn of(certificate: &X509Certificate<'_>) -> Self {
        Self {
            from: certificate.validity().not_before.to_datetime(),
            until: certificate.validity().not_after.to_datetime(),
        }
    }

    /// A life of so many days that has been over for some (negative: has still so many before it).
    pub fn over_for(days: i64, life: i64) -> Self {
        let until = OffsetDateTime::now_utc() - Duration::days(days);
        Self {
            from: until - Duration::days(life),
            until,
        }
    }

    pub fn left(&self) -> Duration {
        self.until - OffsetDateTime::now_utc()
    }
}
