//! How changes end: with the status of a program that failed, with a unit that is started again, with answers.

use super::Changes;
use crate::probe::Probe;
use crate::program::Program;
use host::{Command, quote};
use std::time::Duration;

impl Changes {
    /// Runs a program that must succeed. Where it fails, these changes end with its status. What it leaves running does not hold our lock.
    #[must_use]
    pub fn run_or_end(self, argv: &[&str], doing: &str) -> Self {
        let words: Vec<String> = argv.iter().map(|word| quote(word)).collect();
        let failed = quote(&format!("{doing} failed"));
        self.line(&format!("{} </dev/null 9>&- || {{", words.join(" ")))
            .line("    status=$?")
            .line(&format!("    printf '%s\\n' {failed} >&2"))
            .line("    exit \"$status\"\n}")
    }

    /// Runs a script from a file, with lines before it. Where it fails, these changes end with its status.
    #[must_use]
    pub fn run_script(self, lines: &str, path: &str) -> Self {
        let (lines, path) = (quote(lines), quote(path));
        self.line(&format!(
            "{{\n    printf '%s\\n' {lines}\n    cat {path}\n}} | /bin/sh -s || exit"
        ))
    }

    /// Starts a unit when these changes end, however they end, and also where nobody listens any more. It is not waited for.
    #[must_use]
    pub fn start_at_the_end(self, unit: &str) -> Self {
        let (word, failed) = (quote(unit), quote(&format!("starting {unit} failed")));
        let start = format!(
            "systemctl reset-failed {word} 2>/dev/null\nsystemctl start --no-block {word} || die {failed}"
        );
        self.line("trap '' PIPE")
            .line(&format!("trap {} EXIT", quote(&start)))
            .line("trap 'exit 143' HUP INT TERM")
    }

    /// The changes of another list, after these.
    #[must_use]
    pub fn and(mut self, more: &Self) -> Self {
        self.text.push_str(&more.text);
        self
    }

    /// As [`Changes::command`], and then these questions, in the same visit and before another one has its turn.
    pub fn and_ask(&self, questions: &Probe, patience: u64, limit: Duration) -> Command {
        let (answers, questions) = questions.parts();
        let text = format!("{{\ntake_turn\n{}{answers}{questions}exit 0\n}}\n", self.text);
        Program::new(crate::setup::DEFAULT_BINARY).end_after_turn(patience, &text, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;
    use host::{Host as _, LocalHost, Output};

    /// What a command does on the machine of the tests, with a lock and programs of its own, and without the end of its text.
    fn output(command: Command, missing: usize) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        let text = String::from_utf8(command.stdin).unwrap();
        let text = text.replace("/run/homelab", &format!("{root}/homelab"));
        let text = format!("systemctl() {{ echo \"systemctl $*\"; }}\n{text}");
        let text = &text[..text.len() - missing];
        LocalHost::new().run(&Command::script(text)).unwrap()
    }

    fn run(changes: &Changes, missing: usize) -> (i32, String) {
        let output = output(changes.command(7, Duration::from_mins(1)), missing);
        (output.status, format!("{}{}", output.text(), output.error_text()))
    }

    #[test]
    fn a_program_that_fails_ends_the_changes_with_its_status() {
        let changes = |status| {
            Changes::new()
                .run_or_end(
                    &["sh", "-c", "echo \"$0\"; exit \"$1\"", "it's", status],
                    "asking",
                )
                .reload()
        };
        assert_eq!(
            run(&changes("0"), 0),
            (0, "it's\nsystemctl daemon-reload\n".to_owned())
        );
        assert_eq!(run(&changes("124"), 0), (124, "it's\nasking failed\n".to_owned()));
    }

    #[test]
    fn a_program_does_not_get_the_lock() {
        let holds = ["sh", "-c", "! [ -e /proc/self/fd/9 ]"];
        assert_eq!(run(&Changes::new().run_or_end(&holds, "asking"), 0).0, 0);
    }

    #[test]
    fn a_unit_is_started_however_the_changes_end() {
        let started = "systemctl reset-failed k3s.service\nsystemctl start --no-block k3s.service\n";
        for (script, status) in [("exit 0", 0), ("exit 9", 9), ("kill -TERM $PPID", 143)] {
            let changes = Changes::new()
                .start_at_the_end("k3s.service")
                .run_or_end(&["sh", "-c", script], "it");
            let (ended, said) = run(&changes, 0);
            assert!(
                ended == status && said.contains(started),
                "{script}: {ended} {said}"
            );
        }
    }

    #[test]
    fn a_shell_whose_input_ends_early_does_nothing() {
        let changes = Changes::new().reload().stop("k3s.service");
        assert!(run(&changes, 0).1.contains("systemctl stop"));
        for missing in [3, 12, 30] {
            let (_, said) = run(&changes, missing);
            assert!(!said.contains("systemctl"), "{said}");
        }
    }

    #[test]
    fn a_script_gets_lines_before_it_and_ends_the_changes_with_its_status() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's").display().to_string();
        let changes = |status: &str| {
            Changes::new()
                .write(&path, 0o600, "echo \"$A $1\"\nexit \"$2\"\n")
                .run_script(&format!("A='a  b'\nset -- it {status}"), &path)
                .reload()
        };
        assert_eq!(
            run(&changes("0"), 0),
            (0, "a  b it\nsystemctl daemon-reload\n".to_owned())
        );
        assert_eq!(run(&changes("9"), 0), (9, "a  b it\n".to_owned()));
    }

    #[test]
    fn questions_are_answered_after_the_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file").display().to_string();
        let limit = Duration::from_mins(1);
        let questions = Probe::new().file("file", &path);
        let changes = Changes::new().write(&path, 0o600, "new\n");
        let said = output(changes.and_ask(&questions, 7, limit), 0);
        let facts = Facts::parse(&said.stdout).unwrap();
        assert_eq!(facts.text("file").unwrap().unwrap(), "new\n");
        let failed = Changes::new().folder(&format!("{path}/below"));
        let said = output(failed.and_ask(&questions, 7, limit), 0);
        assert_eq!((said.status, said.text()), (1, String::new()));
    }
}
