//! A host that follows a transcript: each command, read and write must come in the order written down, none
//! may be missing, none may be added. Its clock is virtual.

use anyhow::{Result, anyhow};
use host::{Command, Failure, FileToWrite, Held, Host, Kind, LockRequest, Output};
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

/// One thing that the module is expected to do, and what comes of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// The command: words in one string, or a list where a word has blanks.
    pub run: Option<Words>,
    /// The module's own binary, carried inside, with these arguments.
    pub ourselves: Option<Words>,
    pub read: Option<String>,
    pub write: Option<String>,
    pub remove: Option<String>,
    /// On the Proxmox host itself rather than in the container.
    pub on_host: bool,
    /// What the command must get on its standard input; left out: anything.
    pub stdin: Option<String>,
    /// Variables that the command must get in its environment; left out: anything.
    pub environment: Option<std::collections::BTreeMap<String, String>>,
    pub status: i32,
    pub stdout: String,
    /// The output from a file in `tests/recorded/`.
    pub stdout_file: Option<String>,
    pub stderr: String,
    /// How the command fails to run at all.
    pub fails: Option<KindName>,
    /// The content read, or the content that must be written; left out of a read: no such file.
    pub content: Option<String>,
    pub content_file: Option<String>,
    /// The mode that must be written, in octal digits.
    pub mode: Option<String>,
    /// Virtual seconds that pass.
    pub takes: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Words {
    Line(String),
    List(Vec<String>),
}

impl Words {
    fn argv(&self) -> Vec<String> {
        match self {
            Self::Line(line) => line.split_whitespace().map(str::to_owned).collect(),
            Self::List(words) => words.clone(),
        }
    }
}

/// [`Kind`] in the spelling of an answer.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KindName {
    ContainerMissing,
    ContainerElsewhere,
    ContainerStopped,
    ContainerLocked,
    AttachFailed,
    CommandNotFound,
    CommandFailed,
    TimedOut,
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::ContainerMissing => Self::ContainerMissing,
            KindName::ContainerElsewhere => Self::ContainerElsewhere,
            KindName::ContainerStopped => Self::ContainerStopped,
            KindName::ContainerLocked => Self::ContainerLocked,
            KindName::AttachFailed => Self::AttachFailed,
            KindName::CommandNotFound => Self::CommandNotFound,
            KindName::CommandFailed => Self::CommandFailed,
            KindName::TimedOut => Self::TimedOut,
        }
    }
}

struct Shared {
    transcript: RefCell<VecDeque<Entry>>,
    elapsed: Cell<Duration>,
    count: Cell<u32>,
    recorded: PathBuf,
}

/// The time at which all virtual clocks start: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_hours(490_896);

pub struct Scripted {
    shared: Rc<Shared>,
    /// The Proxmox host; `None` for that host itself.
    outside: Option<Box<Scripted>>,
}

impl Scripted {
    /// `container 101 on pve1`, whose commands are `transcript`; recorded output lies in `recorded`.
    pub fn new(transcript: Vec<Entry>, recorded: &Path) -> Self {
        let shared = Rc::new(Shared {
            transcript: RefCell::new(transcript.into()),
            elapsed: Cell::default(),
            count: Cell::default(),
            recorded: recorded.to_path_buf(),
        });
        let outside = Self {
            shared: Rc::clone(&shared),
            outside: None,
        };
        Self {
            shared,
            outside: Some(Box::new(outside)),
        }
    }

    /// Fails if something was expected and never happened.
    pub fn finish(&self) {
        let left = self.shared.transcript.borrow();
        assert!(left.is_empty(), "the module never did: {:#?}", left.front());
    }

    fn next(&self, doing: &str) -> Entry {
        let Some(entry) = self.shared.transcript.borrow_mut().pop_front() else {
            panic!("{}: not in the transcript: {doing}", self.location());
        };
        assert_eq!(
            entry.on_host,
            self.outside.is_none(),
            "on the host, or in the container? {doing}"
        );
        self.pass(Duration::from_secs_f64(entry.takes));
        entry
    }

