//! A host that answers with whatever the input has.

use crate::SEPARATOR;
use anyhow::Result;
use host::{Command, Failure, FileToWrite, Held, Host, Kind, LockRequest, Output};
use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

/// 2026-01-01T00:00:00Z, as in the transcripts.
const EPOCH: Duration = Duration::from_hours(490_896);
/// What a command takes at least.
const TAKES: Duration = Duration::from_millis(50);
/// More than any module asks within the longest of its limits.
const MOST: u32 = 50_000;

/// Answers commands and reads with the parts of an input, in their order, and from then on with the last one again. The
/// first byte of a part is the status: a digit, `!` for a command that could not be run, `?` for a file that is not there.
pub struct HostileHost<'a> {
    answers: RefCell<Vec<&'a [u8]>>,
    /// What every command prints and what every file has, in place of the answers.
    constant: Option<(&'a str, &'a [u8])>,
    elapsed: Cell<Duration>,
    asked: Cell<u32>,
    count: Cell<u32>,
    wrote: Cell<bool>,
}

impl<'a> HostileHost<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        let mut answers: Vec<&[u8]> = input.split(|byte| *byte == SEPARATOR).collect();
        answers.reverse();
        Self {
            answers: RefCell::new(answers),
            constant: None,
            elapsed: Cell::default(),
            asked: Cell::default(),
            count: Cell::default(),
            wrote: Cell::default(),
        }
    }

    /// A host on which every command prints the one, and every file has the other.
    pub fn constant(printed: &'a str, content: &'a [u8]) -> Self {
        Self {
            constant: Some((printed, content)),
            ..Self::new(b"")
        }
    }

    /// Whether a file was written or removed.
    pub fn wrote(&self) -> bool {
        self.wrote.get()
    }

    fn next(&self, doing: &dyn std::fmt::Debug) -> (u8, &'a [u8]) {
        self.elapsed.set(self.elapsed.get() + TAKES);
        self.asked.set(self.asked.get() + 1);
        assert!(self.asked.get() < MOST, "it does not end: {doing:?}");
        let mut answers = self.answers.borrow_mut();
        let answer = match answers.len() {
            0 => b"1".as_slice(),
            1 => answers[0],
            _ => answers.pop().unwrap_or_default(),
        };
        answer
            .split_first()
            .map_or((b'0', &[]), |(status, rest)| (*status, rest))
    }

    fn failure(&self, said: &[u8]) -> anyhow::Error {
        let kinds = [
            Kind::AttachFailed,
            Kind::TimedOut,
            Kind::CommandNotFound,
            Kind::ContainerStopped,
        ];
        let kind = kinds[said.len() % kinds.len()];
        Failure::new(kind, self.location(), String::from_utf8_lossy(said)).into()
    }
}

impl Host for HostileHost<'_> {
    fn location(&self) -> String {
        "pve1".to_owned()
    }

    fn run(&self, command: &Command) -> Result<Output> {
        let answer = self.next(&command.argv);
        match self
            .constant
            .map_or(answer, |(printed, _)| (b'0', printed.as_bytes()))
        {
            (b'!', said) => Err(self.failure(said)),
            (status, said) => Ok(Output {
                status: i32::from(status.wrapping_sub(b'0')),
                stdout: said.to_vec(),
                stderr: said.iter().take(256).copied().collect(),
                took: TAKES,
                ..Output::default()
            }),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let answer = self.next(&path);
        match self.constant.map_or(answer, |(_, content)| (b'0', content)) {
            (b'!', said) => Err(self.failure(said)),
            (b'?', _) => Ok(None),
            (_, content) => Ok(Some(content.to_vec())),
        }
    }

    fn write(&self, _: &FileToWrite) -> Result<()> {
        self.wrote.set(true);
        Ok(())
    }

    fn remove(&self, _: &str) -> Result<()> {
        self.wrote.set(true);
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + self.elapsed.get()
    }

    fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    fn sleep(&self, duration: Duration) {
        self.elapsed.set(self.elapsed.get() + duration);
    }

    fn unique(&self) -> String {
        self.count.set(self.count.get() + 1);
        format!("unique-{}", self.count.get())
    }

    fn outside(&self) -> &dyn Host {
        self
    }

    fn lock(&self, _: &LockRequest) -> Result<Held> {
        Ok(Held::nothing())
    }
}
