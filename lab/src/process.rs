//! Starts programs: every one in its own process group, so that Ctrl-C reaches the lab alone and the lab decides.

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static DEAF: AtomicBool = AtomicBool::new(false);
static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on SIGINT, SIGTERM and SIGHUP only raise a flag, and the next wait ends with an error.
pub fn catch_signals() -> Result<()> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ] {
        signal_hook::flag::register(signal, Arc::clone(flag)).context("registering a signal handler")?;
    }
    Ok(())
}

pub fn interrupted() -> bool {
    !DEAF.load(Ordering::Relaxed) && INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Taking down must be stopped neither by the Ctrl-C that asked for it nor by an impatient second one.
pub fn stop_listening() {
    DEAF.store(true, Ordering::Relaxed);
}

#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

#[derive(Debug, Clone)]
pub struct Program {
    argv: Vec<String>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Program {
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: Vec::new(),
            // No step of the lab but building the template lasts longer.
            limit: Duration::from_mins(2),
        }
    }

    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The same program, started by another one.
    #[must_use]
    pub fn under<S: Into<String>>(mut self, wrapper: impl IntoIterator<Item = S>) -> Self {
        let mut argv: Vec<String> = wrapper.into_iter().map(Into::into).collect();
        argv.append(&mut self.argv);
        self.argv = argv;
        self
    }

    pub fn command_line(&self) -> String {
        self.argv.join(" ")
    }

    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    pub fn output(&self) -> Result<Output> {
        let mut child = self.spawn(Stdio::piped, Stdio::piped)?;
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        if let Some(mut pipe) = child.stdin.take() {
            let bytes = self.stdin.clone();
            // A program that does not read its stdin closes it; that does not count as a failure.
            std::thread::spawn(move || pipe.write_all(&bytes));
        }
        let code = self.wait(&mut child)?;
        Ok(Output {
            code,
            stdout: collect(&stdout),
            stderr: collect(&stderr),
        })
    }

    /// With its streams where ours go; its exit code.
    pub fn show(&self) -> Result<i32> {
        let mut child = self.spawn(Stdio::null, Stdio::inherit)?;
        self.wait(&mut child)
    }

    fn spawn(&self, stdin: fn() -> Stdio, output: fn() -> Stdio) -> Result<Child> {
        let (program, arguments) = self
            .argv
            .split_first()
            .context("starting a program without a name")?;
        Command::new(program)
            .args(arguments)
            .stdin(stdin())
            .stdout(output())
            .stderr(output())
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {program}"))
    }

    /// Fails, with what the program said, unless it ends with 0.
    pub fn run(&self) -> Result<String> {
        let output = self.output()?;
        if output.code != 0 {
            let said = [output.stderr.trim(), output.stdout.trim()].join("\n");
            bail!(
                "running {}: exit status {}: {}",
                self.command_line(),
                output.code,
                said.trim()
            );
        }
        Ok(output.stdout)
    }

    fn wait(&self, child: &mut Child) -> Result<i32> {
        let begun = Instant::now();
        let mut nap = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait().context("waiting for a program")? {
                return Ok(status.code().unwrap_or(-1));
            }
            let reason = if interrupted() {
                "interrupted".to_owned()
            } else if begun.elapsed() > self.limit {
                format!("not done after {} s", self.limit.as_secs())
            } else {
                std::thread::sleep(nap);
                nap = (nap * 2).min(Duration::from_millis(20));
                continue;
            };
            end_group(child);
            bail!("running {}: {reason}", self.command_line());
        }
    }
}

type Reader = std::sync::mpsc::Receiver<Vec<u8>>;

fn drain(pipe: Option<impl std::io::Read + Send + 'static>) -> Reader {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let mut chunk = [0; 8192];
        while let Ok(n) = pipe.read(&mut chunk) {
            if n == 0 || send.send(chunk[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    receive
}

/// What was said until the pipe closed. A daemon left behind may hold the pipe for ever, hence the limit.
fn collect(reader: &Reader) -> String {
    let mut bytes = Vec::new();
    while let Ok(chunk) = reader.recv_timeout(Duration::from_millis(500)) {
        bytes.extend(chunk);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn end_group(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    for signal in [Signal::TERM, Signal::KILL] {
        if let Some(group) = group {
            // Gone already is as good as ended.
            let _ = kill_process_group(group, signal);
        }
        for _ in 0..20 {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Runs `check` until it says yes; `what` and `limit` are for the message of the failure.
pub fn wait_until(what: &str, limit: Duration, mut check: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    loop {
        if check()? {
            return Ok(());
        }
        if interrupted() {
            bail!("waiting until {what}: interrupted");
        }
        if begun.elapsed() > limit {
            bail!("waiting until {what}: not so after {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
