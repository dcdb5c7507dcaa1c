//! Whether a private key is the one of a certificate. The key is looked at and forgotten.

use crate::{Certificate, pem};
use anyhow::{Context, Result, bail};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use x509_parser::asn1_rs::{Any, FromDer, Tag};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::prelude::SubjectPublicKeyInfo;

/// Whether the private key in `key` (PEM: SEC 1, PKCS #1 or PKCS #8) is the one of `certificate`. `from` is the key's
/// file or field, for errors; they never repeat any of it.
pub fn belongs(key: &[u8], from: &str, certificate: &Certificate) -> Result<bool> {
    let blocks = pem::blocks(key, from)?;
    let Some(block) = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) else {
        bail!(
            "{from}: it holds a {} where a private key is expected",
            blocks[0].label
        );
    };
    let parsed = certificate.parsed()?;
    let public = parsed.public_key();
    let known = match block.label.as_str() {
        "RSA PRIVATE KEY" => rsa(&block.contents, public),
        "EC PRIVATE KEY" => ec(&block.contents, public),
        "PRIVATE KEY" => pkcs8(&block.contents, public),
        _ => None,
    };
    known.with_context(|| {
        format!(
            "{from}: its {} is damaged, or of a kind that cannot be read here (RSA, EC P-256 and P-384 and Ed25519 can, unencrypted)",
            block.label
        )
    })
}

/// PKCS #1: the modulus and the exponent stand in both.
fn rsa(der: &[u8], public: &SubjectPublicKeyInfo) -> Option<bool> {
    let private = sequence(der)?;
    let (modulus, exponent) = (private.get(1)?, private.get(2)?);
    if public.algorithm.algorithm != OID_PKCS1_RSAENCRYPTION {
        return Some(false);
    }
    let public = sequence(&public.subject_public_key.data)?;
    Some(modulus.data == public.first()?.data && exponent.data == public.get(1)?.data)
}

/// SEC 1: the public key in it is optional, so that the one of the certificate is compared with the scalar.
fn ec(der: &[u8], public: &SubjectPublicKeyInfo) -> Option<bool> {
    let private = sequence(der)?;
    let scalar = private
        .get(1)
        .filter(|scalar| scalar.tag() == Tag::OctetString)?
        .data;
    if public.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        return Some(false);
    }
    let curve = public.algorithm.parameters.as_ref()?.as_oid().ok()?;
    let algorithm = if curve == OID_EC_P256 {
        &ECDSA_P256_SHA256_ASN1_SIGNING
    } else if curve == OID_NIST_EC_P384 {
        &ECDSA_P384_SHA384_ASN1_SIGNING
    } else {
        return None;
    };
    let pair = EcdsaKeyPair::from_private_key_and_public_key(
        algorithm,
        scalar,
        &public.subject_public_key.data,
        &SystemRandom::new(),
    );
    Some(pair.is_ok())
}

/// PKCS #8: says what kind of key it wraps.
fn pkcs8(der: &[u8], public: &SubjectPublicKeyInfo) -> Option<bool> {
    let outer = sequence(der)?;
    let kind = members(outer.get(1)?.data)?.first()?.clone().oid().ok()?;
    let inner = outer.get(2).filter(|inner| inner.tag() == Tag::OctetString)?.data;
    if kind == OID_PKCS1_RSAENCRYPTION {
        rsa(inner, public)
    } else if kind == OID_KEY_TYPE_EC_PUBLIC_KEY {
        ec(inner, public)
    } else if kind == OID_SIG_ED25519 {
        let (_, seed) = Any::from_der(inner).ok()?;
        let key = &public.subject_public_key.data;
        let same = public.algorithm.algorithm == OID_SIG_ED25519
            && Ed25519KeyPair::from_seed_and_public_key(seed.data, key).is_ok();
        Some(same)
    } else {
        None
    }
}

/// The members of the sequence that `der` is, and nothing beside it.
fn sequence(der: &[u8]) -> Option<Vec<Any<'_>>> {
    let (rest, value) = Any::from_der(der).ok()?;
    (rest.is_empty() && value.tag() == Tag::Sequence).then(|| members(value.data))?
}

