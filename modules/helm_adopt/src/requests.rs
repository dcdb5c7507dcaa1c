//! Requests of the steps for single objects.

use anyhow::Result;
use cluster::{Kubectl, List};
use host::Command;
use serde_json::Value;

/// An object by its name, or nothing where there is none.
pub(crate) fn one<T: serde::de::DeserializeOwned>(
    kubectl: &Kubectl,
    list: &str,
    name: &str,
) -> Result<Option<T>> {
    let path = format!("{list}?fieldSelector=metadata.name%3D{name}");
    let found: List<T> = kubectl.patiently("looking again", || {
        kubectl.read(std::slice::from_ref(&path))?.one()
    })?;
    Ok(found.items.into_iter().next())
}

pub(crate) fn send(kubectl: &Kubectl, verb: &str, path: &str, body: &Value, doing: &str) -> Result<Vec<u8>> {
    let timeout = kubectl.timeout_argument();
    let words = [verb, "--raw", path, "-f", "-", &timeout];
    let argv = kubectl.program.iter().map(String::as_str).chain(words);
    let command = Command::new(argv)
        .stdin(body.to_string())
        .within(kubectl.limit(1));
    let output = kubectl
        .host
        .run(&command)?
        .succeed(&kubectl.host.location(), doing)?;
    Ok(output.stdout)
}

/// A merge patch; with a version of the object in it, it goes through only while that is the newest.
pub(crate) fn patch(
    kubectl: &Kubectl,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    body: &Value,
) -> Result<Vec<u8>> {
    let (timeout, body) = (kubectl.timeout_argument(), body.to_string());
    let mut words = vec![
        "patch",
        kind,
        name,
        "--type=merge",
        "-p",
        &body,
        "-o",
        "json",
        &timeout,
    ];
    words.extend(namespace.into_iter().flat_map(|namespace| ["-n", namespace]));
    let argv = kubectl.program.iter().map(String::as_str).chain(words);
    // It reads the object, patches it, and on its first run looks around.
    let output = kubectl.host.run(&Command::new(argv).within(kubectl.limit(3)))?;
    let doing = format!("patching {kind} {name}");
    Ok(output.succeed(&kubectl.host.location(), &doing)?.stdout)
}
