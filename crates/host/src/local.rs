//! The machine that the module runs on.

use crate::capture::{Captured, Collector, drain};
use crate::transfer::{Receiver as Saving, Work};
use crate::{Command, Failure, FileToWrite, Held, Host, Kind, LockRequest, Output, files, lock};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::cell::Cell;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// What every child may see of our environment. Nothing of the login's leaks: no SUDO_*, no SSH_*, and none
/// of the variables that make `pct` refuse to start.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long a finished command's output is waited for where something it left behind holds the pipe open.
const LEFT_OPEN: Duration = Duration::from_millis(300);
/// Between the request to end and the order to: long enough for a shell's trap.
const GRACE: Duration = Duration::from_secs(2);

pub struct LocalHost {
    name: String,
    started: Instant,
    count: Cell<u32>,
}

impl Default for LocalHost {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalHost {
    pub fn new() -> Self {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            name,
            started: Instant::now(),
            count: Cell::new(0),
        }
    }
}

impl Host for LocalHost {
    fn location(&self) -> String {
        self.name.clone()
    }

    fn run(&self, command: &Command) -> Result<Output> {
        let Some(save) = &command.save else {
            return self.run_to_end(command, None);
        };
        let saving = Saving::open(save).with_context(|| self.location())?;
        let done = self.run_to_end(command, Some(&saving)).and_then(|output| {
            let failed = |error| Failure::new(Kind::CommandFailed, self.location(), format!("{error:#}"));
            let saved = saving.finish().map_err(failed)?;
            Ok(Output {
                saved: Some(saved),
                ..output
            })
        });
        if done.is_err() {
            let _ = files::remove(&save.path);
        }
        done
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        files::read(path).with_context(|| self.location())
    }

    fn write(&self, file: &FileToWrite) -> Result<()> {
        files::write(file, &self.unique()).with_context(|| self.location())
    }

    fn remove(&self, path: &str) -> Result<()> {
        files::remove(path).with_context(|| self.location())
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }

    fn unique(&self) -> String {
        self.count.set(self.count.get() + 1);
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        format!(
            "hk3s-{:x}-{:x}-{:x}",
            std::process::id(),
            since.as_nanos(),
            self.count.get()
        )
    }

    fn outside(&self) -> &dyn Host {
        self
    }

    fn lock(&self, request: &LockRequest) -> Result<Held> {
        lock::take(self, request)
    }

    fn wait_for_holder(&self, request: &LockRequest) -> Result<bool> {
        lock::wait_for_holder(self, request)
    }
}

impl LocalHost {
    fn run_to_end(&self, command: &Command, saving: Option<&Saving>) -> Result<Output> {
        let started = Instant::now();
        let source = command.send.as_deref().map(source).transpose();
        let source = source.with_context(|| self.location())?;
        let receive = saving.map(Saving::work).transpose()?;
        let mut child = spawn(command).map_err(|error| self.cannot_start(command, &error))?;
        if let Some(stdin) = child.stdin.take() {
            feed(stdin, command.stdin.clone(), source);
        }
        let streams = Streams::of(&mut child, receive);
        let status = wait(&mut child, &streams.ended, command.limit, saving.is_some())?;
        let (stdout, stderr) = streams.finish();
        let mut output = Output {
            truncated: stdout.truncated || stderr.truncated,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
            took: started.elapsed(),
            ..Output::default()
        };
        let Some(status) = status else {
            let detail = format!(
                "{} did not end within {} s and was stopped",
                command.program(),
                command.limit.as_secs()
            );
            return Err(Failure::new(Kind::TimedOut, self.location(), detail)
                .with_output(output)
                .into());
        };
        output.status = status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Ok(output)
    }

    fn cannot_start(&self, command: &Command, error: &std::io::Error) -> Failure {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => Kind::CommandNotFound,
            _ => Kind::AttachFailed,
        };
        Failure::new(
            kind,
            self.location(),
            format!("starting {}: {error}", command.program()),
        )
    }
}

