//! `k3s certificate check`: a line or a row for each certificate, its authority's included. It ends with 0 whatever
//! it finds.

use super::Options;
use super::columns::{columns, residue, short_date};
use crate::log;
use crate::pki::RENEWAL_DAYS;
use crate::pki::leaf::{Subject, Validity, common_name, issuer_name};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::PathBuf;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;

struct Found {
    file: PathBuf,
    name: String,
    issuer: String,
    usages: Vec<&'static str>,
    validity: Validity,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Good,
    Warning,
    Expired,
    NotYetValid,
}

impl Found {
    fn new(file: PathBuf, certificate: &X509Certificate<'_>) -> Self {
        let subject = Subject::of(certificate);
        let signs = certificate
            .key_usage()
            .ok()
            .flatten()
            .is_some_and(|usage| usage.value.key_cert_sign());
        let usages = [
            (signs, "CertSign"),
            (subject.server, "ServerAuth"),
            (subject.client, "ClientAuth"),
        ];
        Self {
            file,
            name: common_name(certificate),
            issuer: issuer_name(certificate),
            usages: usages
                .into_iter()
                .filter_map(|(is, word)| is.then_some(word))
                .collect(),
            validity: Validity::of(certificate),
        }
    }

    fn status(&self) -> Status {
        if OffsetDateTime::now_utc() < self.validity.from {
            Status::NotYetValid
        } else if self.validity.left() < Duration::ZERO {
            Status::Expired
        } else if self.validity.left() < Duration::days(RENEWAL_DAYS) {
            Status::Warning
        } else {
            Status::Good
        }
    }

    /// The moment that is told: the end, or the beginning of what has not begun.
    fn moment(&self) -> OffsetDateTime {
        if self.status() == Status::NotYetValid {
            self.validity.from
        } else {
            self.validity.until
        }
    }

    fn base_name(&self) -> String {
        let name = self.file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "OK",
            Self::Warning => "WARNING",
            Self::Expired => "EXPIRED",
            Self::NotYetValid => "NOT YET VALID",
        }
    }
}

pub(super) fn run(options: &Options) -> Result<()> {
    if options.services.is_empty() {
        log::info(if options.is_server() {
            "Server detected, checking agent and server certificates"
        } else {
            "Agent detected, checking agent certificates"
        });
    }
    match options.output.as_str() {
        "text" => all(options)?.iter().for_each(tell),
        "table" => println!("{}", table(&all(options)?).trim_end_matches('\n')),
        "json" => println!("{}", json!({"Certificates": rows(&all(options)?)})),
        "yaml" => print!("{}", yaml(&all(options)?)?),
        other => bail!("invalid output format {other}"),
    }
    Ok(())
}

fn all(options: &Options) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for service in options.chosen() {
        for stem in service.stems {
            found.extend(in_file(options.data_dir.join(format!("{stem}.crt")))?);
        }
    }
    Ok(found)
}

/// Nothing for a file that is not there.
fn in_file(file: PathBuf) -> Result<Vec<Found>> {
    let Ok(text) = std::fs::read(&file) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for pem in Pem::iter_from_buffer(&text) {
        let pem = pem.with_context(|| format!("reading {}", file.display()))?;
        let certificate = pem
            .parse_x509()
            .with_context(|| format!("reading {}", file.display()))?;
        found.push(Found::new(file.clone(), &certificate));
    }
    Ok(found)
}

fn tell(found: &Found) {
    let moment = rfc3339(found.moment());
    let what = format!(
        "{}: certificate {} ({})",
        found.base_name(),
        found.name,
        found.usages.join(",")
    );
    match found.status() {
        Status::Good => log::info(&format!("{what} is ok, expires at {moment}")),
        Status::Warning => log::warn(&format!(
            "{what} will expire within {RENEWAL_DAYS} days at {moment}"
        )),
        Status::Expired => log::error(&format!("{what} expired at {moment}")),
        Status::NotYetValid => log::error(&format!("{what} is not valid before {moment}")),
    }
}

fn rfc3339(moment: OffsetDateTime) -> String {
    crate::clock::at_unix(moment.unix_timestamp())
}

fn table(found: &[Found]) -> String {
    let titles = [
        "FILENAME",
        "SUBJECT",
        "USAGES",
        "EXPIRES",
        "RESIDUAL TIME",
        "STATUS",
    ];
    let mut rows = vec![
        titles.map(str::to_owned).to_vec(),
        titles.map(|title| "-".repeat(title.len())).to_vec(),
    ];
    rows.extend(found.iter().map(|one| {
        vec![
            one.base_name(),
            one.name.clone(),
            one.usages.join(","),
            short_date(one.moment()),
            residue(one.validity.left()),
            one.status().word().to_owned(),
        ]
    }));
    format!("\n{}", columns(&rows))
}

fn rows(found: &[Found]) -> Vec<Value> {
    let row = |one: &Found| {
        let left = one.validity.left().whole_nanoseconds();
        json!({
            "Filename": one.base_name(), "Subject": one.name, "Issuer": one.issuer, "Usages": one.usages,
            "ExpiryTime": rfc3339(one.moment()), "ResidualTime": i64::try_from(left).unwrap_or(i64::MAX),
            "Status": one.status().word(),
        })
    };
    found.iter().map(row).collect()
}

/// The same with names in small letters and a duration in words.
fn yaml(found: &[Found]) -> Result<String> {
    let row = |(value, one): (Value, &Found)| {
        let fields = value.as_object().cloned().unwrap_or_default();
        let mut small: serde_json::Map<String, Value> = fields
            .into_iter()
            .map(|(key, value)| (key.to_lowercase(), value))
            .collect();
        let seconds = one.validity.left().whole_seconds();
        let words = format!(
            "{}h{}m{}s",
            seconds / 3600,
            (seconds / 60 % 60).abs(),
            (seconds % 60).abs()
        );
        small.insert("residualtime".to_owned(), json!(words));
        Value::Object(small)
    };
    let rows: Vec<Value> = rows(found).into_iter().zip(found).map(row).collect();
    serde_yaml_ng::to_string(&json!({"certificates": rows})).context("writing the certificates as YAML")
}
