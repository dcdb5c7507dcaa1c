//! A module that must work next to the node's files or on its loopback takes its own binary inside: no key
//! and no database leaves the node, and nothing is installed on it.

use crate::{Command, Host, Output};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

/// Puts the binary (standard input) into a fresh folder that only root enters, on a mount from which programs
/// may be started, compares its hash in place, runs it, and removes the folder whatever happens. Folders that
/// a killed run left are removed too, once they are an hour old: nothing of ours runs that long.
const SCRIPT: &str = r#"umask 077
name=.homelab-k3s-carried
want=$1
shift
d=
trap 'rm -rf -- "$d"' EXIT
trap 'exit 143' HUP INT TERM
for base in /var/lib /usr/local/lib /root; do
  [ -d "$base" ] || continue
  find "$base" -maxdepth 1 -name "$name.*" -mmin +60 -exec rm -rf -- {} + 2>/dev/null
done
for base in /var/lib /usr/local/lib /root; do
  new=$(mktemp -d "$base/$name.XXXXXX" 2>/dev/null) || continue
  if [ "$d" ]; then mv -- "$d/ours" "$new/ours"; rm -rf -- "$d"; d=$new; else d=$new; cat > "$d/ours"; fi
  have=$(sha256sum "$d/ours" | cut -d' ' -f1)
  [ "$have" = "$want" ] || { echo "the binary arrived altered ($have in place of $want)" >&2; exit 120; }
  chmod 0500 "$d/ours"
  "$d/ours" --version >/dev/null 2>&1 && { "$d/ours" "$@" </dev/null; exit; }
done
echo "no folder from which a program may be started (tried /var/lib, /usr/local/lib, /root)" >&2
exit 120
"#;

/// The module that this process is, where its program holds several: the first argument of every call to ourselves.
static MODULE: OnceLock<&str> = OnceLock::new();

/// Says that our program holds several modules, and that this process is the one of that name.
pub fn name_ourselves(name: &'static str) {
    let _ = MODULE.set(name);
}

/// The command that runs our own binary with `arguments` on the host itself: on this machine directly, in a
/// container carried into it.
pub fn ourselves(host: &dyn Host, arguments: &[&str]) -> Result<Command> {
    const OURSELVES: &str = "/proc/self/exe";
    let arguments = MODULE.get().into_iter().chain(arguments).copied();
    if host.location() == host.outside().location() {
        // By the process, not by its path: a task beside us may just have put a new file in our place.
        let argv = std::iter::once(format!("/proc/{}/exe", std::process::id()));
        return Ok(Command::new(argv.chain(arguments.map(str::to_owned))));
    }
    let binary = std::fs::read(OURSELVES).context("reading our own binary")?;
    let hash = hex(&Sha256::digest(&binary));
    let argv = ["/bin/sh", "-c", SCRIPT, "sh", &hash]
        .into_iter()
        .chain(arguments);
    Ok(Command::new(argv).stdin(binary))
}

/// Runs [`ourselves`].
pub fn run_ourselves(host: &dyn Host, arguments: &[&str], limit: Duration) -> Result<Output> {
    host.run(&ourselves(host, arguments)?.within(limit))
}

/// The arguments of a command that carries us inside; `None`: it is another command. For hosts in tests, which have
/// no inside: what is carried differs with every build, what it is asked does not.
pub fn carried(command: &Command) -> Option<&[String]> {
    match command.argv.as_slice() {
        [_, _, script, _, _, arguments @ ..] if script == SCRIPT => Some(arguments),
        _ => None,
    }
}

/// The first argument by which a module calls itself inside; the second is what it asks, in JSON.
const INSIDE: &str = "--inside";
/// What comes back is from a container, and untrusted. No answer of ours is nearly as large.
const ANSWER: usize = 4 << 20;

/// Asks our own binary on the host itself, which answers by [`asked_inside`].
pub fn ask_ourselves<Q: Serialize, A: DeserializeOwned>(
    host: &dyn Host,
    request: &Q,
    limit: Duration,
    doing: &str,
) -> Result<A> {
    let request = serde_json::to_string(request)?;
    let output = run_ourselves(host, &[INSIDE, &request], limit)?.succeed(&host.location(), doing)?;
    parse(&output).with_context(|| format!("{}: {doing}", host.location()))
}

fn parse<A: DeserializeOwned>(output: &Output) -> Result<A> {
    ensure!(
        !output.truncated && output.stdout.len() <= ANSWER,
        "reading the answer: more than {ANSWER} bytes came back"
    );
    serde_json::from_slice(&output.stdout).context("reading the answer")
}

/// Answers what these arguments ask, where they ask something: one JSON line on standard output and status 0, or the fault on standard
/// error and status 1. `None`: this is a call of the module.
#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the far end of a Host: its output is its answer"
)]
pub fn asked_inside(arguments: &[String], answer: impl FnOnce(&str) -> Result<String>) -> Option<ExitCode> {
    let [inside, request] = arguments else {
        return None;
    };
    if inside != INSIDE {
        return None;
    }
    Some(match answer(request) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded_and_read_strictly() {
        let cases = [
            (b"7".to_vec(), false, true),
            (b"{".to_vec(), false, false),
            (b"7".to_vec(), true, false),
            (vec![b' '; ANSWER + 1], false, false),
        ];
        for (stdout, truncated, fine) in cases {
            let output = Output {
                stdout,
                truncated,
                ..Output::default()
            };
            assert_eq!(parse::<u8>(&output).is_ok(), fine);
        }
    }
}
