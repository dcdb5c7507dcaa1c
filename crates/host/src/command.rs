//! What to run, and what came of it.

use crate::{Failure, Kind, Save, Saved, Secret};
use anyhow::Result;
use std::time::Duration;

/// A program and its arguments: never a shell string. Every command has a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub argv: Vec<String>,
    pub stdin: Vec<u8>,
    /// Given to the program in its environment; in a container they travel by stdin, so that no process
    /// outside sees them.
    pub environment: Vec<(String, Secret)>,
    pub chdir: Option<String>,
    pub limit: Duration,
    /// A file of the machine that we run on, whose content follows `stdin`.
    pub send: Option<String>,
    /// Where the output goes, if not into memory.
    pub save: Option<Save>,
}

/// Variables for a Go program that lives for a second, such as kubectl, as a shell has them before a command. Most of its time is its
/// start, and a quarter of that the collection of garbage (v1.36.3: 0.131 s of a core with it, 0.099 s without). From this size on
/// garbage is collected all the same.
pub const BRIEF_GO: &str = "GOGC=off GOMEMLIMIT=128MiB";

impl Command {
    /// Long enough for any query on a loaded machine; what may take longer says so with [`Command::within`].
    pub const USUAL_LIMIT: Duration = Duration::from_mins(1);

    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: Vec::new(),
            environment: Vec::new(),
            chdir: None,
            limit: Self::USUAL_LIMIT,
            send: None,
            save: None,
        }
    }

    /// A script for `sh -s`, fed by stdin: no part of it is seen in any list of processes.
    pub fn script(text: impl Into<String>) -> Self {
        Self::new(["/bin/sh", "-s"]).stdin(text.into())
    }

    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Vec<u8>>) -> Self {
        self.stdin = stdin.into();
        self
    }

    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((key.into(), Secret::new(value)));
        self
    }

    #[must_use]
    pub fn chdir(mut self, folder: impl Into<String>) -> Self {
        self.chdir = Some(folder.into());
        self
    }

    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Feeds it the content of this file, of the machine that we run on.
    #[must_use]
    pub fn send(mut self, path: impl Into<String>) -> Self {
        self.send = Some(path.into());
        self
    }

    /// Writes what it prints to this private file of the machine that we run on, in place of [`Output::stdout`]. An
    /// error leaves no file; what a command that ended with another status than 0 has printed is there.
    #[must_use]
    pub fn save(mut self, path: impl Into<String>, most: u64) -> Self {
        self.save = Some(Save {
            path: path.into(),
            most,
        });
        self
    }

    /// The program's name, for messages; arguments may hold what must not be repeated.
    pub fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// What a command that ran to its end left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit status; 128 + n where signal n ended it.
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Whether output beyond [`crate::capture::LIMIT`] was dropped.
    pub truncated: bool,
    pub took: Duration,
    /// What [`Command::save`] has brought.
    pub saved: Option<Saved>,
}

impl Output {
    pub fn ok(&self) -> bool {
        self.status == 0
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The same output where the status is 0, else the error that says what was `being done` and what the
    /// program had to say.
    pub fn succeed(self, location: &str, being_done: &str) -> Result<Self> {
        if self.ok() {
            return Ok(self);
        }
        let detail = format!("{being_done} {}", self.ending());
        Err(Failure::new(Kind::CommandFailed, location, detail)
            .with_output(self)
            .into())
    }

    /// `ended with status 1`, and the end of what it said.
    pub(crate) fn ending(&self) -> String {
        let said = last_lines(&self.error_text(), &self.text());
        format!("ended with status {}{said}", self.status)
    }
}

/// The end of what a program said is where it names the fault; a screenful is enough to act on. kubectl logs each try to read what the
/// API serves, and its last line says the same of all, so these tries count only where there is nothing else.
fn last_lines(stderr: &str, stdout: &str) -> String {
    const LINES: usize = 12;
    let said = if stderr.trim().is_empty() { stdout } else { stderr }.trim();
    if said.is_empty() {
        return String::new();
    }
    let (tries, spoken): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| is_logged_try(line));
    let mut lines = if spoken.is_empty() { tries } else { spoken };
    // Several requests that failed for the same reason.
    lines.dedup();
    let from = lines.len().saturating_sub(LINES);
    format!(": {}", lines[from..].join("\n"))
}

/// `E1125 07:30:54.513574     291 memcache.go:265] …`: a severity and a date, and kubectl's source that reads what the API serves.
fn is_logged_try(line: &str) -> bool {
    let Some((date, rest)) = line.split_once(' ') else {
        return false;
    };
    let dated = date.len() == 5
        && date.starts_with(['I', 'W', 'E', 'F'])
        && date.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    dated
        && rest
            .split_once("] ")
            .is_some_and(|(source, _)| source.contains(" memcache.go:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logged_tries_count_only_where_a_program_said_nothing_else_and_each_line_once() {
        let try_ = "E1201 00:30:54.513574     291 memcache.go:265] \"Unhandled Error\" err=\"no\"\n";
        let logged = format!(": {}", try_.trim_end());
        let table = [
            (format!("{try_}{try_}error: no\n"), ": error: no"),
            (format!("error: no\n{try_}hint\n"), ": error: no\nhint"),
            (try_.to_owned(), &logged),
            (
                "E1201 00:30:54.5 291 main.go:7] no\nhint\n".to_owned(),
                ": E1201 00:30:54.5 291 main.go:7] no\nhint",
            ),
            ("refused\nrefused\nrefused\nhint\n".to_owned(), ": refused\nhint"),
            ("E1201 has no source\n".to_owned(), ": E1201 has no source"),
            ("EXIT: a] main.go:1\n".to_owned(), ": EXIT: a] main.go:1"),
        ];
        for (stderr, expected) in table {
            assert_eq!(last_lines(&stderr, ""), expected);
        }
    }
}
