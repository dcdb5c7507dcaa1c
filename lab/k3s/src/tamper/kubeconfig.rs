//! What can be wrong with `k3s.yaml`.

use super::kept;
use crate::files;
use crate::paths;
use crate::pki::{Authority, Pair};
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::PathBuf;

const CA: &str = "certificate-authority-data";
const CHAIN: &str = "client-certificate-data";
const KEY: &str = "client-key-data";

/// The file itself, where k3s.yaml is a link to it.
pub(super) fn path() -> Result<PathBuf> {
    let own = paths::kubeconfig();
    if !own.is_symlink() {
        return Ok(own);
    }
    own.canonicalize()
        .with_context(|| format!("following {}", own.display()))
}

/// Puts a client certificate into the file, and nothing else.
pub(super) fn carry(pair: &Pair) -> Result<PathBuf> {
    let path = path()?;
    let text = set(&files::read(&path)?, CHAIN, &STANDARD.encode(&pair.chain));
    kept::write(&path, &text)?;
    Ok(path)
}

pub(super) fn damage(what: &str) -> Result<()> {
    // What an earlier fault did to the file is undone first.
    let path = path()?;
    kept::restore(Some(&path))?;
    let text = files::read(&path)?;
    let damaged = match what {
        "empty" => String::new(),
        "no-client-certificate" => without_client(&text),
        "truncated-pem" => cut(&text)?,
        "ca-mismatch" => set(
            &text,
            CA,
            &STANDARD.encode(Authority::make("k3s-server-ca")?.pem()),
        ),
        other => bail!(
            "spoiling {}: {other:?} is none of empty, no-client-certificate, truncated-pem, ca-mismatch, none",
            path.display()
        ),
    };
    kept::write(&path, &damaged)
}

/// Another value for a field, on the line where it stands.
fn set(text: &str, field: &str, value: &str) -> String {
    let line = |line: &str| match line.find(&format!("{field}: ")) {
        Some(at) => format!("{}{field}: {value}", &line[..at]),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

fn without_client(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.contains(CHAIN) && !line.contains(KEY));
    let kept = lines.collect::<Vec<_>>().join("\n");
    format!("{kept}\n").replace("\n  user:\n", "\n  user: {}\n")
}

fn cut(text: &str) -> Result<String> {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(&format!("{CHAIN}: ")));
    let encoded = line.context("looking for the client certificate: the file has none")?;
    let pem = STANDARD
        .decode(encoded.trim())
        .context("decoding the client certificate")?;
    Ok(set(text, CHAIN, &STANDARD.encode(&pem[..pem.len() / 3])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_changed_where_it_stands_and_a_user_loses_its_certificate() {
        let text = crate::kubeconfig::inline("https://127.0.0.1:6443", "CA", "CHAIN", "KEY");
        let changed = set(&text, CHAIN, "new");
        assert!(changed.contains("    client-certificate-data: new\n    client-key-data: S0VZ\n"));
        assert_eq!(set(&changed, CHAIN, "Q0hBSU4="), text);
        let bare: serde_json::Value = serde_yaml_ng::from_str(&without_client(&text)).unwrap();
        assert_eq!(
            bare["users"][0],
            serde_json::json!({"name": "default", "user": {}})
        );
    }
}
