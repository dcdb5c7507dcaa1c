//! Where k3s's controller of charts knows no failure policy, a release that fails is deleted whatever we say. Then the API
//! server itself is told to delete no definition meanwhile: it asks a webhook that is not there.

use crate::apply::{Journal, one, send};
use crate::progress::LOOK_EVERY;
use anyhow::{Result, bail};
use host::{Command, Output, Waited, wait_until};
use kubectl::{Kubectl, Meta, unless_passing};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// The API server names it when it refuses: so do we know that it was this, and whoever else reads it what to look for.
pub(crate) const NAME: &str = "definitions-are-kept.helm-adopt.homelab.k3s";
const LIST: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
/// For all servers to have learnt of it: they watch, so a moment.
const LEARNS: Duration = Duration::from_mins(1);

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "metadata")]
    _metadata: Meta,
}

/// The path that tells whether it is there.
pub(crate) fn path() -> String {
    format!("{LIST}?fieldSelector=metadata.name%3D{NAME}")
}

fn body() -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [{
            "name": NAME,
            "rules": [{
                "operations": ["DELETE"], "scope": "Cluster",
                "apiGroups": ["apiextensions.k8s.io"], "apiVersions": ["*"], "resources": ["customresourcedefinitions"],
            }],
            "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 1, "admissionReviewVersions": ["v1"],
            // Nobody listens there.
            "clientConfig": {"url": "https://127.0.0.1:1/"},
        }],
    })
}

/// `definition` is one that is there: its deletion is tried, without effect, until it is refused for our sake.
pub(crate) fn raise(kubectl: &Kubectl, definition: &str, journal: &mut Journal) -> Result<()> {
    if one::<Object>(kubectl, LIST, NAME)?.is_none() {
        journal.touched = true;
        send(
            kubectl,
            "create",
            LIST,
            &body(),
            "keeping definitions from being deleted",
        )?;
    }
    journal.shielded = true;
    let timeout = kubectl.timeout_argument();
    let words = [
        "delete",
        "customresourcedefinitions",
        definition,
        "--dry-run=server",
        &timeout,
    ];
    let argv: Vec<&str> = kubectl.program.iter().map(String::as_str).chain(words).collect();
    let waited = wait_until(kubectl.host, LEARNS, LOOK_EVERY, || {
        let command = Command::new(argv.iter().copied()).within(kubectl.limit(2));
        Ok(unless_passing(kubectl.host.run(&command))?
            .and_then(|tried| refused(tried, &kubectl.host.place(), definition)))
    })?;
    if let Waited::GaveUp { missing, after } = waited {
        bail!(
            "{}: {} s after the API server was told to delete no definitions ({NAME}), it was not seen to refuse that: {missing}. So Helm cannot be kept from deleting them with all their resources",
            kubectl.host.place(),
            after.as_secs()
        );
    }
    Ok(())
}

/// `failed calling webhook "<its name>": …`, in 1.21 and 1.22. Whatever else has kept us from deleting it need not keep Helm.
fn refused(tried: Output, place: &str, definition: &str) -> Result<(), String> {
    if !tried.ok() && tried.error_text().contains(NAME) {
        return Ok(());
    }
    Err(
        match tried.succeed(place, &format!("deleting {definition} for a try")) {
            Ok(_) => format!("{definition} would still be deleted"),
            Err(error) => format!("{error:#}"),
        },
    )
}

pub(crate) fn lower(kubectl: &Kubectl, journal: &mut Journal) -> Result<()> {
    if one::<Object>(kubectl, LIST, NAME)?.is_some() {
        journal.touched = true;
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        send(
            kubectl,
            "delete",
            &format!("{LIST}/{NAME}"),
            &options,
            "letting definitions be deleted again",
        )?;
    }
    journal.shielded = false;
    Ok(())
}
