//! How a command travels into a container, and how we know what became of it.
//!
//! The arguments of `pct` are visible to everybody and are decoded in the host's locale, and its exit status
//! says as often "pct failed" as "the command failed". So `pct` only ever sees a constant loader; everything
//! else (arguments, environment, folder) is a short program on stdin, read by the loader line by line, after
//! which stdin belongs to the command, byte for byte. Two marks on stderr, which no other run has, say that
//! the command was started and with which status it ended.

use crate::{Command, Output, quote};
use anyhow::{Result, bail};
use std::fmt::Write as _;

/// Reads a count and as many lines with `read`, which never takes more than its line, and runs them.
pub(crate) const LOADER: &str = "IFS= read -r n; s=; while [ \"$n\" -gt 0 ]; do IFS= read -r l; s=\"$s$l\n\"; n=$((n-1)); done; eval \"$s\"";

/// The variable by which all that a command started can be found again. Its value is the run's mark.
pub(crate) const MARK_VARIABLE: &str = "HOMELAB_K3S_RUN";

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds the program as `exec` would, so that "not found" is distinguished from a command that ends with 127,
/// then runs it in a subshell by `exec`: no shell builtin takes its place. Meanwhile the shell's own standard error is
/// closed: it would report a death by signal among the command's words.
const RUN: &str = r#"case $1 in
*/*) [ -x "$1" ] && [ ! -d "$1" ] && f=1;;
*) f=; IFS=:; for d in $PATH; do [ -x "$d/$1" ] && [ ! -d "$d/$1" ] && f=1; done; unset IFS;;
esac
[ "$f" ] || { printf '%s missing\n' "$m" >&2; exit 127; }
unset f d
exec 3>&2 2>&-
(exec 2>&3 3>&-; exec "$@")
r=$?
exec 2>&3 3>&-
printf '%s end %s\n' "$m" "$r" >&2
exit "$r"
"#;

/// The bytes for stdin: the count of lines, the program, then the command's own input.
pub(crate) fn stdin(command: &Command, mark: &str) -> Result<Vec<u8>> {
    let program = program(command, mark)?;
    let mut bytes = format!("{}\n{program}", program.matches('\n').count()).into_bytes();
    bytes.extend_from_slice(&command.stdin);
    Ok(bytes)
}

fn program(command: &Command, mark: &str) -> Result<String> {
    let mut text = format!("m={mark} f=\nprintf '%s begin\\n' \"$m\" >&2\numask 022\n");
    let usual = [
        ("PATH", PATH),
        ("HOME", "/root"),
        ("USER", "root"),
        ("LOGNAME", "root"),
        ("LC_ALL", "C.UTF-8"),
    ];
    for (key, value) in usual.into_iter().chain([(MARK_VARIABLE, mark)]) {
        let _ = writeln!(text, "export {key}={}", argument(value)?);
    }
    for (key, value) in &command.environment {
        if !is_variable_name(key) {
            bail!("environment: {key:?} cannot be the name of a variable (letters, digits and _ only)");
        }
        let _ = writeln!(text, "export {key}={}", argument(value.expose())?);
    }
    if let Some(folder) = &command.chdir {
        let _ = writeln!(
            text,
            "cd -- {} || {{ printf '%s folder\\n' \"$m\" >&2; exit 127; }}",
            argument(folder)?
        );
    }
    text.push_str("set --");
    for word in &command.argv {
        text.push(' ');
        text.push_str(&argument(word)?);
    }
    text.push('\n');
    text.push_str(RUN);
    Ok(text)
}

/// Ends all that carries the mark, and says how many passes it took. A process that appears between two
/// looks is found by the next one.
pub(crate) fn sweep(mark: &str) -> String {
    format!(
        "i=0\nwhile [ \"$i\" -lt 10 ]; do\np=$(grep -ls '{MARK_VARIABLE}={mark}' /proc/[0-9]*/environ | cut -d/ -f3)\n[ \"$p\" ] || exit 0\nkill -KILL $p 2>/dev/null\ni=$((i+1))\ndone\nexit 1\n"
    )
}

fn argument(text: &str) -> Result<String> {
    if text.contains('\0') {
        bail!("an argument with a NUL byte cannot be given to a program");
    }
    Ok(quote(text))
}

pub(crate) fn is_variable_name(key: &str) -> bool {
    !key.starts_with(|c: char| c.is_ascii_digit())
        && !key.is_empty()
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What the marks say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It ran to its end: status and output are the command's own.
    Ended(Output),
    /// It never started: what `pct` and lxc had to say.
    NotStarted {
        noise: String,
    },
    ProgramMissing,
    FolderMissing,
    /// It started and its end was not seen; the output is what came until then.
    Cut(Output),
}

/// Splits the command's own output from what `pct` printed around it.
pub(crate) fn interpret(mut output: Output, mark: &str) -> Seen {
    let begin = format!("{mark} begin\n");
    let Some(started) = find(&output.stderr, begin.as_bytes()) else {
        return Seen::NotStarted {
            noise: output.error_text(),
        };
    };
    let own = output.stderr.split_off(started + begin.len());
    if own.starts_with(format!("{mark} missing\n").as_bytes()) {
        return Seen::ProgramMissing;
    }
    if find(&own, format!("{mark} folder\n").as_bytes()).is_some() {
        return Seen::FolderMissing;
    }
    match split_at_end(&own, mark) {
        Some((before, status)) => Seen::Ended(Output {
            stderr: before.to_vec(),
            status,
            ..output
        }),
        None => Seen::Cut(Output {
            stderr: own,
            ..output
        }),
    }
}

