//! Waiting for k3s: until it has moved everything to etcd, or until it serves from `SQLite` again.

use crate::inside::Member;
use crate::script;
use crate::state::Paths;
use anyhow::{Context, Result, bail};
use host::{Failure, Host, Kind, wait_until};
use k3s_node::{Facts, Show};
use k3s_types::mask;
use std::time::Duration;

/// A look runs kubectl once, which costs a busy server half a second.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// systemd kills what has not stopped after 90 s.
const STOP_LIMIT: Duration = Duration::from_secs(150);

/// One look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    unit: String,
    show: Show,
    wal: bool,
    database: bool,
    ready: bool,
    said: String,
}

impl Look {
    fn parse(bytes: &[u8], unit: &str) -> Result<Self> {
        let facts = Facts::parse(bytes)?;
        let is = |name: &str| facts.lossy(name).is_some();
        Ok(Self {
            unit: unit.to_owned(),
            show: Show::of(&facts, unit),
            wal: is("wal"),
            database: is("database"),
            ready: facts.has("said") && facts.status("said") == 0,
            said: excerpt(&facts.lossy("said").unwrap_or_default()),
        })
    }

    /// What a migrating start still lacks. An error: it will not come. `since`: when it was asked for.
    fn migrated(&self, since: u64) -> Result<Result<(), String>> {
        let unit = &self.unit;
        let Show { active, started, .. } = &self.show;
        // Before its turn comes, a queued start looks like a stopped unit.
        if active == "failed" || (active == "inactive" && *started >= since) {
            bail!("{unit} has ended ({active}) before everything was moved");
        }
        if self.ready && self.database {
            bail!("the API server serves, but state.db was not moved: {unit} has not migrated");
        }
        Ok(if self.database {
            Err("SQLite is not moved yet".to_owned())
        } else if !self.wal {
            Err("etcd has not been begun".to_owned())
        } else {
            self.serves()
        })
    }

    fn is_back(&self) -> Result<(), String> {
        if self.wal || !self.database {
            return Err("SQLite is not the datastore again".to_owned());
        }
        self.serves()
    }

    fn serves(&self) -> Result<(), String> {
        let (unit, active) = (&self.unit, &self.show.active);
        if !self.ready {
            return Err(format!("{unit} is {active}, and /readyz says {:?}", self.said));
        }
        if active != "active" {
            return Err(format!("{unit} is {active}"));
        }
        Ok(())
    }
}

/// The end of what a program said, on one line.
fn excerpt(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.unwrap_or_default().chars().take(160).collect()
}

/// Waits until a start that was asked for at `since` has moved everything and `member` says that etcd's member votes.
pub(crate) fn migrated(
    host: &dyn Host,
    paths: &Paths,
    since: u64,
    limit: Duration,
    member: impl Fn() -> Result<Member>,
) -> Result<Member> {
    let waited = wait_until(host, limit, LOOK_EVERY, || {
        let missing = match look(host, paths)? {
            Ok(look) => look.migrated(since)?,
            Err(missing) => Err(missing),
        };
        Ok(missing.and_then(|()| match member() {
            Ok(member) if member.voter => Ok(member),
            Ok(member) => Err(format!("the member {} of etcd does not vote yet", member.name)),
            Err(error) => Err(format!("{error:#}")),
        }))
    });
    waited
        .and_then(|waited| waited.or_fail(host, "k3s to move its datastore to etcd"))
        .with_context(|| blamed(host, paths))
}

/// Waits until k3s serves from `SQLite`.
pub(crate) fn is_back(host: &dyn Host, paths: &Paths, limit: Duration) -> Result<()> {
    let waited = wait_until(host, limit, LOOK_EVERY, || {
        Ok(look(host, paths)?.and_then(|look| look.is_back()))
    })?;
    waited.or_fail(host, "k3s to serve from SQLite again")
}

/// Waits until k3s is stopped.
pub(crate) fn stopped(host: &dyn Host, paths: &Paths) -> Result<()> {
    let unit = &paths.unit;
    let waited = wait_until(host, STOP_LIMIT, LOOK_EVERY, || {
        Ok(
            look(host, paths)?.and_then(|look| match look.show.active.as_str() {
                "inactive" | "failed" => Ok(()),
                active => Err(format!("{unit} is {active}")),
            }),
        )
    })?;
    waited.or_fail(host, &format!("{unit} to stop"))
}

