//! What can be wrong with `k3s.yaml`.

use super::kept;
use crate::files;
use crate::paths;
use crate::pki::leaf::{Subject, Validity};
use crate::pki::{Authority, LEAF_DAYS, Pair};
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

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
    kept::write(&path, Some(&text))?;
    Ok(path)
}

pub(super) fn spoil(data_dir: &Path, what: &str) -> Result<()> {
    // What an earlier fault did to the file is undone first.
    let path = path()?;
    kept::restore(Some(&path))?;
    let text = files::read(&path)?;
    let spoilt = match what {
        "missing" => None,
        "empty" => Some(String::new()),
        "truncated" => Some(text[..text.len() / 2].to_owned()),
        "garbage" => Some("\u{1}%&: [unfinished\n\t- {\u{7}\n".to_owned()),
        "json" => Some(as_json(&text)?),
        "no-client-certificate" => Some(without_client(&text)),
        "bad-base64" => Some(set(&text, CHAIN, "this is not base64!")),
        "truncated-pem" => Some(cut(&text)?),
        "ca-mismatch" => Some(set(
            &text,
            CA,
            &STANDARD.encode(Authority::make("k3s-server-ca")?.pem()),
        )),
        "cert-mismatch" => {
            let pair = admin(
                &Authority::make("k3s-client-ca")?,
                Validity::over_for(-LEAF_DAYS, LEAF_DAYS),
            )?;
            Some(with_pair(&text, &pair))
        }
        "key-mismatch" => {
            let pair = admin(
                &Authority::make("k3s-client-ca")?,
                Validity::over_for(-LEAF_DAYS, LEAF_DAYS),
            )?;
            Some(set(&text, KEY, &STANDARD.encode(pair.key)))
        }
        "expired" => Some(with_pair(
            &text,
            &own_admin(data_dir, Validity::over_for(1, LEAF_DAYS))?,
        )),
        "not-yet-valid" => {
            let from = OffsetDateTime::now_utc() + Duration::days(1);
            let validity = Validity {
                from,
                until: from + Duration::days(LEAF_DAYS),
            };
            Some(with_pair(&text, &own_admin(data_dir, validity)?))
        }
        other => bail!(
            "spoiling {}: {other:?} is none of truncated, garbage, empty, missing, json, no-client-certificate, \
             bad-base64, truncated-pem, ca-mismatch, cert-mismatch, key-mismatch, expired, not-yet-valid, none",
            path.display()
        ),
    };
    kept::write(&path, spoilt.as_deref())
}

fn own_admin(data_dir: &Path, validity: Validity) -> Result<Pair> {
    admin(
        &Authority::read(&data_dir.join("server/tls/client-ca"))?,
        validity,
    )
}

fn admin(authority: &Authority, validity: Validity) -> Result<Pair> {
    authority.sign(&Subject::client("system:admin", "system:masters"), None, validity)
}

fn with_pair(text: &str, pair: &Pair) -> String {
    let text = set(text, CHAIN, &STANDARD.encode(&pair.chain));
    set(&text, KEY, &STANDARD.encode(&pair.key))
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

fn as_json(text: &str) -> Result<String> {
    let value: serde_json::Value = serde_yaml_ng::from_str(text).context("reading the kubeconfig")?;
    serde_json::to_string_pretty(&value).context("writing the kubeconfig as JSON")
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
