//! A release as Helm keeps it: a Secret a revision, packed twice.

use crate::kind::{Kind, Wanted};
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster::Meta;
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::io::Read as _;

/// A Secret holds a MiB; what is in it unpacked is text, and shrinks to a tenth. What unpacks to more is not a release.
const MOST: u64 = 64 << 20;
/// The label by which k3s's controller of charts finds its own work again.
const CONFIG_HASH: &str = "helmcharts.helm.cattle.io/configHash";
/// How packed data begins; Helm's oldest releases are not.
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// What we need to know of a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    pub revision: u32,
    /// `deployed`, `failed`, `pending-upgrade` …
    pub status: String,
    /// What the Job that deployed it was made of: its label, which Jobs of July 2026 on give it.
    pub config_hash: String,
    /// Of what it has made, the definitions and the `IngressClass`.
    pub made: Vec<Wanted>,
}

impl Release {
    pub fn is_deployed(&self) -> bool {
        self.status == "deployed"
    }
}

#[derive(Deserialize)]
struct Secret {
    #[serde(default)]
    metadata: Meta,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    release: String,
}

#[derive(Deserialize)]
struct Revision {
    #[serde(default)]
    version: u32,
    info: Info,
    #[serde(default)]
    manifest: String,
}

#[derive(Deserialize)]
struct Info {
    status: String,
}

#[derive(Deserialize)]
struct Object {
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// Reads the Secret `sh.helm.release.v1.<name>.v<revision>`. It holds the chart's values: nothing of it is repeated.
pub(crate) fn parse(secret: &serde_json::Value) -> Result<Release> {
    let secret = Secret::deserialize(secret)
        .ok()
        .context("it has no release in it")?;
    // Once for the Secret, once by Helm.
    let once = STANDARD
        .decode(secret.data.release.trim())
        .ok()
        .context("it is not in base64")?;
    let packed = STANDARD
        .decode(once.trim_ascii())
        .ok()
        .context("what is in it is not in base64")?;
    let json = if packed.starts_with(&GZIP) {
        unpack(&packed)?
    } else {
        packed
    };
    let revision: Revision = serde_json::from_slice(&json)
        .ok()
        .context("its content is not a release of Helm 3")?;
    Ok(Release {
        revision: revision.version,
        status: revision.info.status,
        config_hash: secret
            .metadata
            .labels
            .get(CONFIG_HASH)
            .cloned()
            .unwrap_or_default(),
        made: made(&revision.manifest),
    })
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let mut json = Vec::new();
    GzDecoder::new(packed)
        .take(MOST + 1)
        .read_to_end(&mut json)
        .ok()
        .context("it cannot be unpacked")?;
    ensure!(json.len() as u64 <= MOST, "it unpacks to more than {MOST} bytes");
    Ok(json)
}

/// The documents that can be read; one that cannot is none of the kinds that are looked for.
fn made(manifest: &str) -> Vec<Wanted> {
    let documents = serde_yaml_ng::Deserializer::from_str(manifest);
    let objects = documents.filter_map(|document| Object::deserialize(document).ok());
    let mut made: Vec<Wanted> = objects
        .filter_map(|object| {
            let kind = Kind::parse(&object.kind)?;
            matches!(kind, Kind::Definition | Kind::IngressClass)
                .then(|| Wanted::of(kind, object.metadata.name))
        })
        .collect();
    made.sort();
    made
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::{Value, json};
    use std::io::Write as _;

    /// A Secret as Helm writes it.
    pub(crate) fn secret(json: &Value) -> Value {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(json.to_string().as_bytes()).unwrap();
        let once = STANDARD.encode(packer.finish().unwrap());
        json!({"data": {"release": STANDARD.encode(once)}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MANIFEST: &str = "---\n# Source: traefik-crd/templates/a.yaml\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: ingressroutes.traefik.io\nspec: {group: traefik.io}\n---\nkind: IngressClass\nmetadata: {name: traefik}\n---\nkind: Deployment\nmetadata: {name: traefik}\n---\n# nothing\n";

    #[test]
    fn a_release_is_read_from_its_secret() {
        let release = json!({"version": 3, "info": {"status": "deployed"}, "manifest": MANIFEST});
        let read = parse(&samples::secret(&release)).unwrap();
        assert_eq!((read.revision, read.is_deployed()), (3, true));
        let made: Vec<String> = read.made.iter().map(ToString::to_string).collect();
        assert_eq!(
            made,
            [
                "CustomResourceDefinition ingressroutes.traefik.io",
                "IngressClass traefik"
            ]
        );
    }

    #[test]
    fn one_that_is_not_packed_is_read_too() {
        let plain = STANDARD.encode(STANDARD.encode(r#"{"version":1,"info":{"status":"failed"}}"#));
        let read = parse(&json!({"data": {"release": plain}})).unwrap();
        assert_eq!((read.status.as_str(), read.is_deployed()), ("failed", false));
    }

    #[test]
    fn refuses_an_invalid_release_without_repeating_it() {
        let cut = samples::secret(&json!({"info": {"status": "deployed"}, "manifest": MANIFEST}));
        let cut = STANDARD.decode(cut["data"]["release"].as_str().unwrap()).unwrap();
        let cut = STANDARD.decode(cut).unwrap();
        let cut = STANDARD.encode(STANDARD.encode(&cut[..cut.len() / 2]));
        let cases = [
            (json!({}), "it has no release in it"),
            (json!({"data": {"release": "s3cr3t!"}}), "it is not in base64"),
            (
                json!({"data": {"release": STANDARD.encode("s3cr3t!")}}),
                "what is in it is not in base64",
            ),
            (
                json!({"data": {"release": STANDARD.encode(STANDARD.encode("s3cr3t"))}}),
                "is not a release of Helm 3",
            ),
            (json!({"data": {"release": cut}}), "it cannot be unpacked"),
        ];
        for (secret, words) in cases {
            let message = format!("{:#}", parse(&secret).unwrap_err());
            assert!(
                message.contains(words) && !message.contains("s3cr3t"),
                "{message}"
            );
        }
    }

    #[test]
    fn refuses_a_release_that_unpacks_without_end() {
        let huge = json!({"info": {"status": "deployed"}, "manifest": "x".repeat(65 << 20)});
        let message = parse(&samples::secret(&huge)).unwrap_err().to_string();
        assert!(message.contains("it unpacks to more than"), "{message}");
    }
}
