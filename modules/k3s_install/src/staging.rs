//! A node that a file is brought to: verified there, and kept under the name by which it is found again.

use crate::params::Params;
use crate::run::done;
use anyhow::{Context, Result};
use host::{Command, Failure, Host, Kind};
use k3s_node::probe::Run;
use k3s_node::{Changes, FOLDER, Facts, Probe};
use std::time::Duration;

/// The node that something is fetched to.
pub(crate) struct Node<'a> {
    pub(crate) params: &'a Params,
    pub(crate) host: &'a dyn Host,
    /// The folder of its k3s.
    pub(crate) bin: &'a str,
}

/// What a file has to be.
pub(crate) struct Expected<'a> {
    /// Where it came from.
    pub(crate) from: &'a str,
    pub(crate) sha256: &'a str,
    /// Who has the sum.
    pub(crate) says: &'a str,
}

impl Node<'_> {
    pub(crate) fn part(&self) -> String {
        format!("{}/.k3s-{}.part", self.bin, self.params.version)
    }

    /// What may be done to a large file on a slow disk.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.params.download_timeout) + Command::USUAL_LIMIT
    }

    pub(crate) fn refuse(&self, detail: String) -> anyhow::Error {
        Failure::new(Kind::CommandFailed, self.host.location(), detail).into()
    }

    pub(crate) fn visit(
        &self,
        changes: &Changes,
        questions: &Probe,
        limit: Duration,
        doing: &str,
    ) -> Result<Facts> {
        let command = changes.and_ask(questions, self.params.lock_timeout, limit);
        let output = self.host.run(&command).with_context(|| doing.to_owned())?;
        let output = output.succeed(&self.host.location(), doing)?;
        Facts::parse(&output.stdout).with_context(|| format!("{}: {doing}", self.host.location()))
    }

    /// The outcome; after an error, what was fetched is removed.
    pub(crate) fn or_remove<T>(&self, outcome: Result<T>, removal: &Changes) -> Result<T> {
        outcome.map_err(|error| {
            match done(
                self.host,
                &removal.command(0, Command::USUAL_LIMIT),
                "removing what was fetched",
            ) {
                Ok(_) => error,
                Err(failed) => error.context(format!("what was fetched could not be removed ({failed:#})")),
            }
        })
    }

    /// Keeps the verified binary under the name by which it is found again; `facts` has its sum.
    pub(crate) fn stage(&self, facts: &Facts, expected: &Expected) -> Result<String> {
        let (version, part) = (&self.params.version, self.part());
        expected
            .check(facts, &part)
            .map_err(|detail| self.refuse(detail))?;
        let run = Run {
            argv: &[&part, "--version"],
            errors: true,
            ..Run::default()
        };
        let facts = self.visit(
            &Changes::new().mode(&part, 0o755),
            &Probe::new().run("version", &run),
            Command::USUAL_LIMIT,
            &format!("asking {} for its version", expected.from),
        )?;
        let said = facts.lossy("version").unwrap_or_default();
        let line = said.lines().next().unwrap_or_default();
        // It calls itself by the name of its file.
        if !format!("{line} ").contains(&format!(" version {version} ")) {
            return Err(self.refuse(format!(
                "{} says of itself {line:?}, where k3s version {version} was expected: it was removed",
                expected.from
            )));
        }
        let staged = format!("{}/.k3s-{version}.{}.staged", self.bin, expected.sha256);
        let changes = Changes::new()
            .put_in_place(&part, &staged)
            .remove_matching(FOLDER, "*.part");
        let command = changes.command(self.params.lock_timeout, self.limit());
        done(self.host, &command, &format!("keeping k3s {version}"))?;
        Ok(staged)
    }
}

impl Expected<'_> {
    pub(crate) fn check(&self, facts: &Facts, path: &str) -> Result<(), String> {
        let Self { from, sha256, says } = self;
        let found = sum(facts, path);
        if found == *sha256 {
            return Ok(());
        }
        Err(format!(
            "{from} has the SHA-256 sum {found}, where {says} says {sha256}: truncated or altered, it was removed"
        ))
    }
}

/// The answer to [`Probe::sum`] under the name `sum`.
pub(crate) fn sum(facts: &Facts, path: &str) -> String {
    let line = facts.lossy(&format!("sum:{path}")).unwrap_or_default();
    line.split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::frames;

    #[test]
    fn a_file_has_the_sum_that_was_said() {
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let expected = Expected {
            from: "https://a/k3s",
            sha256: &one,
            says: "https://a/sums",
        };
        let line = |sum: &str| format!("{sum}  -");
        assert_eq!(expected.check(&frames(&[("sum:/p", &line(&one))]), "/p"), Ok(()));
        assert_eq!(
            expected
                .check(&frames(&[("sum:/p", &line(&two))]), "/p")
                .unwrap_err(),
            format!(
                "https://a/k3s has the SHA-256 sum {two}, where https://a/sums says {one}: truncated or altered, it was removed"
            )
        );
        assert!(expected.check(&frames(&[]), "/p").is_err());
    }
}