fn members(mut content: &[u8]) -> Option<Vec<Any<'_>>> {
    let mut members = Vec::new();
    while !content.is_empty() {
        let (rest, member) = Any::from_der(content).ok()?;
        members.push(member);
        content = rest;
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Authority, Kind, Leaf, openssl};

    fn asked(key: &str, certificate: &str) -> Result<bool> {
        let certificates = crate::certificates(certificate.as_bytes(), "x.crt").unwrap();
        belongs(key.as_bytes(), "x.key", &certificates[0])
    }

    fn refused(key: &str) -> String {
        let leaf = Authority::new("ca").sign(&Leaf::new("x"));
        format!("{:#}", asked(key, &leaf.pem).unwrap_err())
    }

    #[test]
    fn distinguishes_keys_of_every_kind_from_other_keys() {
        let authority = Authority::new("ca");
        for kind in [Kind::P256, Kind::P384, Kind::Ed25519] {
            let (one, other) = (
                authority.sign(&Leaf::new("x").of(kind)),
                authority.sign(&Leaf::new("x").of(kind)),
            );
            assert!(asked(&one.key_pem, &one.pem).unwrap(), "{kind:?}");
            assert!(!asked(&one.key_pem, &other.pem).unwrap(), "{kind:?}");
        }
        let (small, large) = (
            authority.sign(&Leaf::new("x")),
            authority.sign(&Leaf::new("x").of(Kind::P384)),
        );
        let edwards = authority.sign(&Leaf::new("x").of(Kind::Ed25519));
        for (key, certificate) in [
            (&small, &large),
            (&large, &small),
            (&edwards, &small),
            (&small, &edwards),
        ] {
            assert!(!asked(&key.key_pem, &certificate.pem).unwrap());
        }
    }

    #[test]
    fn the_form_that_k3s_writes_is_read() {
        let leaf = Authority::new("ca").sign(&Leaf::new("x"));
        let sec1 = openssl(&["ec"], &leaf.key_pem);
        assert!(sec1.contains("BEGIN EC PRIVATE KEY"));
        assert!(asked(&sec1, &leaf.pem).unwrap());
        // The public key in it is optional.
        let bare = openssl(&["ec", "-no_public"], &leaf.key_pem);
        assert!(bare.len() < sec1.len() && asked(&bare, &leaf.pem).unwrap());
        let with_parameters = format!("{}{sec1}", openssl(&["ecparam", "-name", "prime256v1"], ""));
        assert!(asked(&with_parameters, &leaf.pem).unwrap());
    }

    #[test]
    fn rsa_keys_are_read_in_both_forms() {
        let key = openssl(&["genrsa", "2048"], "");
        let certificate = openssl(&["req", "-x509", "-key", "/dev/stdin", "-subj", "/CN=rsa"], &key);
        let (pkcs1, pkcs8) = (
            openssl(&["rsa", "-traditional"], &key),
            openssl(&["pkcs8", "-topk8", "-nocrypt"], &key),
        );
        assert!(pkcs1.contains("BEGIN RSA PRIVATE KEY") && pkcs8.contains("BEGIN PRIVATE KEY"));
        let other = openssl(&["genrsa", "2048"], "");
        let curve = Authority::new("ca").sign(&Leaf::new("x"));
        for key in [&pkcs1, &pkcs8] {
            assert!(asked(key, &certificate).unwrap());
            assert!(!asked(key, &curve.pem).unwrap());
        }
        assert!(!asked(&other, &certificate).unwrap());
        assert!(!asked(&curve.key_pem, &certificate).unwrap());
    }

    #[test]
    fn reports_an_invalid_key_without_repeating_it() {
        let leaf = Authority::new("ca").sign(&Leaf::new("x"));
        let encrypted = openssl(&["pkcs8", "-topk8", "-passout", "pass:x"], &leaf.key_pem);
        let odd = "-----BEGIN EC PRIVATE KEY-----\nMAMCAQE=\n-----END EC PRIVATE KEY-----\n";
        let large = openssl(&["ecparam", "-name", "secp521r1", "-genkey", "-noout"], "");
        for (key, expected) in [
            ("", "x.key: it is empty"),
            (
                leaf.pem.as_str(),
                "x.key: it holds a CERTIFICATE where a private key is expected",
            ),
            (odd, "x.key: its EC PRIVATE KEY is damaged, or of a kind"),
            (
                encrypted.as_str(),
                "x.key: its ENCRYPTED PRIVATE KEY is damaged, or of a kind",
            ),
        ] {
            let error = refused(key);
            assert!(error.starts_with(expected), "{error:?} is not {expected:?}");
            assert!(!error.contains("MI"), "{error}");
        }
        let own = openssl(&["req", "-x509", "-key", "/dev/stdin", "-subj", "/CN=x"], &large);
        assert!(
            asked(&large, &own)
                .unwrap_err()
                .to_string()
                .contains("of a kind that cannot be read here")
        );
    }
}
