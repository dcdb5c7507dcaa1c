//! How we talk to the API server: by `kubectl` with its `--raw` verbs.
//!
//! Raw paths answer JSON and nothing else, need no discovery (whose cache on disk is stale for a while after
//! an upgrade), and can name a pod by its uid. What they do not give is the cause of a refusal as JSON:
//! every kubectl prints that as prose. So nothing here reads it; after a request the world is looked at.
//!
//! `pct exec` and kubectl each take their half second to start, so requests travel together, in one script.

use crate::abreast;
use crate::object::List;
use anyhow::{Context, Result, ensure};
use host::{BRIEF_GO, Command, Failure, Host, Kind, Output, Waited, quote, wait_until};
use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Value};
use std::fmt::Write as _;
use std::time::Duration;

/// Objects a page: even large ones stay far below what is kept of a command's output, and of a big cluster only a
/// part is in memory at a time.
const PAGE: usize = 500;
/// Pages of a list: more objects than a cluster may have. An API server that always names a further page is none.
pub const PAGES: usize = 300;
/// How long an API server that does not answer is asked again. One that restarts is back in 10 to 25 s, an
/// election of etcd takes 21 s.
const PATIENCE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_secs(2);
/// What a kubectl may need besides its one request: its start on a busy host, a connection that hangs.
const MARGIN: Duration = Duration::from_secs(15);

/// Stands before the status of a request that failed. JSON has this byte nowhere.
const FAILED: u8 = 0x1e;

pub struct Kubectl<'a> {
    pub host: &'a dyn Host,
    /// The program and its first arguments.
    pub program: &'a [String],
    /// What one request may take.
    pub request_timeout: Duration,
}

/// The default of the option `kubectl`.
pub fn k3s_kubectl() -> Vec<String> {
    vec!["k3s".to_owned(), "kubectl".to_owned()]
}

/// Refuses the option `kubectl` without a program.
pub fn check_program(kubectl: &[String]) -> Result<(), String> {
    if kubectl.is_empty() {
        return Err("kubectl: an empty list cannot be run".to_owned());
    }
    Ok(())
}

/// Whether asking again may help: the server was away, slow or overwhelmed, rather than the way to it missing.
pub fn passing(error: &anyhow::Error) -> bool {
    Failure::of(error).is_some_and(|failure| {
        matches!(
            failure.kind,
            Kind::CommandFailed | Kind::TimedOut | Kind::AttachFailed
        )
    })
}

/// `Ok(Err(text))` for what may pass, as `wait_until` wants it.
pub fn unless_passing<T>(result: Result<T>) -> Result<Result<T, String>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if passing(&error) => Ok(Err(format!("{error:#}"))),
        Err(error) => Err(error),
    }
}

impl<'a> Kubectl<'a> {
    /// Does something with the API server, and again while it is away.
    pub fn patiently<T>(&self, doing: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let waited = wait_until(self.host, PATIENCE, ASK_EVERY, || unless_passing(attempt()))?;
        match waited {
            Waited::Done(value) => Ok(value),
            Waited::GaveUp { missing, after } => Err(anyhow::anyhow!(
                "{doing}: tried for {} s, the last time with: {missing}",
                after.as_secs()
            )),
        }
    }

