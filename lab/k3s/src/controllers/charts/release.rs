//! What Helm writes down of a release: a Secret a revision.

use crate::addons::of_chart;
use crate::clock;
use crate::cluster::Part;
use crate::controllers::Action;
use crate::controllers::world::{Objects, World};
use crate::json::{name, namespace, set, text, uid};
use crate::kinds;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::sync::Arc;

/// The uid of the pod that wrote it.
const POD: &str = "lab/pod";

pub(super) struct Release {
    secret: Arc<Value>,
    number: i64,
    content: Value,
}

fn label<'a>(secret: &'a Value, key: &str) -> &'a str {
    secret["metadata"]["labels"][key].as_str().unwrap_or_default()
}

fn is_helms(secret: &Value) -> bool {
    label(secret, "owner") == "helm"
}

fn of<'a>(world: &'a World, chart: &Value) -> impl Iterator<Item = &'a Arc<Value>> {
    let (space, own) = (namespace(chart).to_owned(), name(chart).to_owned());
    world
        .secrets
        .iter()
        .filter(move |secret| is_helms(secret) && namespace(secret) == space && label(secret, "name") == own)
}

impl Release {
    pub(super) fn newest(world: &World, chart: &Value) -> Option<Self> {
        let number = |secret: &Value| label(secret, "version").parse().unwrap_or_default();
        let secret = of(world, chart).max_by_key(|secret| number(secret))?;
        Some(Self {
            secret: Arc::clone(secret),
            number: number(secret),
            content: unpack(text(secret, "/data/release")).unwrap_or_default(),
        })
    }

    pub(super) fn status(&self) -> &str {
        text(&self.content, "/info/status")
    }

    pub(super) fn made_by(&self, pod: &Value) -> bool {
        self.secret["metadata"]["annotations"][POD] == json!(uid(pod)) && self.status() == "deployed"
    }

    /// Whether it has this object already.
    pub(super) fn has(&self, object: &Value) -> bool {
        let manifest = text(&self.content, "/manifest");
        let same = |document: &str| {
            let made: Value = serde_json::from_str(document.trim()).unwrap_or_default();
            made["kind"] == object["kind"] && name(&made) == name(object)
        };
        manifest.split("---\n").any(same)
    }
}

fn pack(content: &Value) -> String {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    let finished = packer
        .write_all(content.to_string().as_bytes())
        .and_then(|()| packer.finish());
    STANDARD.encode(STANDARD.encode(finished.unwrap_or_default()))
}

fn unpack(data: &str) -> Option<Value> {
    let packed = STANDARD.decode(STANDARD.decode(data).ok()?).ok()?;
    let mut json = String::new();
    GzDecoder::new(packed.as_slice()).read_to_string(&mut json).ok()?;
    serde_json::from_str(&json).ok()
}

fn secret(chart: &Value, number: i64, status: &str, pod: &str) -> Value {
    let made = of_chart(name(chart)).into_iter().map(|(plural, mut object)| {
        object["kind"] = json!(kinds::of(plural).name);
        object["apiVersion"] = json!(kinds::of(plural).preferred());
        format!("---\n{object}\n")
    });
    let manifest: String = made.collect();
    let content = json!({
        "name": name(chart), "namespace": namespace(chart), "version": number,
        "info": {"status": status, "last_deployed": clock::seconds()},
        "chart": {"metadata": {"name": name(chart), "version": "0"}}, "manifest": manifest,
    });
    json!({
        "metadata": {
            "name": format!("sh.helm.release.v1.{}.v{number}", name(chart)), "namespace": namespace(chart),
            "labels": {"owner": "helm", "name": name(chart), "status": status, "version": number.to_string()},
            "annotations": {POD: pod},
        },
        "type": "helm.sh/release.v1", "data": {"release": pack(&content)},
    })
}

/// The next revision; the one before is superseded by it.
pub(super) fn written(chart: &Value, before: Option<&Release>, pod: &Value, status: &str) -> Vec<Action> {
    let number = before.map_or(1, |before| before.number + 1);
    let mut actions = vec![Action::Create(
        kinds::of("secrets"),
        secret(chart, number, status, uid(pod)),
    )];
    if let Some(before) = before.filter(|_| status == "deployed") {
        let mut old = before.secret.as_ref().clone();
        let mut content = before.content.clone();
        set(&mut content, &["info", "status"], json!("superseded"));
        set(&mut old, &["metadata", "labels", "status"], json!("superseded"));
        set(&mut old, &["data", "release"], json!(pack(&content)));
        actions.push(Action::Replace(
            kinds::of("secrets"),
            Arc::clone(&before.secret),
            old,
            Part::Main,
        ));
    }
    actions
}

/// Without a trace, as `helm uninstall`.
pub(super) fn removed(world: &World, chart: &Value) -> Vec<Action> {
    of(world, chart)
        .map(|secret| Action::delete("secrets", secret))
        .collect()
}

/// Releases that we wrote for charts that are gone.
pub(super) fn orphans(world: &World, charts: &Objects) -> Vec<Action> {
    let ours =
        |secret: &&Arc<Value>| is_helms(secret) && secret["metadata"]["annotations"].get(POD).is_some();
    let has_chart = |secret: &Value| {
        charts
            .iter()
            .any(|chart| namespace(chart) == namespace(secret) && name(chart) == label(secret, "name"))
    };
    world
        .secrets
        .iter()
        .filter(ours)
        .filter(|secret| !has_chart(secret))
        .map(|secret| Action::delete("secrets", secret))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_packed_as_helm_packs_it() {
        let chart = json!({"metadata": {"name": "traefik-crd", "namespace": "kube-system"}});
        let secret = Arc::new(secret(&chart, 3, "deployed", "u1"));
        let release = Release {
            content: unpack(text(&secret, "/data/release")).unwrap(),
            number: 3,
            secret,
        };
        assert_eq!(release.status(), "deployed");
        assert!(release.made_by(&json!({"metadata": {"uid": "u1"}})));
        let object = |name: &str| json!({"kind": "CustomResourceDefinition", "metadata": {"name": name}});
        assert!(release.has(&object("ingressroutes.traefik.io")));
        assert!(!release.has(&object("certificates.cert-manager.io")));
    }
}
