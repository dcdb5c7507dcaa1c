//! The programs that run on a node: their input as variables, then their text. All of it travels by standard input, so
//! no argument, token or record shows in a list of processes.

use host::{Command, quote};
use std::fmt::Write as _;
use std::time::Duration;

const COMMON: &str = include_str!("programs/common.sh");
/// The operations of [`Changes`].
const OPERATIONS: &str = include_str!("programs/changes.sh");

/// A program in the making.
pub struct Program {
    text: String,
}

impl Program {
    /// `binary` is the node's k3s.
    pub fn new(binary: &str) -> Self {
        let program = Self { text: String::new() };
        program.with("binary", binary)
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let _ = writeln!(self.text, "{name}={}", quote(value));
        self
    }

    #[must_use]
    pub fn flag(self, name: &str, value: bool) -> Self {
        self.with(name, if value { "yes" } else { "no" })
    }

    /// A variable for the programs that this one starts.
    #[must_use]
    pub fn export(mut self, name: &str, value: &str) -> Self {
        let _ = writeln!(self.text, "export {name}={}", quote(value));
        self
    }

    pub fn end(self, body: &str) -> Command {
        Command::script(format!("{}{COMMON}{body}", self.text))
    }

    /// A changing program, which waits up to `patience` seconds for what an earlier run has left at work there: what
    /// is queued for the lock has to outlast it.
    pub fn end_after_turn(self, patience: u64, body: &str, limit: Duration) -> Command {
        self.with("patience", &patience.to_string())
            .end(&format!("{OPERATIONS}{body}"))
            .within(limit + Duration::from_secs(patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_stands_quoted_before_the_text_and_in_no_argument() {
        let command = Program::new("/opt/bin/k3s")
            .with("token", "it's")
            .flag("ask", true)
            .export("http_proxy", "http://p")
            .end("echo\n");
        assert_eq!(command.argv, ["/bin/sh", "-s"]);
        let text = String::from_utf8(command.stdin).unwrap();
        assert!(
            text.starts_with(
                "binary='/opt/bin/k3s'\ntoken='it'\\''s'\nask='yes'\nexport http_proxy='http://p'\n"
            ),
            "{text}"
        );
        assert!(text.ends_with("echo\n"), "{text}");
    }

    #[test]
    fn a_changing_program_outlasts_its_wait_for_the_lock() {
        let command = Program::new("/k3s").end_after_turn(600, "", Duration::from_mins(1));
        assert_eq!(command.limit, Duration::from_mins(11));
    }
}