    /// Reads paths, in one go, each a document of its own.
    pub fn read<'k>(&'k self, paths: &[String]) -> Result<Documents<'k, 'a>> {
        const DOING: &str = "reading from the API server";
        let reads: Vec<String> = paths.iter().map(|path| format!("g {}", quote(path))).collect();
        let mut script = self.prelude();
        // A kubectl that cannot even print its own version will not answer later either, whatever its status: 1 is also that of
        // an API server that is away.
        let _ = writeln!(
            script,
            r#"g() {{ k get --raw "$1" </dev/null || {{ s=$?; k version --client </dev/null >/dev/null 2>&1 || s=126; printf '\{FAILED:03o}%s\n' "$s"; }}; }}"#
        );
        script.push_str(&abreast::lines(&reads));
        let limit = self.limit(paths.len());
        let mut output = self.run_script(script, limit, DOING)?;
        if let Some(status) = failed(&output.stdout) {
            output.status = status;
            self.runs(status, DOING, &output.error_text())?;
            output = output.succeed(&self.host.location(), DOING)?;
        }
        Ok(Documents {
            kubectl: self,
            paths: paths.to_vec(),
            next: 0,
            bytes: output.stdout,
            at: 0,
        })
    }

    /// All objects of one path.
    pub fn list<T: DeserializeOwned>(&self, path: String) -> Result<Vec<T>> {
        self.read(&[path])?.list()
    }

    /// Merges `patch` into a node, and returns the patched node. With a `resourceVersion` in it nothing happens
    /// where somebody else has written to the node meanwhile.
    pub fn patch_node<T: DeserializeOwned>(&self, node: &str, patch: &Value) -> Result<T> {
        let timeout = self.timeout_argument();
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
        let words = self.program.iter().map(String::as_str).chain(arguments);
        // It reads the node, patches it, and on its first run looks around.
        let output = self.host.run(&Command::new(words).within(self.limit(3)))?;
        let output = output.succeed(&self.host.location(), &format!("patching the node {node}"))?;
        serde_json::from_slice(&output.stdout).context("reading the patched node")
    }

    /// Runs a script that begins with [`Kubectl::prelude`].
    pub fn run_script(&self, script: String, limit: Duration, doing: &str) -> Result<Output> {
        let output = self.host.run(&Command::script(script).within(limit))?;
        self.runs(output.status, doing, &output.error_text())?;
        output.succeed(&self.host.location(), doing)
    }

    /// An error where a status is the shell's own word for a program that it cannot run; kubectl ends with 1.
    pub(crate) fn runs(&self, status: i32, doing: &str, said: &str) -> Result<()> {
        if !matches!(status, 126 | 127) {
            return Ok(());
        }
        let detail = format!(
            "{doing}: {} cannot be run: {}",
            self.program.join(" "),
            said.trim()
        );
        Err(Failure::new(Kind::CommandNotFound, self.host.location(), detail).into())
    }

    /// Defines `k`, which is kubectl with its limit.
    pub fn prelude(&self) -> String {
        let words: Vec<String> = self.program.iter().map(|word| quote(word)).collect();
        format!(
            "k() {{ {BRIEF_GO} {} {} \"$@\"; }}\n",
            words.join(" "),
            self.timeout_argument()
        )
    }

    pub fn timeout_argument(&self) -> String {
        format!("--request-timeout={}s", self.request_timeout.as_secs())
    }

    /// What a script of so many requests, one after the other, may take.
    pub fn limit(&self, turns: usize) -> Duration {
        MARGIN + self.request_timeout * u32::try_from(turns).unwrap_or(u32::MAX)
    }
}

/// The status of the first request that failed.
fn failed(printed: &[u8]) -> Option<i32> {
    let at = printed.iter().position(|byte| *byte == FAILED)?;
    let digits = printed[at + 1..].split(|byte| *byte == b'\n').next()?;
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(1))
}

/// The answers to a [`Kubectl::read`], taken in the order of its paths.
pub struct Documents<'k, 'a> {
    kubectl: &'k Kubectl<'a>,
    paths: Vec<String>,
    next: usize,
    bytes: Vec<u8>,
    at: usize,
}

impl Documents<'_, '_> {
    pub fn one<T: DeserializeOwned>(&mut self) -> Result<T> {
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

    /// A complete list: further pages are fetched.
    pub fn list<T: DeserializeOwned>(&mut self) -> Result<Vec<T>> {
        let path = self.paths.get(self.next).cloned().unwrap_or_default();
        let List { metadata, mut items } = self.one::<List<T>>()?;
        let mut next = metadata.next;
        let mut pages = 1;
        while !next.is_empty() {
            pages += 1;
            ensure!(
                pages <= PAGES,
                "reading the API server's answer to {path}: it goes on after {PAGES} pages"
            );
            let page: List<T> = self.kubectl.read(&[next_page(&path, &next)])?.one()?;
            items.extend(page.items);
            next = page.metadata.next;
        }
        Ok(items)
    }
}

/// The path of a list, in pages.
pub fn pages(path: &str) -> String {
    format!("{path}?limit={PAGE}")
}

/// The page after the one that ended with this token.
pub fn next_page(path: &str, token: &str) -> String {
    format!("{path}&continue={}", encode(token))
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

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
