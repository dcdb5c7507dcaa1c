//! From bytes to certificates. Stricter than TLS libraries are: what they would skip in silence is reported here, since a
//! certificate that nobody reads is one that nobody renews.

use crate::Certificate;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Cursor;
use x509_parser::error::PEMError;
use x509_parser::pem::Pem;

/// The largest bundle of authorities in use has a quarter of this.
const LIMIT: usize = 1 << 20;

/// The certificates in a PEM file, in their order: a leaf comes before what signed it. `from` is the file or the
/// field, for errors. Text before a certificate is a comment; keys beside certificates are passed over.
pub fn certificates(bytes: &[u8], from: &str) -> Result<Vec<Certificate>> {
    let blocks = blocks(bytes, from)?;
    let wanted: Vec<&Pem> = blocks.iter().filter(|block| is_certificate(block)).collect();
    if wanted.is_empty() {
        let label = &blocks[0].label;
        if blocks.iter().any(|block| block.label.ends_with("PRIVATE KEY")) {
            bail!("{from}: it holds a private key where a certificate is expected");
        }
        bail!("{from}: it holds a {label} where a certificate is expected");
    }
    let read = |(index, block): (usize, &&Pem)| {
        Certificate::from_der(&block.contents)
            .with_context(|| format!("{from}: certificate {} of {}", index + 1, wanted.len()))
    };
    wanted.iter().enumerate().map(read).collect()
}

fn is_certificate(block: &Pem) -> bool {
    matches!(
        block.label.as_str(),
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE"
    )
}

/// The bytes in a field of a kubeconfig such as `client-certificate-data`. Line breaks in it do not matter.
pub fn base64(text: &str, from: &str) -> Result<Vec<u8>> {
    ensure!(
        text.len() <= 2 * LIMIT,
        "{from}: {} bytes are too many for it",
        text.len()
    );
    let text: String = text.split_whitespace().collect();
    ensure!(!text.is_empty(), "{from}: it is empty");
    // The decoder's own words would repeat a byte of what may be a key.
    let decoded = STANDARD.decode(text);
    decoded.ok().with_context(|| format!("{from}: it is not base64"))
}

