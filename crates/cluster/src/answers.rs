//! Questions that travel in one script, like [`Kubectl::read`], but are answered each for itself: where one thing
//! cannot be had, the others are reported all the same.

use crate::abreast;
use crate::client::Kubectl;
use anyhow::{Context, Result};
use host::{Command, quote};
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::ops::Range;

/// A server that is not ready says why check by check, which is as long as this.
const SAID: usize = 4096;

/// What is to be asked.
pub struct Questions<'k, 'a> {
    kubectl: &'k Kubectl<'a>,
    script: String,
    mark: String,
    asked: Vec<String>,
    /// Not in the script yet: they are asked side by side.
    waiting: Vec<String>,
}

/// What came of the questions, in their order.
pub struct Answers {
    stdout: Vec<u8>,
    parts: Vec<Part>,
}

struct Part {
    asked: String,
    status: i32,
    document: Range<usize>,
    said: String,
}

/// What came of one question.
pub struct Answer<'d> {
    /// The path, or the name of what was asked.
    pub asked: &'d str,
    pub status: i32,
    pub document: &'d [u8],
    /// The beginning of what was said on standard error.
    pub said: &'d str,
}

impl<'k, 'a> Questions<'k, 'a> {
    pub fn new(kubectl: &'k Kubectl<'a>) -> Self {
        let mark = kubectl.host.unique();
        let mut script = kubectl.prelude();
        // What is said stands before the status, since those who are asked side by side would all speak at once.
        let _ = writeln!(
            script,
            r#"a() {{ exec 9>&1; w=$("$@" 2>&1 >&9 9>&- </dev/null); s=$?; [ -z "$w" ] || printf '\n%s said\n%s' {mark} "$w"; printf '\n%s %s\n' {mark} "$s"; return "$s"; }}"#
        );
        Self {
            kubectl,
            script,
            mark,
            asked: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Defines something that later questions use.
    #[must_use]
    pub fn with(mut self, definition: &str) -> Self {
        self.flush();
        self.script.push_str(definition);
        self
    }

    /// Asks for a path of the API server.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        let command = format!("k get --raw {}", quote(path));
        self.command(path, &command)
    }

    /// Asks a command; `k` is kubectl.
    #[must_use]
    pub fn command(mut self, name: &str, command: &str) -> Self {
        self.waiting.push(format!("a {command}"));
        self.asked.push(name.to_owned());
        self
    }

    fn flush(&mut self) {
        let lines = abreast::lines(&std::mem::take(&mut self.waiting));
        self.script.push_str(&lines);
    }

    /// Asks nothing more where the last answer was a failure: it would be the same again, each after its timeout.
    #[must_use]
    pub fn or_end(mut self) -> Self {
        let last = self.waiting.pop();
        self.flush();
        if let Some(last) = last {
            // The script itself has done what it was for.
            let _ = writeln!(self.script, "{last} || exit 0");
        }
        self
    }

    /// An error is a script that could not be run, or not to its end.
    pub fn ask(mut self, doing: &str) -> Result<Answers> {
        self.flush();
        self.script.push_str("exit 0\n");
        let limit = self.kubectl.limit(self.asked.len());
        let host = self.kubectl.host;
        let output = host.run(&Command::script(self.script).within(limit))?;
        let output = output.succeed(&host.location(), doing)?;
        let answers = Answers::split(output.stdout, &self.mark, self.asked);
        for part in &answers.parts {
            self.kubectl.runs(part.status, doing, &part.said)?;
        }
        Ok(answers)
    }
}

impl Answers {
    fn split(stdout: Vec<u8>, mark: &str, asked: Vec<String>) -> Self {
        let parts = asked.into_iter().zip(sections(&stdout, mark));
        let parts = parts.map(|(asked, section)| {
            let said = &stdout[section.said];
            let said = String::from_utf8_lossy(&said[..said.len().min(SAID)]);
            Part {
                asked,
                status: section.status,
                document: section.document,
                said: said.trim().to_owned(),
            }
        });
        let parts = parts.collect();
        Self { stdout, parts }
    }

    /// One is missing where the script ended before.
    pub fn get(&self, number: usize) -> Option<Answer<'_>> {
        self.parts.get(number).map(|part| Answer {
            asked: &part.asked,
            status: part.status,
            document: &self.stdout[part.document.clone()],
            said: &part.said,
        })
    }
}

impl Answer<'_> {
    pub fn ok(&self) -> bool {
        self.status == 0
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.document).into_owned()
    }

    /// The document, where there is one.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        if !self.ok() {
            anyhow::bail!("{} ended with status {}: {}", self.asked, self.status, self.said);
        }
        serde_json::from_slice(self.document).with_context(|| format!("reading the answer to {}", self.asked))
    }
}

struct Section {
    document: Range<usize>,
    said: Range<usize>,
    status: i32,
}

/// Splits at the lines that begin with the mark; what follows the last one belongs to nobody.
fn sections(text: &[u8], mark: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let (mut from, mut at, mut said) = (0, 0, None);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = at + line.len();
        match line.strip_prefix(mark.as_bytes()).map(<[u8]>::trim_ascii) {
            None => {}
            Some(b"said") => said = Some((at, end)),
            Some(status) => {
                let status = std::str::from_utf8(status).unwrap_or_default();
                let (document_end, said_from) = said.take().unwrap_or((at, at));
                sections.push(Section {
                    document: from..document_end,
                    said: said_from..at,
                    status: status.parse().unwrap_or_default(),
                });
                from = end;
            }
        }
        at = end;
    }
    sections
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
