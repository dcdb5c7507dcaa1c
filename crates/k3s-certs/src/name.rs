//! Distinguished names as RFC 2253 writes them, which is how k3s and `kubectl` show them: `CN=system:admin,O=system:masters`.

use std::fmt::Write as _;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

pub(crate) fn text(name: &X509Name) -> String {
    // The most specific part, which is the last in a certificate, comes first.
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue) -> String {
    let known = oid2abbrev(attribute.attr_type(), oid_registry());
    match (known, attribute.as_str()) {
        (Ok(kind), Ok(value)) => format!("{kind}={}", escaped(value)),
        (kind, _) => {
            let kind = kind.map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
            let bytes = attribute.as_slice().iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            format!("{kind}=#{bytes}")
        }
    }
}

/// A name comes from whoever made the certificate: neither a comma nor a line break in it may pass for another part.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (index, c) in value.chars().enumerate() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => text.extend(['\\', c]),
            ' ' if index == 0 || index == last => text.push_str("\\ "),
            '#' if index == 0 => text.push_str("\\#"),
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_passes_for_another_part() {
        for (value, shown) in [
            ("system:admin", "system:admin"),
            ("a,O=system:masters", "a\\,O=system:masters"),
            ("two\nlines", "two\\0Alines"),
            (" é #", "\\ é #"),
            ("#1 ", "\\#1\\ "),
            ("", ""),
        ] {
            assert_eq!(escaped(value), shown);
        }
    }
}
