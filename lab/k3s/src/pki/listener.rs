//! The certificate of port 6443. k3s keeps it apart from the others, in `dynamic-cert.json` (a Secret as JSON), and
//! shows it as the Secret `kube-system/k3s-serving`.

use super::{Authority, Pair, Subject};
use crate::files;
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

pub const SECRET: &str = "k3s-serving";

pub fn file(folder: &Path) -> PathBuf {
    folder.join("dynamic-cert.json")
}

/// `certificate rotate` asks by this file for a new one at the next start.
pub fn marker(folder: &Path) -> PathBuf {
    folder.join("dynamic-cert-regenerate")
}

/// Keeps what is good for long enough and for all hosts, unless a new one was asked for.
pub fn prepare(folder: &Path, authority: &Authority, hosts: &[String]) -> Result<()> {
    let asked = std::fs::remove_file(marker(folder)).is_ok();
    let subject = Subject::server("k3s", hosts).of_organization("k3s");
    let good = read(folder).is_ok_and(|pair| authority.is_good(&pair.chain, &subject));
    if good && !asked {
        return Ok(());
    }
    write(folder, &authority.issue(&subject, None)?, hosts)
}

pub fn read(folder: &Path) -> Result<Pair> {
    let file = file(folder);
    let secret: Value =
        serde_json::from_str(&files::read(&file)?).with_context(|| format!("reading {}", file.display()))?;
    let text = |key: &str| -> Result<String> {
        let data = secret["data"][key].as_str().unwrap_or_default();
        let bytes = STANDARD
            .decode(data)
            .with_context(|| format!("reading {key} of {}", file.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(Pair {
        chain: text("tls.crt")?,
        key: text("tls.key")?,
    })
}

/// The certificate with its authority, as all others have it.
pub fn write(folder: &Path, pair: &Pair, hosts: &[String]) -> Result<()> {
    files::write(&file(folder), &format!("{}\n", secret(pair, hosts)), 0o600)
}

pub fn secret(pair: &Pair, hosts: &[String]) -> Value {
    let mut annotations = json!({});
    for host in hosts {
        // A label may hold no colon: such an address has a part of its hash.
        let key = if host.contains(':') {
            let sum = crate::version::hex(&Sha256::digest(host));
            format!("{}-{}", host.replace(':', "_"), &sum[..6])
        } else {
            host.clone()
        };
        annotations[format!("listener.cattle.io/cn-{key}")] = json!(host);
    }
    json!({
        "metadata": {
            "name": SECRET, "namespace": "kube-system", "creationTimestamp": null, "annotations": annotations,
        },
        "data": {"tls.crt": STANDARD.encode(&pair.chain), "tls.key": STANDARD.encode(&pair.key)},
        "type": "kubernetes.io/tls",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_until_a_name_is_missing_or_a_new_one_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::make("k3s-server-ca").unwrap();
        let mut hosts = vec!["localhost".to_owned(), "::1".to_owned()];
        let chain = |hosts: &[String]| {
            prepare(folder.path(), &authority, hosts).unwrap();
            read(folder.path()).unwrap().chain
        };
        let first = chain(&hosts);
        assert_eq!(first, chain(&hosts));
        hosts.push("n1".to_owned());
        let second = chain(&hosts);
        assert_ne!(first, second);
        files::write(&marker(folder.path()), "", 0o600).unwrap();
        assert_ne!(second, chain(&hosts));
        assert!(!marker(folder.path()).exists());
    }
}
