//! Taking the steps: each a program in the container, fed by standard input.

use crate::plan::{Act, At, Step};
use crate::record::{Record, Stage};
use crate::{Params, node, params::Wanted};
use anyhow::{Result, bail};
use host::{Command, Host, Output, run_ourselves, wait_until};
use k3s_node::facts::Facts;
use k3s_node::setup::DEFAULT_BINARY;
use k3s_node::{FOLDER, Program, Show, words};
use server_archive::UNPACK;
use std::fmt::Write as _;
use std::time::Duration;

const STOP: &str = include_str!("programs/stop.sh");
const PREPARE: &str = include_str!("programs/prepare.sh");
const UNPACKED: &str = include_str!("programs/unpacked.sh");
const KEYS: &str = include_str!("programs/keys.sh");
const RESET: &str = include_str!("programs/reset.sh");
const SQLITE: &str = include_str!("programs/sqlite.sh");
const ASIDE: &str = include_str!("programs/aside.sh");
const START: &str = include_str!("programs/start.sh");
const READY: &str = include_str!("programs/ready.sh");
const FINISH: &str = include_str!("programs/finish.sh");

/// A step of ours that a killed run has left at work ends by itself in this time; what takes longer has its own limit.
const SHORT: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_secs(3);

pub(crate) fn apply(params: &Params, host: &dyn Host, step: &Step) -> Result<()> {
    let limit = Duration::from_secs(params.timeout);
    let run = Runner { host, limit };
    match &step.0 {
        Act::Stop { at, record } => {
            run.changing("stopping k3s", program(at).with("record", &record.text()?), STOP)
        }
        Act::Bring { archive } => run.bring(archive),
        Act::PlaceKeys {
            at,
            aside,
            keys,
            token,
            node_too,
        } => {
            let program = program(at).with("aside", aside).flag("keys", *keys);
            let program = program.flag("token", *token).flag("node_too", *node_too);
            run.changing("putting the backup's keys in place", program, KEYS)
        }
        Act::Reset {
            at,
            record,
            reset,
            snapshot,
            secrets,
        } => run.reset(replacing(at, record)?, reset, snapshot, secrets),
        Act::PlaceSqlite { at, record } => run.changing(
            "putting the backup's datastore in place",
            replacing(at, record)?,
            SQLITE,
        ),
        Act::SetAside { at, record, keys } => {
            let program = replacing(at, record)?.flag("keys", *keys);
            run.changing("setting the old database aside", program, ASIDE)
        }
        Act::Start { at, record, enable } => {
            let text = record.as_ref().map(Record::text).transpose()?.unwrap_or_default();
            run.start(at, &text, *enable, true)
        }
        Act::Enable { at } => run.start(at, "", true, false),
        Act::Wait { at, secrets } => run.wait(at, secrets),
        Act::RestartAgent { .. } => match &params.wanted {
            Wanted::NodeBack { node, .. } => node::restart_agent(host, node, limit),
            _ => bail!("this is a fault in the module: an agent is restarted by state=node_back only"),
        },
        Act::ForgetPasswords { binary, secrets } => node::forget_passwords(host, binary, secrets),
        Act::Finish { at, done } => {
            let text = done
                .as_ref()
                .map(serde_json::to_string)
                .transpose()?
                .unwrap_or_default();
            run.changing(
                "finishing the restore",
                program(at).with("done_text", &text),
                FINISH,
            )
        }
    }
}

fn program(at: &At) -> Program {
    Program::new(&at.binary)
        .with("server", &at.server)
        .with("unit", &at.unit)
}

/// With the two records that stand before and after the database is replaced.
fn replacing(at: &At, record: &Record) -> Result<Program> {
    Ok(program(at)
        .with("aside", &record.aside())
        .with("replacing", &record.at(Stage::Replacing).text()?)
        .with("replaced", &record.at(Stage::Replaced).text()?))
}

struct Runner<'a> {
    host: &'a dyn Host,
    limit: Duration,
}

