//! The certificates as a table for a person.

use crate::certificate_report::{self, CertificateReport, Kind};
use crate::summary::Merged;
use k3s_certs::Standing;

/// One line that says what it comes to, the table, and what there is to say besides. `folder` is where most files are.
pub(crate) fn table(merged: &Merged, folder: &str) -> String {
    let mut lines = rows(&merged.certificates, merged.faults.len(), folder);
    let faults = merged.faults.iter();
    lines.extend(faults.map(|fault| format!("unreadable: {}: {}", fault.file, fault.error)));
    lines.extend(merged.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn rows(certificates: &[CertificateReport], unreadable: usize, folder: &str) -> Vec<String> {
    let rows = certificate_report::distinct(certificates);
    let mut lines = vec![sum(&rows, unreadable)];
    if rows.is_empty() {
        return lines;
    }
    if rows
        .iter()
        .any(|certificate| short(&certificate.file, folder) != certificate.file)
    {
        lines.push(format!("Files that begin with no / are in {folder}."));
    }
    let header = ["NODE", "FILE", "SUBJECT", "KIND", "NOT AFTER", "LEFT", "STATE"].map(str::to_owned);
    let mut cells = vec![header.to_vec()];
    cells.extend(
        rows.iter()
            .map(|certificate| row(certificate, certificates, folder)),
    );
    if rows.iter().all(|certificate| certificate.host.is_none()) {
        for row in &mut cells {
            row.remove(0);
        }
    }
    lines.extend(aligned(&cells));
    lines
}

fn row(certificate: &CertificateReport, all: &[CertificateReport], folder: &str) -> Vec<String> {
    let others = all
        .iter()
        .filter(|other| (&other.host, &other.fingerprint) == (&certificate.host, &certificate.fingerprint));
    let others = others.count() - 1;
    let file = match &certificate.entry {
        Some(entry) => format!("{} {entry}", short(&certificate.file, folder)),
        None => short(&certificate.file, folder).to_owned(),
    };
    let file = if certificate.kind == Kind::Ca && others > 0 {
        format!("{file} (+{others})")
    } else {
        file
    };
    vec![
        certificate.host.clone().unwrap_or_default(),
        file,
        certificate.subject.clone(),
        match certificate.kind {
            Kind::Ca => "ca",
            Kind::Leaf => "leaf",
        }
        .to_owned(),
        certificate.not_after.clone(),
        format!("{} d", certificate.days_left),
        state(certificate),
    ]
}

fn state(certificate: &CertificateReport) -> String {
    let state = match certificate.state {
        Standing::Valid => "valid",
        Standing::ExpiresSoon => "EXPIRES SOON",
        Standing::NotYetValid => "NOT YET VALID",
        Standing::Expired => "EXPIRED",
    };
    match &certificate.ignored {
        Some(_) => format!("{} (ignored)", state.to_lowercase()),
        None => state.to_owned(),
    }
}

fn short<'a>(file: &'a str, folder: &str) -> &'a str {
    let rest = file.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or(file)
}

fn sum(rows: &[&CertificateReport], unreadable: usize) -> String {
    let count = |state: Standing| {
        let of = rows
            .iter()
            .filter(|certificate| certificate.counts() && certificate.state == state);
        of.count()
    };
    let parts = [
        (count(Standing::Expired), "expired"),
        (count(Standing::ExpiresSoon), "expiring soon"),
        (count(Standing::NotYetValid), "not yet valid"),
        (unreadable, "unreadable"),
        (
            rows.iter().filter(|certificate| !certificate.counts()).count(),
            "ignored",
        ),
    ];
    let mut words: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if words.is_empty() && !rows.is_empty() {
        words.push("all are valid".to_owned());
    }
    let count = match rows.len() {
        0 => "no certificate was found".to_owned(),
        1 => "1 certificate".to_owned(),
        count => format!("{count} certificates"),
    };
    let words = words.join(", ");
    if words.is_empty() {
        count
    } else {
        format!("{count}: {words}")
    }
}

/// Columns as wide as their widest cell; the last one ends its line.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| {
            let padding = width - cell.chars().count();
            format!("{cell}{}", " ".repeat(padding))
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