fn split_at_end<'a>(own: &'a [u8], mark: &str) -> Option<(&'a [u8], i32)> {
    let end = format!("{mark} end ");
    let at = own
        .windows(end.len())
        .rposition(|window| window == end.as_bytes())?;
    let status = own[at + end.len()..].split(|byte| *byte == b'\n').next()?;
    Some((&own[..at], std::str::from_utf8(status).ok()?.parse().ok()?))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::Stdio;

    /// Runs the loader as `pct exec` would, in each shell that a container may have as /bin/sh.
    fn run_in(shell: &[&str], command: &Command) -> Seen {
        let mut child = std::process::Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", LOADER])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let bytes = stdin(command, "mark-1").unwrap();
        let feeder = std::thread::spawn(move || {
            let _ = input.write_all(&bytes);
        });
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        let output = Output {
            stdout: output.stdout,
            stderr: output.stderr,
            ..Output::default()
        };
        interpret(output, "mark-1")
    }

    fn run(command: &Command) -> Output {
        let seen = run_in(&["dash"], command);
        assert_eq!(
            format!("{seen:?}"),
            format!("{:?}", run_in(&["bash", "--posix"], command)),
            "dash and bash differ"
        );
        match seen {
            Seen::Ended(output) => output,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_status_passes() {
        for status in [0, 1, 2, 126, 127, 255] {
            assert_eq!(
                run(&Command::new(["sh", "-c", &format!("exit {status}")])).status,
                status
            );
        }
    }

    #[test]
    fn arguments_arrive_unchanged() {
        let odd = ["é ü", "two\nlines\n", "it's", "$HOME `id` \\", "-n", "", "*"];
        let output = run(&Command::new(["printf", "<%s>"].into_iter().chain(odd)));
        assert_eq!(output.text(), format!("<{}>", odd.join("><")));
    }

    #[test]
    fn stdin_is_the_commands_from_its_first_byte() {
        let input: Vec<u8> = (0..=255_u8).cycle().take(300_000).collect();
        assert_eq!(run(&Command::new(["cat"]).stdin(input.clone())).stdout, input);
    }

    #[test]
    fn a_missing_program_is_not_a_command_that_ends_with_127() {
        assert_eq!(
            run_in(&["dash"], &Command::new(["no-such-program"])),
            Seen::ProgramMissing
        );
        assert_eq!(
            run_in(&["dash"], &Command::new(["/no/such/program"])),
            Seen::ProgramMissing
        );
        assert_eq!(run_in(&["dash"], &Command::new(["/etc"])), Seen::ProgramMissing);
    }

    #[test]
    fn runs_programs_rather_than_builtins() {
        assert_eq!(
            run_in(&["dash"], &Command::new(["cd", "/"])),
            Seen::ProgramMissing
        );
    }

    #[test]
    fn reports_a_missing_folder() {
        assert_eq!(
            run_in(&["dash"], &Command::new(["true"]).chdir("/no/such")),
            Seen::FolderMissing
        );
        assert_eq!(run(&Command::new(["pwd"]).chdir("/usr")).text(), "/usr\n");
    }

    #[test]
    fn environment_reaches_the_command_and_local_bin_is_searched() {
        let output = run(&Command::new(["printenv", "K3S_TOKEN", "PATH"]).env("K3S_TOKEN", "a'b\nc"));
        assert!(output.text().starts_with("a'b\nc\n"), "{}", output.text());
        assert!(output.text().contains(":/usr/local/bin:"), "{}", output.text());
    }

    #[test]
    fn keeps_all_of_the_commands_own_stderr() {
        let output = run(&Command::new(["sh", "-c", "printf 'no newline' >&2"]));
        assert_eq!(output.error_text(), "no newline");
    }

    #[test]
    fn noise_before_the_command_is_not_its_stderr() {
        let stderr = "vm 101 - some warning\nmark-1 begin\nits own\nmark-1 end 3\n";
        let output = Output {
            stderr: stderr.into(),
            ..Output::default()
        };
        let Seen::Ended(output) = interpret(output, "mark-1") else {
            panic!()
        };
        assert_eq!((output.error_text().as_str(), output.status), ("its own\n", 3));
    }

    #[test]
    fn a_command_whose_end_was_not_seen_is_cut() {
        let output = Output {
            stderr: "mark-1 begin\nhalf".into(),
            ..Output::default()
        };
        assert!(matches!(interpret(output, "mark-1"), Seen::Cut(output) if output.error_text() == "half"));
    }

    #[test]
    fn death_by_signal_is_128_and_the_signal_and_no_word_of_the_shell() {
        let output = run(&Command::new(["sh", "-c", "echo own >&2; kill -KILL $$"]));
        assert_eq!((output.status, output.error_text().as_str()), (137, "own\n"));
    }

    #[test]
    fn names_that_a_shell_cannot_export_are_refused() {
        for name in ["", "1A", "A-B", "A B", "A=B"] {
            assert!(
                stdin(&Command::new(["true"]).env(name, "x"), "m").is_err(),
                "{name}"
            );
        }
    }
}
