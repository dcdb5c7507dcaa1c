//! How we talk to the API server: by `kubectl` with its `--raw` verbs.
//!
//! Raw paths answer JSON and nothing else, need no discovery (whose cache on disk is stale for a while after
//! an upgrade), and can name a pod by its uid. What they do not give is the cause of a refusal as JSON:
//! every kubectl prints that as prose. So nothing here reads it; after a request the world is looked at.
//!
//! `pct exec` and kubectl each take their half second to start, so requests travel together, in one script.

use crate::evict::{How, Request};
use crate::params::Params;
use crate::state::{List, Node, PodId};
use anyhow::{Context, Result};
use host::{Command, Failure, Host, Kind, Output, Waited, wait_until};
use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Objects a page: even large ones stay far below what is kept of a command's output.
const PAGE: usize = 1000;
/// How long an API server that does not answer is asked again. One that restarts is back in 10 to 25 s, an
/// election of etcd takes 21 s.
const PATIENCE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_secs(2);
/// Requests at a time: the containers have few cores, and each kubectl is a process.
const ABREAST: usize = 6;
/// What a kubectl may need besides its one request: its start on a busy host, a connection that hangs.
const MARGIN: Duration = Duration::from_secs(15);
/// Enough of a refusal to act on.
const SAID: usize = 300;

pub(crate) struct Kubectl<'a> {
    host: &'a dyn Host,
    params: &'a Params,
}

/// Whether asking again may help: the server was away, slow or overwhelmed, rather than the way to it missing.
fn passing(error: &anyhow::Error) -> bool {
    Failure::of(error).is_some_and(|failure| {
        matches!(
            failure.kind,
            Kind::CommandFailed | Kind::TimedOut | Kind::AttachFailed
        )
    })
}

/// `Ok(Err(text))` for what may pass, as `wait_until` wants it.
pub(crate) fn unless_passing<T>(result: Result<T>) -> Result<Result<T, String>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if passing(&error) => Ok(Err(format!("{error:#}"))),
        Err(error) => Err(error),
    }
}

impl<'a> Kubectl<'a> {
    pub(crate) fn new(host: &'a dyn Host, params: &'a Params) -> Self {
        Self { host, params }
    }

    /// Does something with the API server, and again while it is away.
    pub(crate) fn patiently<T>(&self, doing: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let waited = wait_until(self.host, PATIENCE, ASK_EVERY, || unless_passing(attempt()))?;
        match waited {
            Waited::Done(value) => Ok(value),
            Waited::GaveUp { missing, after } => Err(anyhow::anyhow!(
                "{doing}: the API server did not do it for {} s: {missing}",
                after.as_secs()
            )),
        }
    }

