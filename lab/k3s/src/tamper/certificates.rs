//! Certificates whose time is over, signed by the cluster's own authorities, as after a year without a restart.

use super::{kept, kubeconfig};
use crate::files;
use crate::pki::leaf::{Subject, Validity, first};
use crate::pki::services::{LISTENER, SERVICES, Service, authority};
use crate::pki::{Authority, LEAF_DAYS, Pair, listener, with};
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::Path;

/// `bundle` holds the authorities where this node has none: an agent.
pub(super) fn expire(data_dir: &Path, days: i64, what: &str, bundle: &str) -> Result<()> {
    let services = chosen(what)?;
    let bundle = serde_json::from_str(bundle).unwrap_or(Value::Null);
    let validity = Validity::over_for(days, LEAF_DAYS);
    let mut done = Vec::new();
    for service in services {
        for stem in service.stems {
            let path = data_dir.join(stem);
            if !with(&path, "crt").exists() {
                continue;
            }
            let signer = signer(data_dir, authority(stem), &bundle)?;
            let pair = again(&signer, &Pair::read(&path)?, validity)
                .with_context(|| format!("signing {} anew", path.display()))?;
            kept::write(&with(&path, "crt"), &pair.chain)?;
            done.push(with(&path, "crt"));
            if service.name == "admin" {
                done.push(kubeconfig::carry(&pair)?);
            }
        }
        let tls = data_dir.join("server/tls");
        if service.name == LISTENER && listener::file(&tls).exists() {
            let signer = signer(data_dir, "server-ca", &bundle)?;
            let pair = again(&signer, &listener::read(&tls)?, validity)?;
            kept::write(&listener::file(&tls), &with_chain(&tls, &pair)?)?;
            done.push(listener::file(&tls));
        }
    }
    ensure!(
        !done.is_empty(),
        "letting certificates expire: this node has none of {what}"
    );
    for file in done {
        println!("{}", file.display());
    }
    Ok(())
}

fn chosen(what: &str) -> Result<Vec<&'static Service>> {
    if what == "all" {
        return Ok(SERVICES.iter().collect());
    }
    let one = |word: &str| {
        let name = if word == "listener" { LISTENER } else { word };
        let names: Vec<&str> = SERVICES.iter().map(|service| service.name).collect();
        match SERVICES.iter().find(|service| service.name == name) {
            Some(service) => Ok(service),
            None => bail!(
                "choosing certificates: {word:?} is none of all, listener, {}",
                names.join(", ")
            ),
        }
    };
    what.split(',').map(|word| one(word.trim())).collect()
}

fn signer(data_dir: &Path, name: &str, bundle: &Value) -> Result<Authority> {
    let file = |extension: &str| bundle[format!("{name}.{extension}")].as_str();
    if let (Some(pem), Some(key)) = (file("crt"), file("key")) {
        return Ok(Authority::from_pem(pem, key));
    }
    Authority::read(&data_dir.join("server/tls").join(name))
}

/// The same certificate with the same key, for another time.
fn again(signer: &Authority, old: &Pair, validity: Validity) -> Result<Pair> {
    let pem = first(&old.chain)?;
    let subject = Subject::of(&pem.parse_x509().context("reading a certificate")?);
    signer.sign(&subject, Some(&old.key), validity)
}

fn with_chain(tls: &Path, pair: &Pair) -> Result<String> {
    let file = listener::file(tls);
    let mut secret: Value =
        serde_json::from_str(&files::read(&file)?).with_context(|| format!("reading {}", file.display()))?;
    secret["data"]["tls.crt"] = json!(STANDARD.encode(&pair.chain));
    Ok(format!("{secret}\n"))
}