fn spawn(command: &Command) -> std::io::Result<Child> {
    let mut child = std::process::Command::new(command.program());
    child
        .args(command.argv.iter().skip(1))
        .env_clear()
        .envs([
            ("PATH", search_path().as_str()),
            ("HOME", "/root"),
            ("LC_ALL", "C.UTF-8"),
            ("TERM", "linux"),
        ])
        .envs(
            command
                .environment
                .iter()
                .map(|(key, value)| (key, value.expose())),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that the limit reaches what the program started too.
        .process_group(0);
    if let Some(folder) = &command.chdir {
        child.current_dir(folder);
    }
    child.spawn()
}

/// The caller's PATH first, then the folders that sshd leaves out for some logins: `pct` is in /usr/sbin.
fn search_path() -> String {
    match std::env::var("PATH") {
        Ok(path) if !path.is_empty() => format!("{path}:{PATH}"),
        _ => PATH.to_owned(),
    }
}

fn source(path: &str) -> Result<File> {
    File::open(path).with_context(|| format!("reading {path}"))
}

/// Writes from a thread: a child that prints before it has read all would otherwise block both.
fn feed(mut stdin: ChildStdin, content: Vec<u8>, file: Option<File>) {
    thread::spawn(move || {
        // A child that ends without reading its input is its own business.
        let _ = stdin
            .write_all(&content)
            .and_then(|()| file.map_or(Ok(0), |mut file| std::io::copy(&mut file, &mut stdin)));
    });
}

struct Streams {
    collected: [Arc<Mutex<Collector>>; 2],
    /// Hears once from each stream that reached its end.
    ended: Receiver<()>,
}

impl Streams {
    fn of(child: &mut Child, receive: Option<Work>) -> Self {
        let (sender, ended) = mpsc::channel();
        let collected = [Arc::default(), Arc::default()];
        match (child.stdout.take(), receive) {
            (Some(stdout), Some(receive)) => {
                let sender = sender.clone();
                thread::spawn(move || {
                    receive(stdout);
                    let _ = sender.send(());
                });
            }
            (Some(stdout), None) => collect(stdout, &collected[0], &sender),
            (None, _) => {}
        }
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, &collected[1], &sender);
        }
        Self { collected, ended }
    }

    fn finish(&self) -> (Captured, Captured) {
        let take = |index: usize| match self.collected[index].lock() {
            Ok(mut collector) => collector.take(),
            Err(_) => Captured::default(),
        };
        (take(0), take(1))
    }
}

fn collect(
    stream: impl std::io::Read + Send + 'static,
    into: &Arc<Mutex<Collector>>,
    sender: &mpsc::Sender<()>,
) {
    let (into, sender) = (Arc::clone(into), sender.clone());
    thread::spawn(move || {
        drain(stream, |bytes| {
            if let Ok(mut collector) = into.lock() {
                collector.push(bytes);
            }
        });
        let _ = sender.send(());
    });
}

/// Waits for both streams to end and the child to be gone. A child that is gone while a daemon it left holds
/// a stream is not waited for, unless it is `saving` to a slow disk; a child that outlives `limit` is ended with its
/// process group (`None`).
fn wait(
    child: &mut Child,
    ended: &Receiver<()>,
    limit: Duration,
    saving: bool,
) -> Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + limit;
    let left_open = if saving { limit } else { LEFT_OPEN };
    let mut open = 2;
    let mut gone = None;
    while open > 0 {
        let step = if gone.is_some() {
            left_open
        } else {
            next_look(deadline)
        };
        match ended.recv_timeout(step) {
            Ok(()) => open -= 1,
            Err(_) if gone.is_some() => return Ok(gone),
            Err(_) => {
                gone = child.try_wait().context("waiting for a child process")?;
                if gone.is_none() && Instant::now() >= deadline {
                    end_group(child)?;
                    return Ok(None);
                }
            }
        }
    }
    // Both streams are closed; the exit itself follows at once, or the child closed them and goes on.
    loop {
        if let Some(status) = child.try_wait().context("waiting for a child process")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            end_group(child)?;
            return Ok(None);
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// Whether a silent child is gone is looked up at this interval: short enough to notice, long enough to cost
/// nothing.
fn next_look(deadline: Instant) -> Duration {
    deadline
        .saturating_duration_since(Instant::now())
        .clamp(Duration::from_millis(1), Duration::from_millis(100))
}

fn end_group(child: &mut Child) -> Result<()> {
    let Some(group) = Pid::from_raw(i32::try_from(child.id()).unwrap_or(0)) else {
        return Ok(());
    };
    let _ = kill_process_group(group, Signal::TERM);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if child
            .try_wait()
            .context("waiting for a stopped process")?
            .is_some()
        {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    // Also where the leader is gone: its children may have ignored the request.
    let _ = kill_process_group(group, Signal::KILL);
    child.wait().context("waiting for a stopped process")?;
    Ok(())
}
