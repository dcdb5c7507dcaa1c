//! What Helm keeps of a release, where klipper-helm changes it behind Helm's back (by plugins of Helm): a Secret for each
//! revision, with a document of JSON that is packed and written in base64 twice.

use crate::helm::ACCOUNT;
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

#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Failed,
    MapApis,
}

/// Kinds that charts make, in APIs that Kubernetes has taken away, and the API that has each of them since. Whoever
/// upgrades a release has to read what it has made.
const MAPPED: [(&str, &str, &str); 6] = [
    (
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1beta1",
        "apiextensions.k8s.io/v1",
    ),
    (
        "IngressClass",
        "networking.k8s.io/v1beta1",
        "networking.k8s.io/v1",
    ),
    (
        "ClusterRole",
        "rbac.authorization.k8s.io/v1beta1",
        "rbac.authorization.k8s.io/v1",
    ),
    (
        "ClusterRoleBinding",
        "rbac.authorization.k8s.io/v1beta1",
        "rbac.authorization.k8s.io/v1",
    ),
    (
        "Role",
        "rbac.authorization.k8s.io/v1beta1",
        "rbac.authorization.k8s.io/v1",
    ),
    (
        "RoleBinding",
        "rbac.authorization.k8s.io/v1beta1",
        "rbac.authorization.k8s.io/v1",
    ),
];

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

/// Changes the newest revision, where there is something to change.
pub(crate) fn change(namespace: &str, name: &str, change: Change) -> Result<()> {
    let api = Api::of_account()?;
    let found = api.newest(namespace, name)?;
    let mut secret = found.context("the release is gone")?;
    let mut release = unpack(packed(&secret)).context("reading the release")?;
    if !changed(&mut release, change) {
        return Ok(());
    }
    secret["data"]["release"] = json!(pack(&release)?);
    secret["metadata"]["labels"]["status"] = release["info"]["status"].clone();
    let own = secret["metadata"]["name"].as_str().unwrap_or_default();
    println!("changing {own} ({change:?})");
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

fn changed(release: &mut Value, change: Change) -> bool {
    let place = match change {
        Change::Failed => "/info/status",
        Change::MapApis => "/manifest",
    };
    let Some(found) = release.pointer_mut(place) else {
        return false;
    };
    let before = found.as_str().unwrap_or_default().to_owned();
    let after = match change {
        Change::Failed => "failed".to_owned(),
        Change::MapApis => mapped(&before),
    };
    *found = json!(after);
    before != after
}

/// A manifest is documents of YAML; only the lines with the API of each are touched.
fn mapped(manifest: &str) -> String {
    let documents: Vec<String> = manifest.split("\n---\n").map(document).collect();
    documents.join("\n---\n")
}

fn document(text: &str) -> String {
    let has = |line: &str| text.lines().any(|one| one.trim_end() == line);
    let row = MAPPED
        .iter()
        .find(|(kind, old, _)| has(&format!("kind: {kind}")) && has(&format!("apiVersion: {old}")));
    let Some((_, old, new)) = row else {
        return text.to_owned();
    };
    text.replacen(&format!("apiVersion: {old}"), &format!("apiVersion: {new}"), 1)
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

    const MANIFEST: &str = "---\n# Source: a/templates/a.yaml\napiVersion: apiextensions.k8s.io/v1beta1\nkind: CustomResourceDefinition\nmetadata:\n  name: a\n---\n# Source: a/templates/b.yaml\napiVersion: policy/v1beta1\nkind: PodDisruptionBudget\n";

    #[test]
    fn apis_that_are_gone_are_mapped_and_others_stay() {
        let mut release = json!({"info": {"status": "deployed"}, "manifest": MANIFEST});
        assert!(changed(&mut release, Change::MapApis));
        let manifest = release["manifest"].as_str().unwrap();
        assert_eq!(
            manifest,
            MANIFEST.replace("apiextensions.k8s.io/v1beta1", "apiextensions.k8s.io/v1")
        );
        assert!(!changed(&mut release, Change::MapApis));
    }

    #[test]
    fn a_release_that_nobody_finishes_becomes_a_failed_one() {
        let mut release = json!({"info": {"status": "pending-upgrade"}, "manifest": ""});
        assert!(changed(&mut release, Change::Failed));
        assert_eq!(release["info"]["status"], "failed");
    }

    #[test]
    fn a_release_is_packed_as_it_was() {
        let release = json!({"name": "traefik", "version": 3});
        assert_eq!(unpack(&pack(&release).unwrap()).unwrap(), release);
        assert!(unpack("%").is_err());
    }
}
