//! P-256 keys between their two formats: k3s writes `EC PRIVATE KEY` (SEC 1), the libraries read PKCS 8.

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const LABEL: &str = "EC PRIVATE KEY";
/// SEC 1: sequence, version 1, the private number's header.
const SEC1_HEAD: &[u8] = &[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
/// The curve by name, then the header of the public point.
const SEC1_CURVE: &[u8] = &[
    0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00,
];
/// PKCS 8: the algorithm and curve, then SEC 1 without the curve.
const PKCS8_HEAD: &[u8] = &[
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01,
    0x04, 0x20,
];
const PKCS8_POINT: &[u8] = &[0xa1, 0x44, 0x03, 0x42, 0x00];
const NUMBER: usize = 32;
const POINT: usize = 65;

/// PKCS 8 to a PEM file as k3s writes it.
pub fn pem(pkcs8: &[u8]) -> Result<String> {
    let (number, point) = parts(pkcs8, PKCS8_HEAD, PKCS8_POINT)?;
    let der = [SEC1_HEAD, number, SEC1_CURVE, point].concat();
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = (0..body.len())
        .step_by(64)
        .map(|at| &body[at..body.len().min(at + 64)])
        .collect();
    Ok(format!(
        "-----BEGIN {LABEL}-----\n{}\n-----END {LABEL}-----\n",
        lines.join("\n")
    ))
}

/// And back.
pub fn pkcs8(pem: &str) -> Result<Vec<u8>> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body.trim())?;
    if der.starts_with(PKCS8_HEAD) {
        return Ok(der);
    }
    let (number, point) = parts(&der, SEC1_HEAD, SEC1_CURVE)?;
    Ok([PKCS8_HEAD, number, PKCS8_POINT, point].concat())
}

fn parts<'a>(der: &'a [u8], head: &[u8], middle: &[u8]) -> Result<(&'a [u8], &'a [u8])> {
    let from = head.len();
    let point = from + NUMBER + middle.len();
    ensure!(
        der.starts_with(head) && der.len() == point + POINT,
        "reading a key: it is not a P-256 key"
    );
    Ok((&der[from..from + NUMBER], &der[point..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

    #[test]
    fn a_key_survives_the_way_there_and_back() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let text = pem(key.serialized_der()).unwrap();
        assert!(text.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
        assert_eq!(text.len(), 227, "as long as the recorded files");
        assert_eq!(pkcs8(&text).unwrap(), key.serialized_der());
    }
}
