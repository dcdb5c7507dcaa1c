//! Who signed whom, really: by name and by signature.

use crate::Certificate;
use anyhow::{Context, Result, anyhow, bail};

/// No k3s chain is longer than three. What comes from elsewhere must not keep us busy.
const LONGEST: usize = 32;

impl Certificate {
    /// Whether `issuer` signed this certificate. The error is the reason why not.
    pub fn signed_by(&self, issuer: &Certificate) -> Result<()> {
        let (own, other) = (self.parsed()?, issuer.parsed()?);
        if own.issuer().as_raw() != other.subject().as_raw() {
            bail!(
                "{} was issued by {}, not by {}",
                self.subject,
                self.issuer,
                issuer.subject
            );
        }
        if !issuer.is_ca {
            bail!("{} is not an authority and may sign nothing", issuer.subject);
        }
        own.verify_signature(Some(other.public_key())).map_err(|error| {
            let reason = match error {
                x509_parser::error::X509Error::SignatureUnsupportedAlgorithm => {
                    "its signature is of a kind that cannot be checked here"
                }
                _ => {
                    "its signature is not by that authority's key: another authority of the same name made it"
                }
            };
            anyhow!(
                "{} names {} as its issuer, but {reason}",
                self.subject,
                issuer.subject
            )
        })
    }
}

/// Whether the first certificate of `chain` leads to one of `authorities`, by way of the others in `chain` where
/// needed. Times are not looked at.
pub fn chains_to(chain: &[Certificate], authorities: &[Certificate]) -> Result<()> {
    let leaf = chain.first().context("there is no certificate")?;
    if authorities.is_empty() {
        bail!("there is no authority that {} could lead to", leaf.subject);
    }
    if chain.len() > LONGEST {
        bail!(
            "the chain of {} has {} certificates: at most {LONGEST} are checked",
            leaf.subject,
            chain.len()
        );
    }
    let mut reached = vec![leaf];
    let mut reason = None;
    let mut next = 0;
    while let Some(certificate) = reached.get(next).copied() {
        match ends(certificate, authorities) {
            Ok(()) => return Ok(()),
            // What is nearest to the leaf says most.
            Err(error) => reason = reason.or(error),
        }
        for other in chain {
            if !reached.contains(&other) && certificate.signed_by(other).is_ok() {
                reached.push(other);
            }
        }
        next += 1;
    }
    let last = reached[reached.len() - 1];
    Err(reason.unwrap_or_else(|| {
        let known: Vec<&str> = authorities.iter().map(|known| known.subject.as_str()).collect();
        anyhow!(
            "{} was issued by {}, which is not among the authorities: {}",
            last.subject,
            last.issuer,
            known.join("; ")
        )
    }))
}

/// Whether an authority is or has signed this certificate. The error says why one that has the right name did not.
fn ends(certificate: &Certificate, authorities: &[Certificate]) -> Result<(), Option<anyhow::Error>> {
    let mut reason = None;
    for authority in authorities {
        if authority == certificate {
            return Ok(());
        }
        match certificate.signed_by(authority) {
            Ok(()) => return Ok(()),
            Err(error) if certificate.issuer == authority.subject => reason = Some(error),
            Err(_) => {}
        }
    }
    Err(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Authority, Kind, Leaf, openssl};

    fn read(pem: &str) -> Vec<Certificate> {
        crate::certificates(pem.as_bytes(), "x.crt").unwrap()
    }

    fn refused(chain: &str, authorities: &str) -> String {
        chains_to(&read(chain), &read(authorities))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_leaf_leads_to_the_one_that_signed_it() {
        for kind in [Kind::P256, Kind::P384, Kind::Ed25519] {
            let authority = Authority::like(&Leaf::new("ca").of(kind));
            let leaf = authority.sign(&Leaf::new("x"));
            chains_to(&read(&leaf.pem), &read(&authority.pem)).unwrap();
            // k3s puts the authority behind the leaf; that changes nothing.
            let both = leaf.pem + &authority.pem;
            chains_to(&read(&both), &read(&authority.pem)).unwrap();
        }
    }

    #[test]
    fn rsa_authorities_are_checked_too() {
        let key = openssl(&["genrsa", "2048"], "");
        let self_signed =
            |subject: &str| openssl(&["req", "-x509", "-key", "/dev/stdin", "-subj", subject], &key);
        let (authority, other) = (self_signed("/CN=rsa-ca"), self_signed("/CN=other"));
        chains_to(&read(&authority), &read(&authority)).unwrap();
        read(&authority)[0].signed_by(&read(&authority)[0]).unwrap();
        assert!(refused(&other, &authority).contains("not among the authorities"));
    }

    #[test]
    fn finds_a_chain_over_intermediate_authorities() {
        let root = Authority::new("root");
        let middle = root.below(&Leaf::new("middle"));
        let low = middle.below(&Leaf::new("low"));
        let leaf = low.sign(&Leaf::new("x"));
        let chain = format!("{}{}{}", leaf.pem, middle.pem, low.pem);
        chains_to(&read(&chain), &read(&root.pem)).unwrap();
        chains_to(&read(&chain), &read(&(Authority::new("other").pem + &root.pem))).unwrap();
        let gap = format!("{}{}", leaf.pem, middle.pem);
        assert!(
            refused(&gap, &root.pem)
                .contains("CN=x was issued by CN=low, which is not among the authorities")
        );
    }

    #[test]
    fn recognizes_another_authority_by_its_name_or_signature() {
        let (old, new) = (
            Authority::new("k3s-client-ca@1"),
            Authority::new("k3s-client-ca@2"),
        );
        let leaf = old.sign(&Leaf::new("x"));
        assert_eq!(
            refused(&leaf.pem, &new.pem),
            "CN=x was issued by CN=k3s-client-ca@1, which is not among the authorities: CN=k3s-client-ca@2"
        );
        let same_name = Authority::new("k3s-client-ca@1");
        assert!(refused(&leaf.pem, &same_name.pem).contains("another authority of the same name"));
        chains_to(&read(&leaf.pem), &read(&(same_name.pem + &old.pem))).unwrap();
    }

    #[test]
    fn a_leaf_signs_nothing() {
        let authority = Authority::new("ca");
        let leaf = authority.sign(&Leaf::new("leaf"));
        let (parent, child) = (read(&leaf.pem), read(&authority.pem));
        assert!(child[0].signed_by(&parent[0]).is_err());
        let below = Authority::like(&Leaf::new("leaf")).sign(&Leaf::new("x"));
        assert!(refused(&below.pem, &leaf.pem).contains("is not an authority and may sign nothing"));
    }

    #[test]
    fn nothing_leads_nowhere_and_much_is_not_looked_at() {
        assert!(
            chains_to(&[], &[])
                .unwrap_err()
                .to_string()
                .contains("no certificate")
        );
        let authority = Authority::new("ca");
        let leaf = authority.sign(&Leaf::new("x")).pem;
        let nobody = chains_to(&read(&leaf), &[]).unwrap_err();
        assert!(nobody.to_string().contains("no authority"));
        // Several of one name and key: each is tried, none twice.
        let same = authority.pem.repeat(31);
        assert!(refused(&(leaf.clone() + &same), &Authority::new("b").pem).contains("issued by CN=ca"));
        assert!(refused(&(leaf + &authority.pem.repeat(32)), &authority.pem).contains("33 certificates"));
    }
}