/// A look that could not be taken is one more thing that is missing: a container that is slow may come back.
fn look(host: &dyn Host, paths: &Paths) -> Result<Result<Look, String>> {
    match host.run(&script::look(paths)) {
        Ok(output) => Look::parse(&output.stdout, &paths.unit)
            .with_context(|| format!("{}: checking {}", host.location(), paths.unit))
            .map(Ok),
        Err(error) => match Failure::of(&error) {
            Some(Failure {
                kind: Kind::TimedOut | Kind::AttachFailed,
                ..
            }) => Ok(Err(format!("{error:#}"))),
            _ => Err(error),
        },
    }
}

/// What k3s complained of last; shown, never decided upon.
fn blamed(host: &dyn Host, paths: &Paths) -> String {
    const LINES: usize = 3;
    let output = host.run(&script::journal(paths)).map(|output| output.text());
    let output = output.unwrap_or_default();
    let lines: Vec<String> = output
        .lines()
        .filter(|line| line.contains("level=fatal") || line.contains("level=error"))
        .map(|line| mask::log_line(line).chars().take(300).collect())
        .collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    if last.is_empty() {
        "the move to etcd is not proven, and the journal of k3s names no error".to_owned()
    } else {
        format!(
            "the move to etcd is not proven; the errors in k3s's journal end with {}",
            last.join(" | ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: u64 = 1000;
    const UNIT: &str = "k3s.service";

    fn complete() -> Look {
        Look {
            unit: UNIT.to_owned(),
            show: Show {
                active: "active".to_owned(),
                started: SINCE,
                ..Show::default()
            },
            wal: true,
            database: false,
            ready: true,
            said: "ok".to_owned(),
        }
    }

    fn with(change: impl FnOnce(&mut Look)) -> Look {
        let mut look = complete();
        change(&mut look);
        look
    }

    #[test]
    fn each_part_of_the_proof_can_be_missing() {
        assert_eq!(complete().migrated(SINCE).unwrap(), Ok(()));
        let cases = [
            (
                with(|look| (look.database, look.ready) = (true, false)),
                "not moved yet",
            ),
            (with(|look| look.wal = false), "has not been begun"),
            (with(|look| look.ready = false), "/readyz says \"ok\""),
            (
                with(|look| look.show.active = "activating".to_owned()),
                "is activating",
            ),
            (
                with(|look| {
                    (look.show.active, look.show.started, look.ready) =
                        ("inactive".to_owned(), SINCE - 1, false);
                }),
                "is inactive",
            ),
        ];
        for (look, missing) in cases {
            let message = look.migrated(SINCE).unwrap().unwrap_err();
            assert!(message.contains(missing), "{message} has no {missing:?}");
        }
    }

    #[test]
    fn what_cannot_come_any_more_is_not_waited_for() {
        let cases = [
            (
                with(|look| look.show.active = "failed".to_owned()),
                "has ended (failed)",
            ),
            (
                with(|look| look.show.active = "inactive".to_owned()),
                "has ended (inactive)",
            ),
            (with(|look| look.database = true), "has not migrated"),
        ];
        for (look, why) in cases {
            let message = look.migrated(SINCE).unwrap_err().to_string();
            assert!(message.contains(why), "{message} has no {why:?}");
        }
    }

    #[test]
    fn sqlite_is_back_when_it_serves_and_etcd_is_gone() {
        let back = with(|look| (look.wal, look.database) = (false, true));
        assert_eq!(back.is_back(), Ok(()));
        for look in [
            with(|look| look.database = true),
            with(|look| look.wal = false),
            Look {
                ready: false,
                ..back.clone()
            },
        ] {
            assert!(look.is_back().is_err(), "{look:?}");
        }
    }

    #[test]
    fn a_look_is_read() {
        let text = "Id=k3s.service\nActiveState=active";
        let bytes = format!("@show {}\n{text}\n@wal 1\nx\n@said 2\nok\n@end 0\n\n", text.len());
        let look = Look::parse(bytes.as_bytes(), UNIT).unwrap();
        assert!(look.wal && !look.database && look.ready);
        assert_eq!((look.said.as_str(), look.show.active.as_str()), ("ok", "active"));
        let refused = Look::parse(b"@status:said 1\n1\n@said 1\n?\n@end 0\n\n", UNIT).unwrap();
        assert!(!refused.ready);
    }
}
