//! A container of a Proxmox host.

use crate::wrapper::{self, LOADER, Seen};
use crate::{Command, Failure, FileToWrite, Held, Host, Kind, LockRequest, Output, pct};
use anyhow::{Context, Result};
use std::cell::Cell;
use std::time::{Duration, SystemTime};

/// A container that has just started is "running" a moment before commands can be run in it.
const ATTACH_TRIES: u32 = 4;
const ATTACH_PAUSE: Duration = Duration::from_secs(1);
/// Ending what a stopped command left; longer means that the container is frozen.
const SWEEP_LIMIT: Duration = Duration::from_secs(10);
/// The status by which the reading script says "no such file"; `cat` itself ends with 0 or 1.
const NO_FILE: i32 = 44;

pub struct InContainer<H> {
    outside: H,
    vmid: u32,
    keep_env_known: Cell<bool>,
}

impl<H: Host> InContainer<H> {
    pub fn new(outside: H, vmid: u32) -> Self {
        Self {
            outside,
            vmid,
            keep_env_known: Cell::new(true),
        }
    }

    fn failure(&self, kind: Kind, detail: String) -> anyhow::Error {
        Failure::new(kind, self.location(), detail).into()
    }

    /// One attempt: what `pct exec` printed, read by our marks.
    fn attempt(&self, command: &Command) -> Result<Seen> {
        let mark = self.outside.unique();
        let outer = pct::exec(self.vmid, self.keep_env_known.get(), LOADER)
            .stdin(wrapper::stdin(command, &mark)?)
            .within(command.limit);
        let outer = Command {
            send: command.send.clone(),
            save: command.save.clone(),
            ..outer
        };
        match self.outside.run(&outer) {
            Ok(output) => Ok(wrapper::interpret(output, &mark)),
            Err(error) => Err(self.stopped(command, &mark, error)),
        }
    }

    /// The outer process is gone; what it started inside is not, and is ended here.
    fn stopped(&self, command: &Command, mark: &str, error: anyhow::Error) -> anyhow::Error {
        let Some(Failure {
            kind: Kind::TimedOut,
            output: Some(output),
            ..
        }) = Failure::of(&error)
        else {
            return pct::not_to_be_had(error);
        };
        let limit = command.limit.as_secs();
        let left = match self.sweep(mark) {
            Ok(()) => String::new(),
            Err(error) => format!("; processes of it may be left: {error:#}"),
        };
        let program = command.program();
        let (detail, output) = match wrapper::interpret(output.clone(), mark) {
            // What a frozen container holds was killed with `pct`, so there is nothing that could run later.
            Seen::NotStarted { noise } => (
                format!(
                    "no command could start within {limit} s: is the container frozen (backup, snapshot)? See `lxc-info -n {}` \
                     there. {}",
                    self.vmid,
                    noise.trim()
                ),
                None,
            ),
            Seen::Ended(output) | Seen::Cut(output) => (
                format!("{program} did not end within {limit} s and was stopped{left}"),
                Some(output),
            ),
            Seen::ProgramMissing | Seen::FolderMissing => (format!("{program} did not start"), None),
        };
        let failure = Failure::new(Kind::TimedOut, self.location(), detail.trim_end());
        match output {
            Some(output) => failure.with_output(output),
            None => failure,
        }
        .into()
    }

    fn sweep(&self, mark: &str) -> Result<()> {
        let command = Command::script(wrapper::sweep(mark));
        let sweeper = self.outside.unique();
        let outer = pct::exec(self.vmid, self.keep_env_known.get(), LOADER)
            .stdin(wrapper::stdin(&command, &sweeper)?)
            .within(SWEEP_LIMIT);
        match wrapper::interpret(self.outside.run(&outer)?, &sweeper) {
            Seen::Ended(output) if output.ok() => Ok(()),
            other => anyhow::bail!("ending what {mark} left: {other:?}"),
        }
    }
}

impl<H: Host> Host for InContainer<H> {
    fn location(&self) -> String {
        format!("container {} on {}", self.vmid, self.outside.location())
    }

    fn run(&self, command: &Command) -> Result<Output> {
        let mut tries = 1;
        loop {
            let noise = match self.attempt(command)? {
                Seen::Ended(output) => return Ok(output),
                Seen::ProgramMissing => {
                    let detail = format!("there is no program {} that can be run", command.program());
                    return Err(self.failure(Kind::CommandNotFound, detail));
                }
                Seen::FolderMissing => {
                    let folder = command.chdir.as_deref().unwrap_or("/");
                    return Err(self.failure(
                        Kind::CommandFailed,
                        format!("changing to the folder {folder}: it cannot be entered"),
                    ));
                }
                Seen::Cut(output) => {
                    let detail = format!(
                        "{} was interrupted: the container stopped, or pct was ended",
                        command.program()
                    );
                    return Err(Failure::new(Kind::AttachFailed, self.location(), detail)
                        .with_output(output)
                        .into());
                }
                Seen::NotStarted { noise } => noise,
            };
            if pct::refuses_keep_env(&noise) && self.keep_env_known.replace(false) {
                continue;
            }
            let why = pct::explain(&self.outside, self.vmid, &noise);
            // Nothing was started, so trying again cannot do a thing twice.
            if why.kind != Kind::AttachFailed || tries == ATTACH_TRIES {
                return Err(why.into());
            }
            tries += 1;
            self.outside.sleep(ATTACH_PAUSE);
        }
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let script = "[ -e \"$1\" ] || exit 44\nexec cat -- \"$1\"";
        let output = self.run(&Command::new(["/bin/sh", "-c", script, "sh", path]))?;
        if output.status == NO_FILE {
            return Ok(None);
        }
        Ok(Some(
            output
                .succeed(&self.location(), &format!("reading {path}"))?
                .stdout,
        ))
    }

    fn write(&self, file: &FileToWrite) -> Result<()> {
        // Mode and owner before the content; the temporary file is gone whatever fails.
        let script = r#"set -e
p=$(readlink -f -- "$1"); t="${p%/*}/.${p##*/}.$4"
trap 'rm -f -- "$t"' EXIT
(umask 077; : > "$t")
chown "$3" "$t"; chmod "$2" "$t"
cat > "$t"
sync -- "$t" 2>/dev/null || sync
mv -f -- "$t" "$p""#;
        let (mode, owner) = (
            format!("{:o}", file.mode),
            format!("{}:{}", file.owner.0, file.owner.1),
        );
        let argv = [
            "/bin/sh",
            "-c",
            script,
            "sh",
            &file.path,
            &mode,
            &owner,
            &self.unique(),
        ];
        let command = Command::new(argv).stdin(file.content.clone());
        self.run(&command)?
            .succeed(&self.location(), &format!("writing {}", file.path))?;
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<()> {
        let output = self.run(&Command::new(["rm", "-f", "--", path]))?;
        output
            .succeed(&self.location(), &format!("removing {path}"))
            .map(|_| ())
    }

    fn now(&self) -> SystemTime {
        self.outside.now()
    }

    fn elapsed(&self) -> Duration {
        self.outside.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        self.outside.sleep(duration);
    }

    fn unique(&self) -> String {
        self.outside.unique()
    }

    fn outside(&self) -> &dyn Host {
        &self.outside
    }

    fn lock(&self, request: &LockRequest) -> Result<Held> {
        self.outside.lock(request).with_context(|| self.location())
    }

    fn wait_for_holder(&self, request: &LockRequest) -> Result<bool> {
        self.outside
            .wait_for_holder(request)
            .with_context(|| self.location())
    }
}