impl Runner<'_> {
    /// A program that waits for what an earlier run has left at work, which may be a reset.
    fn run(&self, program: Program, body: &str) -> Result<Output> {
        let patience = self.limit + SHORT;
        self.host
            .run(&program.end_after_turn(patience.as_secs(), body, self.limit + SHORT))
    }

    fn changing(&self, doing: &str, program: Program, body: &str) -> Result<()> {
        self.run(program, body)?
            .succeed(&self.host.place(), doing)
            .map(|_| ())
    }

    fn bring(&self, archive: &str) -> Result<()> {
        let here = || Program::new(DEFAULT_BINARY);
        self.changing("making room for the backup", here(), PREPARE)?;
        let folder = format!("{FOLDER}/restore");
        let outside = self.host.place() == self.host.outside().place();
        let inside = if outside {
            archive.to_owned()
        } else {
            let path = format!("{folder}/archive");
            let argv = ["/bin/sh", "-c", "umask 077; exec cat > \"$1\"", "sh", &path];
            self.host
                .run(&Command::new(argv).send(archive).within(self.limit))?
                .succeed(&self.host.place(), "bringing the backup into the container")?;
            path
        };
        let unpacking = format!("{folder}/unpacking");
        run_ourselves(self.host, &[UNPACK, &inside, &unpacking], self.limit)?
            .succeed(&self.host.place(), "unpacking the backup")?;
        self.changing("naming the unpacked backup", here(), UNPACKED)
    }

    fn reset(
        &self,
        program: Program,
        reset: &crate::reset::Reset,
        snapshot: &str,
        secrets: &[String],
    ) -> Result<()> {
        let arguments: Vec<String> = reset.arguments.iter().map(|word| words::shell(word)).collect();
        let mut program = program
            .with("arguments", &arguments.join(" "))
            .with("snapshot", snapshot)
            .with("limit", &self.limit.as_secs().to_string());
        for (name, value) in &reset.environment {
            program = program.export(name, value);
        }
        let mut body = "mkdir -p \"$folder/restore/config.yaml.d\"\n".to_owned();
        for (name, text) in &reset.config {
            let path = if name.is_empty() {
                String::new()
            } else {
                format!(".d/{name}")
            };
            let _ = writeln!(
                body,
                "write \"$folder/restore/config.yaml{path}\" 600 {}",
                words::shell(text)
            );
        }
        let output = self.run(program, &[&body, RESET].concat())?;
        scrubbed(output, secrets)
            .succeed(&self.host.place(), "letting k3s replace its etcd")
            .map(|_| ())
    }

    fn start(&self, at: &At, record: &str, enable: bool, start: bool) -> Result<()> {
        let program = program(at)
            .with("record", record)
            .flag("enable", enable)
            .flag("start", start);
        self.changing("starting k3s", program, START)
    }

    fn wait(&self, at: &At, secrets: &[String]) -> Result<()> {
        let waited = wait_until(self.host, self.limit, LOOK_EVERY, || {
            let output = self.host.run(&program(at).end(READY))?;
            let output = output.succeed(&self.host.place(), "checking k3s")?;
            let facts = Facts::parse(&output.stdout)?;
            let show = Show::of(&facts, &at.unit);
            Ok(match facts.lossy("readyz").as_deref() {
                Some("ok") => Ok(()),
                _ => Err(format!(
                    "{} is {}, and was restarted {} times by systemd",
                    at.unit, show.active, show.restarts
                )),
            })
        })?;
        let what = "the API to be ready";
        match waited.or_fail(self.host, what) {
            Ok(()) => Ok(()),
            Err(error) => bail!(
                "{error:#}. Its journal ends with:\n{}",
                self.journal(&at.unit, secrets)
            ),
        }
    }

    fn journal(&self, unit: &str, secrets: &[String]) -> String {
        let argv = ["journalctl", "-u", unit, "-n", "15", "--no-pager", "-o", "cat"];
        match self.host.run(&Command::new(argv)) {
            Ok(output) => k3s_types::mask::scrub(&output.text(), secrets),
            Err(error) => format!("(it cannot be read: {error:#})"),
        }
    }
}

/// What k3s printed, without what must not be repeated.
fn scrubbed(output: Output, secrets: &[String]) -> Output {
    let scrub = |text: String| k3s_types::mask::scrub(&text, secrets).into_bytes();
    Output {
        stdout: scrub(output.text()),
        stderr: scrub(output.error_text()),
        ..output
    }
}
