//! How a Perl program dies: one text on stderr and an exit code that is incidental.

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) text: String,
}

pub(crate) type Outcome<T = u8> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: u8, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// `die` with nothing in errno.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::new(255, text)
    }

    /// `die` without a newline: Perl adds where it happened.
    pub(crate) fn at_line(text: &str, line: u32) -> Self {
        Self::plain(format!("{text} at /usr/share/perl5/PVE/CLI/pct.pm line {line}."))
    }

    /// Inside a task every error is the task's: exit code 255, the message on one line.
    pub(crate) fn in_task(self) -> Self {
        Self::plain(self.text.replace('\n', " "))
    }
}