    fn pass(&self, time: Duration) {
        self.shared.elapsed.set(self.shared.elapsed.get() + time);
    }

    fn content(&self, text: Option<&String>, file: Option<&String>) -> Option<Vec<u8>> {
        let recorded = |name: &String| {
            let path = self.shared.recorded.join(name);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        file.map(recorded)
            .or_else(|| text.map(|text| text.clone().into_bytes()))
    }
}

impl Host for Scripted {
    fn location(&self) -> String {
        if self.outside.is_some() {
            "container 101 on pve1".to_owned()
        } else {
            "pve1".to_owned()
        }
    }

    fn run(&self, command: &Command) -> Result<Output> {
        let doing = format!("run {:?}", command.argv);
        let entry = self.next(&doing);
        let (expected, got) = match host::carried(command) {
            Some(arguments) => (&entry.ourselves, arguments),
            None => (&entry.run, command.argv.as_slice()),
        };
        assert_eq!(
            expected.as_ref().map(Words::argv).as_deref(),
            Some(got),
            "expected {entry:?}"
        );
        if let Some(stdin) = &entry.stdin {
            assert_eq!(
                String::from_utf8_lossy(&command.stdin),
                *stdin,
                "standard input of {doing}"
            );
        }
        if let Some(environment) = &entry.environment {
            let given = command
                .environment
                .iter()
                .map(|(key, value)| (key.clone(), value.expose().to_owned()))
                .collect();
            assert_eq!(*environment, given, "environment of {doing}");
        }
        let output = Output {
            status: entry.status,
            stdout: self
                .content(Some(&entry.stdout), entry.stdout_file.as_ref())
                .unwrap_or_default(),
            stderr: entry.stderr.clone().into_bytes(),
            took: Duration::from_secs_f64(entry.takes),
            ..Output::default()
        };
        match entry.fails {
            Some(kind) => Err(Failure::new(kind.into(), self.location(), entry.stderr)
                .with_output(output)
                .into()),
            None => Ok(output),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let entry = self.next(&format!("read {path}"));
        assert_eq!(entry.read.as_deref(), Some(path), "expected {entry:?}");
        match entry.fails {
            Some(kind) => Err(Failure::new(kind.into(), self.location(), entry.stderr).into()),
            None => Ok(self.content(entry.content.as_ref(), entry.content_file.as_ref())),
        }
    }

    fn write(&self, file: &FileToWrite) -> Result<()> {
        let entry = self.next(&format!("write {file:?}"));
        assert_eq!(
            entry.write.as_deref(),
            Some(file.path.as_str()),
            "expected {entry:?}"
        );
        if let Some(content) = self.content(entry.content.as_ref(), entry.content_file.as_ref()) {
            assert_eq!(
                String::from_utf8_lossy(&file.content),
                String::from_utf8_lossy(&content),
                "content of {}",
                file.path
            );
        }
        if let Some(mode) = entry.mode {
            assert_eq!(format!("{:o}", file.mode), mode, "mode of {}", file.path);
        }
        entry.fails.map_or(Ok(()), |kind| {
            Err(Failure::new(kind.into(), self.location(), entry.stderr).into())
        })
    }

    fn remove(&self, path: &str) -> Result<()> {
        let entry = self.next(&format!("remove {path}"));
        assert_eq!(entry.remove.as_deref(), Some(path), "expected {entry:?}");
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + self.shared.elapsed.get()
    }

    fn elapsed(&self) -> Duration {
        self.shared.elapsed.get()
    }

    fn sleep(&self, duration: Duration) {
        self.pass(duration);
    }

    fn unique(&self) -> String {
        self.shared.count.set(self.shared.count.get() + 1);
        format!("unique-{}", self.shared.count.get())
    }

    fn outside(&self) -> &dyn Host {
        match &self.outside {
            Some(outside) => outside.as_ref(),
            None => self,
        }
    }

    fn lock(&self, request: &LockRequest) -> Result<Held> {
        if request.name.is_empty() {
            return Err(anyhow!("a lock needs a name"));
        }
        Ok(Held::nothing())
    }
}
