//! The requests that change something of pods: evictions and deletions.

use crate::evict::{How, Request};
use anyhow::Result;
use cluster::{Kubectl, PodId};
use host::quote;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Requests at a time: the containers have few cores, and each kubectl is a process.
const ABREAST: usize = 6;
/// Enough of a refusal to act on.
const SAID: usize = 300;

/// Sends requests side by side. What came of them is seen at the next look; given back is what was said
/// about those that did not succeed, by their index in the list.
pub(crate) fn send(
    kubectl: &Kubectl,
    requests: &[Request],
    grace_period: Option<u32>,
) -> Result<Vec<(usize, String)>> {
    let mut script = kubectl.prelude();
    let _ = writeln!(
        script,
        "r() {{ s=$(printf %s \"$4\" | k \"$2\" --raw \"$3\" -f - 2>&1 >/dev/null) || \
         printf '%s %s\\n' \"$1\" \"$(printf %s \"$s\" | tr '\\n' ' ' | head -c {SAID})\"; }}"
    );
    for (index, request) in requests.iter().enumerate() {
        let (verb, path, body) = describe(request, grace_period);
        let _ = writeln!(
            script,
            "r {index} {verb} {} {} &",
            quote(&path),
            quote(&body.to_string())
        );
        if index % ABREAST == ABREAST - 1 {
            script.push_str("wait\n");
        }
    }
    script.push_str("wait\n");
    let limit = kubectl.limit(requests.len().div_ceil(ABREAST));
    let output = kubectl.run_script(script, limit, "sending evictions")?;
    let said = |line: &str| {
        line.split_once(' ')
            .and_then(|(index, said)| Some((index.parse().ok()?, said.trim().to_owned())))
    };
    Ok(output.text().lines().filter_map(said).collect())
}

fn describe(request: &Request, grace_period: Option<u32>) -> (&'static str, String, Value) {
    let PodId { namespace, name, uid } = &request.pod;
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    // The uid: a StatefulSet's next pod has the same name, and must not be hit by a late request.
    let mut options = json!({ "preconditions": { "uid": uid } });
    if let Some(seconds) = grace_period {
        options["gracePeriodSeconds"] = seconds.into();
    }
    match request.how {
        How::Evict => {
            let metadata = json!({ "name": name, "namespace": namespace });
            let body = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options });
            ("create", format!("{path}/eviction"), body)
        }
        How::Delete => {
            options["apiVersion"] = "v1".into();
            options["kind"] = "DeleteOptions".into();
            ("delete", path, options)
        }
    }
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