/// All blocks of a PEM file; at least one.
pub(crate) fn blocks(bytes: &[u8], from: &str) -> Result<Vec<Pem>> {
    ensure!(
        bytes.len() <= LIMIT,
        "{from}: {} bytes are too many for PEM: at most {LIMIT} are read",
        bytes.len()
    );
    ensure!(!bytes.trim_ascii().is_empty(), "{from}: it is empty");
    let mut blocks: Vec<Pem> = Vec::new();
    let mut rest = bytes;
    loop {
        let number = blocks.len() + 1;
        match Pem::read(Cursor::new(rest)) {
            Ok((block, read)) => {
                let (text, after) = rest.split_at(read);
                let end = format!("-----END {}-----", block.label);
                ensure!(
                    text.trim_ascii_end().ends_with(format!("\n{end}").as_bytes()),
                    "{from}: block {number} does not end with the line {end}"
                );
                blocks.push(block);
                rest = after;
            }
            Err(PEMError::MissingHeader) => break,
            Err(PEMError::IncompletePEM) => {
                bail!("{from}: block {number} is truncated: its END line is missing")
            }
            Err(PEMError::Base64DecodeError) => {
                bail!("{from}: block {number} is not base64 between its lines")
            }
            Err(_) => {
                bail!("{from}: block {number} has a BEGIN line that is none, or bytes that are not text")
            }
        }
    }
    ensure!(
        !blocks.is_empty(),
        "{from}: it is not PEM: there is no BEGIN line in it"
    );
    let left = rest.trim_ascii().len();
    ensure!(left == 0, "{from}: {left} bytes after its last block are not PEM");
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Authority, Leaf};

    fn leaf() -> String {
        Authority::new("k3s-client-ca@1")
            .sign(&Leaf::new("system:admin"))
            .pem
    }

    fn refused(bytes: impl AsRef<[u8]>) -> String {
        format!("{:#}", certificates(bytes.as_ref(), "a.crt").unwrap_err())
    }

    #[test]
    fn chains_are_read_in_their_order() {
        let authority = Authority::new("k3s-client-ca@1");
        let chain = authority.sign(&Leaf::new("system:admin")).pem + &authority.pem;
        let subjects: Vec<String> = certificates(chain.as_bytes(), "x")
            .unwrap()
            .into_iter()
            .map(|certificate| certificate.subject)
            .collect();
        assert_eq!(subjects, ["CN=system:admin", "CN=k3s-client-ca@1"]);
    }

    #[test]
    fn comments_line_ends_and_blank_lines_do_not_matter() {
        let commented = format!("subject=CN = x\n{}\n\nissuer=y\n{}\n\n", leaf(), leaf());
        assert_eq!(certificates(commented.as_bytes(), "x").unwrap().len(), 2);
        let windows = leaf().replace('\n', "\r\n");
        assert_eq!(certificates(windows.as_bytes(), "x").unwrap().len(), 1);
        let unended = leaf().trim_end().to_owned();
        assert_eq!(certificates(unended.as_bytes(), "x").unwrap().len(), 1);
    }

    #[test]
    fn a_key_beside_its_certificate_is_passed_over() {
        let signed = Authority::new("ca").sign(&Leaf::new("x"));
        let both = format!("{}{}", signed.key_pem, signed.pem);
        assert_eq!(certificates(both.as_bytes(), "x").unwrap().len(), 1);
    }

    #[test]
    fn reports_every_fault_with_its_location() {
        let pem = leaf();
        let key = Authority::new("ca").key_pem;
        let middle = pem.len() / 2;
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let glued = format!("{}{}", pem.trim_end(), leaf());
        let cases: [(String, &str); 11] = [
            (String::new(), "a.crt: it is empty"),
            (" \n\n".to_owned(), "a.crt: it is empty"),
            ("server: https://127.0.0.1".to_owned(), "a.crt: it is not PEM"),
            (pem[..middle].to_owned(), "a.crt: block 1 is truncated"),
            (format!("{pem}{}", &pem[..middle]), "a.crt: block 2 is truncated"),
            (pem.replace('M', "?"), "a.crt: block 1 is not base64"),
            (
                format!("{pem}garbage"),
                "a.crt: 7 bytes after its last block are not PEM",
            ),
            (
                key.clone(),
                "a.crt: it holds a private key where a certificate is expected",
            ),
            (
                key.replace("PRIVATE", "PUBLIC"),
                "a.crt: it holds a PUBLIC KEY where a certificate",
            ),
            (
                no_certificate.to_owned(),
                "a.crt: certificate 1 of 1: it is not an X.509 certificate",
            ),
            (
                glued,
                "a.crt: block 1 does not end with the line -----END CERTIFICATE-----",
            ),
        ];
        for (text, expected) in cases {
            let error = refused(&text);
            assert!(error.starts_with(expected), "{error:?} is not {expected:?}");
            assert!(!error.contains("MII"), "{error} repeats what it read");
        }
        assert!(refused([0xff, 0xfe, b'\n']).contains("not PEM"));
        assert!(refused(vec![b'a'; LIMIT + 1]).contains("too many"));
    }

    #[test]
    fn fields_are_base64_over_one_or_more_lines() {
        assert_eq!(base64("TUlJ\n  QQ==\n", "x").unwrap(), b"MIIA");
        assert_eq!(
            base64("%%%", "users[a].user.client-certificate-data")
                .unwrap_err()
                .to_string(),
            "users[a].user.client-certificate-data: it is not base64"
        );
        assert!(base64(" ", "x").unwrap_err().to_string().contains("empty"));
        assert!(base64(&"A".repeat(2 * LIMIT + 4), "x").is_err());
    }
}