    /// Reads paths, in one go, each a document of its own.
    pub(crate) fn read<'k>(&'k self, paths: &[String]) -> Result<Documents<'k, 'a>> {
        let mut script = self.prelude();
        for path in paths {
            let _ = writeln!(script, "k get --raw {} </dev/null || exit", quote(path));
        }
        let limit = self.limit(paths.len());
        let output = self.run_script(script, limit, "reading from the API server")?;
        Ok(Documents {
            kubectl: self,
            paths: paths.to_vec(),
            next: 0,
            bytes: output.stdout,
            at: 0,
        })
    }

    /// All objects of one path.
    pub(crate) fn list<T: DeserializeOwned>(&self, path: String) -> Result<Vec<T>> {
        self.read(&[path])?.list()
    }

    /// Patches the node, and gives it back as it is then.
    pub(crate) fn patch_node(&self, node: &str, patch: &Value) -> Result<Node> {
        let timeout = self.request_timeout();
        let patch = patch.to_string();
        let arguments = [
            "patch",
            "node",
            node,
            "--type=merge",
            "-p",
            &patch,
            "-o",
            "json",
            &timeout,
        ];
        let words = self.params.kubectl.iter().map(String::as_str).chain(arguments);
        // It reads the node, patches it, and on its first run looks around.
        let output = self.host.run(&Command::new(words).within(self.limit(3)))?;
        let output = output.succeed(&self.host.place(), &format!("patching the node {node}"))?;
        serde_json::from_slice(&output.stdout).context("reading the patched node")
    }

    /// Sends requests side by side. What came of them is seen at the next look; given back is what was said
    /// about those that did not succeed, by their place in the list.
    pub(crate) fn send(&self, requests: &[Request], eviction: &str) -> Result<Vec<(usize, String)>> {
        let mut script = self.prelude();
        let _ = writeln!(
            script,
            "r() {{ s=$(printf %s \"$4\" | k \"$2\" --raw \"$3\" -f - 2>&1 >/dev/null) || \
             printf '%s %s\\n' \"$1\" \"$(printf %s \"$s\" | tr '\\n' ' ' | head -c {SAID})\"; }}"
        );
        for (place, request) in requests.iter().enumerate() {
            let (verb, path, body) = self.request(request, eviction);
            let _ = writeln!(
                script,
                "r {place} {verb} {} {} &",
                quote(&path),
                quote(&body.to_string())
            );
            if place % ABREAST == ABREAST - 1 {
                script.push_str("wait\n");
            }
        }
        script.push_str("wait\n");
        let limit = self.limit(requests.len().div_ceil(ABREAST));
        let output = self.run_script(script, limit, "sending evictions")?;
        let said = |line: &str| {
            line.split_once(' ')
                .and_then(|(place, said)| Some((place.parse().ok()?, said.trim().to_owned())))
        };
        Ok(output.text().lines().filter_map(said).collect())
    }

    fn run_script(&self, script: String, limit: Duration, doing: &str) -> Result<Output> {
        let output = self.host.run(&Command::script(script).within(limit))?;
        // The shell's own word for a program that it cannot run; kubectl ends with 1.
        if matches!(output.status, 126 | 127) {
            let detail = format!(
                "{doing}: {} cannot be run: {}",
                self.params.kubectl.join(" "),
                output.error_text().trim()
            );
            return Err(Failure::new(Kind::CommandNotFound, self.host.place(), detail).into());
        }
        output.succeed(&self.host.place(), doing)
    }

    fn request(&self, request: &Request, eviction: &str) -> (&'static str, String, Value) {
        let PodId { namespace, name, uid } = &request.pod;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        // The uid: a StatefulSet's next pod has the same name, and must not be hit by a late request.
        let mut options = json!({ "preconditions": { "uid": uid } });
        if let Some(seconds) = self.params.grace_period {
            options["gracePeriodSeconds"] = seconds.into();
        }
        match request.how {
            How::Evict => {
                let metadata = json!({ "name": name, "namespace": namespace });
                let body = json!({ "apiVersion": eviction, "kind": "Eviction", "metadata": metadata, "deleteOptions": options });
                ("create", format!("{path}/eviction"), body)
            }
            How::Delete => {
                options["apiVersion"] = "v1".into();
                options["kind"] = "DeleteOptions".into();
                ("delete", path, options)
            }
        }
    }

    fn prelude(&self) -> String {
        let words: Vec<String> = self.params.kubectl.iter().map(|word| quote(word)).collect();
        format!(
            "k() {{ {} {} \"$@\"; }}\n",
            words.join(" "),
            self.request_timeout()
        )
    }

    fn request_timeout(&self) -> String {
        format!("--request-timeout={}s", self.params.request_timeout.as_secs())
    }

    fn limit(&self, turns: usize) -> Duration {
        MARGIN + self.params.request_timeout * u32::try_from(turns).unwrap_or(u32::MAX)
    }
}

/// The answers to a [`Kubectl::read`], taken in the order of its paths.
pub(crate) struct Documents<'k, 'a> {
    kubectl: &'k Kubectl<'a>,
    paths: Vec<String>,
    next: usize,
    bytes: Vec<u8>,
    at: usize,
}

impl Documents<'_, '_> {
    pub(crate) fn one<T: DeserializeOwned>(&mut self) -> Result<T> {
        let path = self.paths.get(self.next).map_or("", String::as_str);
        let mut stream = Deserializer::from_slice(&self.bytes[self.at..]).into_iter::<T>();
        let document = stream
            .next()
            .context("it ended too early")
            .and_then(|read| Ok(read?));
        let document = document.with_context(|| format!("reading the API server's answer to {path}"))?;
        self.at += stream.byte_offset();
        self.next += 1;
        Ok(document)
    }

    /// A list whole: further pages are fetched.
    pub(crate) fn list<T: DeserializeOwned>(&mut self) -> Result<Vec<T>> {
        let path = self.paths.get(self.next).cloned().unwrap_or_default();
        let List { metadata, mut items } = self.one::<List<T>>()?;
        let mut next = metadata.next;
        while !next.is_empty() {
            let page: List<T> = self
                .kubectl
                .read(&[format!("{path}&continue={}", encode(&next))])?
                .one()?;
            items.extend(page.items);
            next = page.metadata.next;
        }
        Ok(items)
    }
}

/// The path of a list, in pages.
pub(crate) fn pages(path: &str) -> String {
    format!("{path}?limit={PAGE}")
}

pub(crate) fn pods_on(node: &str) -> String {
    format!("{}&fieldSelector=spec.nodeName%3D{node}", pages("/api/v1/pods"))
}

/// Reads the whole cluster's nodes: the wanted one, and the others.
pub(crate) fn split(nodes: Vec<Node>, wanted: &str) -> Result<(Node, Vec<Node>)> {
    let (mut here, others): (Vec<Node>, Vec<Node>) = nodes.into_iter().partition(|node| node.name == wanted);
    if let Some(node) = here.pop() {
        return Ok((node, others));
    }
    let names: Vec<&str> = others.iter().map(|node| node.name.as_str()).take(20).collect();
    anyhow::bail!(
        "looking for the node {wanted}: the cluster has none of that name; it has {}",
        names.join(", ")
    )
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
#[path = "kubectl_tests.rs"]
mod tests;
