//! What Helm keeps of a release, where klipper-helm changes it behind Helm's back (by a plugin of Helm): a Secret for each
//! revision, with a document of JSON that is packed and written in base64 twice.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::io::{Read as _, Write as _};

/// The API server is a source of charts too, and this is what its certificate is signed with.
pub(crate) const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The newest revision of a release.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) status: String,
    pub(crate) revision: u64,
    /// Of Helm 4: `ssa` where the API server has merged what was applied. Empty: made by an older Helm.
    pub(crate) apply_method: String,
}

/// Asked of the API and not of Helm: that there is none must not be mistaken for an API that does not answer.
pub(crate) fn newest(namespace: &str, name: &str) -> Result<Option<Release>> {
    let api = Api::of_account()?;
    let Some(secret) = api.newest(namespace, name)? else {
        return Ok(None);
    };
    let release = unpack(packed(&secret)).context("reading the release")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Some(Release {
        status: text(&release["info"]["status"]),
        revision: revision(&secret),
        apply_method: text(&release["apply_method"]),
    }))
}

fn revision(secret: &Value) -> u64 {
    let label = secret["metadata"]["labels"]["version"].as_str();
    label.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn packed(secret: &Value) -> &str {
    secret["data"]["release"].as_str().unwrap_or_default()
}

/// Marks the newest revision as failed: its Helm was interrupted, and nobody finishes what it had begun.
pub(crate) fn set_failed(namespace: &str, name: &str) -> Result<()> {
    let api = Api::of_account()?;
    let found = api.newest(namespace, name)?;
    let mut secret = found.context("the release is gone")?;
    fail(&mut secret)?;
    let own = secret["metadata"]["name"].as_str().unwrap_or_default();
    println!("setting {own} to failed");
    let url = api.url(&format!("/api/v1/namespaces/{namespace}/secrets/{own}"));
    let body = serde_json::to_vec(&secret).context("writing the Secret")?;
    api.ask(
        api.client
            .put(url)
            .header("Content-Type", "application/json")
            .body(body),
    )
    .map(drop)
}

/// In the document and in the label, by which Helm finds it.
fn fail(secret: &mut Value) -> Result<()> {
    let mut release = unpack(packed(secret)).context("reading the release")?;
    release["info"]["status"] = json!("failed");
    secret["data"]["release"] = json!(pack(&release)?);
    secret["metadata"]["labels"]["status"] = json!("failed");
    Ok(())
}

pub(crate) fn unbase64(text: &str) -> Result<Vec<u8>> {
    let packed: String = text.split_whitespace().collect();
    STANDARD.decode(packed).context("decoding base64")
}

fn unpack(text: &str) -> Result<Value> {
    let packed = unbase64(&String::from_utf8(unbase64(text)?).context("decoding the release")?)?;
    let mut document = Vec::new();
    GzDecoder::new(packed.as_slice())
        .read_to_end(&mut document)
        .context("unpacking the release")?;
    serde_json::from_slice(&document).context("reading the release")
}

fn pack(release: &Value) -> Result<String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let document = serde_json::to_vec(release).context("writing the release")?;
    encoder.write_all(&document).context("packing the release")?;
    let packed = encoder.finish().context("packing the release")?;
    Ok(STANDARD.encode(STANDARD.encode(packed)))
}

/// The cluster's API, as the pod's own account.
struct Api {
    client: Client,
    base: String,
    token: String,
}

impl Api {
    fn of_account() -> Result<Self> {
        // Only one provider is built in; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let read = |file: &str| {
            let path = format!("{ACCOUNT}/{file}");
            fs::read_to_string(&path).with_context(|| format!("reading {path}"))
        };
        let authority = reqwest::Certificate::from_pem(read("ca.crt")?.as_bytes())
            .context("reading the cluster's authority")?;
        let client = Client::builder()
            .tls_certs_only([authority])
            .build()
            .context("preparing requests to the API")?;
        let variable = |name: &str| env::var(name).unwrap_or_default();
        let (host, port) = (
            variable("KUBERNETES_SERVICE_HOST"),
            variable("KUBERNETES_SERVICE_PORT"),
        );
        Ok(Self {
            client,
            base: format!("https://{host}:{port}"),
            token: read("token")?.trim().to_owned(),
        })
    }

    /// The Secret of the newest revision.
    fn newest(&self, namespace: &str, name: &str) -> Result<Option<Value>> {
        let list =
            format!("/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm%2Cname%3D{name}");
        let found = self.ask(self.client.get(self.url(&list)))?;
        let secrets = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(secrets.iter().max_by_key(|secret| revision(secret)).cloned())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn ask(&self, request: RequestBuilder) -> Result<Value> {
        let answer = request
            .bearer_auth(&self.token)
            .send()
            .context("asking the API")?;
        let status = answer.status();
        let body = answer.bytes().context("reading the API's answer")?;
        ensure!(status.is_success(), "the API answered {status}");
        serde_json::from_slice(&body).context("reading the API's answer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_nobody_finishes_becomes_a_failed_one() {
        let release = json!({"info": {"status": "pending-upgrade"}, "version": 2});
        let mut secret = json!({
            "metadata": {"labels": {"status": "pending-upgrade", "version": "2"}},
            "data": {"release": pack(&release).unwrap()},
        });
        fail(&mut secret).unwrap();
        assert_eq!(secret["metadata"]["labels"]["status"], "failed");
        let release = unpack(packed(&secret)).unwrap();
        assert_eq!(release, json!({"info": {"status": "failed"}, "version": 2}));
        assert_eq!(revision(&secret), 2);
    }

    #[test]
    fn a_release_is_packed_and_unpacked_unchanged() {
        let release = json!({"name": "traefik", "version": 3});
        assert_eq!(unpack(&pack(&release).unwrap()).unwrap(), release);
        assert!(unpack("%").is_err());
    }
}
