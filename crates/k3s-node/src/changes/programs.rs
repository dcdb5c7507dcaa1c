//! Units and programs.

use super::Changes;
use crate::env_file::Variables;
use crate::words;
use host::quote;
use std::fmt::Write as _;

impl Changes {
    /// Has a unit start with the machine.
    #[must_use]
    pub fn enable(self, unit: &str) -> Self {
        let command = format!("systemctl enable --quiet {}", quote(unit));
        self.or_die(&command, &format!("enabling {unit} failed"))
    }

    #[must_use]
    pub fn disable(self, unit: &str) -> Self {
        let command = format!("systemctl disable --quiet {}", quote(unit));
        self.or_die(&command, &format!("disabling {unit} failed"))
    }

    /// Stops a unit, and goes on when it is.
    #[must_use]
    pub fn stop_and_wait(self, unit: &str) -> Self {
        let command = format!("systemctl stop {}", quote(unit));
        self.or_die(&command, &format!("stopping {unit} failed"))
    }

    /// Starts a unit anew, and goes on when it is. What fails is said in systemd's words.
    #[must_use]
    pub fn restart_and_wait(self, unit: &str) -> Self {
        let (word, why) = (quote(unit), quote(&format!("starting {unit} failed: ")));
        self.line(&format!(
            "systemctl restart {word} || die {why}\"$(systemctl status --no-pager --lines 5 {word} 2>&1 | tail -n 5)\""
        ))
    }

    /// Runs a program that has to succeed.
    #[must_use]
    pub fn run(self, argv: &[&str]) -> Self {
        let why = quote(&format!("running {} failed: ", argv.join(" ")));
        self.line(&format!("execute {} || die {why}\"$text\"", quote_all(argv)))
    }

    /// Runs a program whatever comes of it: its status and the end of its output are an answer, as those of
    /// [`crate::Probe::run`], before [`Changes::end_answers`]. Variables whose names a shell does not accept are left out.
    #[must_use]
    pub fn run_to_end(self, name: &str, argv: &[&str], environment: &Variables) -> Self {
        let mut exports = String::new();
        for (variable, value) in environment.iter().filter(|(name, _)| words::is_name(name)) {
            let _ = writeln!(exports, "export {variable}={}", quote(value));
        }
        let [status, name] = [format!("status:{name}"), name.to_owned()].map(|name| quote(&name));
        let argv = quote_all(argv);
        self.line(&format!(
            "(\n{exports}execute {argv}\nput {status} \"$status\"\nput {name} \"$text\"\n)"
        ))
    }

    /// After the last answer: [`crate::Facts::parse`] takes them for all of them.
    #[must_use]
    pub fn end_answers(self) -> Self {
        self.line("put end ''")
    }
}

fn quote_all(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::tests::{Folder, answers, error};
    use host::{Host as _, LocalHost};

    #[test]
    fn a_program_is_answered_by_its_status_and_the_end_of_its_output() {
        let folder = Folder::new();
        let environment = [("TOKEN", "it's $x"), ("NOT-A-NAME", "x")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let script = "echo early; seq 30; echo \"$TOKEN\" >&2; exit 3";
        let changes = Changes::new()
            .run_to_end("it", &["sh", "-c", script], &environment)
            .run_to_end("next", &["sh", "-c", "echo \"<${TOKEN-}>\""], &Variables::new())
            .run_to_end("none", &["/no/such/program"], &Variables::new())
            .write(&folder.path("after"), 0o600, "")
            .end_answers();
        let facts = answers(&changes);
        let text = facts.lossy("it").unwrap();
        assert!(
            text.ends_with("29\n30\nit's $x") && !text.contains("early"),
            "{text}"
        );
        assert_eq!(
            (facts.status("it"), facts.status("next"), facts.status("none")),
            (3, 0, 127)
        );
        assert_eq!(facts.lossy("next").unwrap(), "<>");
        assert!(folder.has("after"));
    }

    #[test]
    fn a_program_that_leaves_another_one_running_has_ended_and_does_not_have_the_lock() {
        let script = "sleep 30 & if (: >&9) 2>/dev/null; then echo locked; else echo free; fi";
        let changes = Changes::new()
            .run_to_end("it", &["sh", "-c", script], &Variables::new())
            .end_answers();
        let host = LocalHost::new();
        let started = host.elapsed();
        assert_eq!(answers(&changes).lossy("it").unwrap(), "free");
        assert!(host.elapsed().saturating_sub(started).as_secs() < 25);
    }

    #[test]
    fn a_program_that_has_to_succeed_ends_the_list_in_its_own_words() {
        let folder = Folder::new();
        let changes = Changes::new().run(&["sh", "-c", "echo no >&2; exit 3"]);
        let said = error(&changes.write(&folder.path("after"), 0o600, ""));
        assert_eq!(said, "running sh -c echo no >&2; exit 3 failed: no");
        assert!(!folder.has("after"));
    }

    #[test]
    fn units_that_fail_are_named() {
        let text = |changes: Changes| changes.text;
        assert_eq!(
            text(
                Changes::new()
                    .enable("a.service")
                    .disable("b.service")
                    .stop_and_wait("c.service")
            ),
            "systemctl enable --quiet 'a.service' || die 'enabling a.service failed'\n\
             systemctl disable --quiet 'b.service' || die 'disabling b.service failed'\n\
             systemctl stop 'c.service' || die 'stopping c.service failed'\n"
        );
        assert!(text(Changes::new().restart_and_wait("a.service")).starts_with(
            "systemctl restart 'a.service' || die 'starting a.service failed: '\"$(systemctl status"
        ));
    }
}
