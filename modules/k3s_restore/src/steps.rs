//! Taking the steps: each hands programs to the container, or asks our own binary there.

use crate::api::{self, Node};
use crate::files::Files;
use crate::plan::{Act, At, KEYS, NODE_PASSWORD, Step};
use crate::record::{Done, Record};
use crate::reset::Reset;
use anyhow::{Result, bail};
use host::{Command, Host, run_ourselves, wait_until};
use k3s_node::{FOLDER, Facts, Program, Show, program, words};
use server_archive::{UNPACK, password};
use std::fmt::Write as _;
use std::time::Duration;

const RESET: &str = include_str!("programs/reset.sh");

/// A step of ours that a killed run has left at work ends by itself in this time; what takes longer has its own limit.
const SHORT: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// What `timeout` ends with where it had to end the program.
const TIMED_OUT: &str = "124";

const RECORD: &str = "restore.json";
const DONE: &str = "restored.json";
const ETCD: &str = "db/etcd";
const SQLITE: [&str; 3] = ["db/state.db", "db/state.db-wal", "db/state.db-shm"];

pub(crate) fn apply(host: &dyn Host, limit: Duration, step: &Step) -> Result<()> {
    let run = Runner {
        host,
        limit,
        at: &step.at,
    };
    match &step.act {
        Act::Record(record) => run.record(record),
        Act::Stop => run.stop(),
        Act::Bring { archive } => run.bring(archive),
        Act::PlaceKeys {
            what,
            aside,
            password,
        } => run.place_keys(what, aside, *password),
        Act::Reset {
            reset,
            snapshot,
            aside,
        } => run.reset(reset, snapshot, aside),
        Act::PlaceSqlite { copy, aside } => run.place_sqlite(copy, aside),
        Act::SetAside { keys, aside } => run.set_aside(*keys, aside),
        Act::Enable => run.systemd("enabling k3s", "", &["enable --quiet"]),
        Act::Start => run.start(),
        Act::Wait => run.wait(),
        Act::Admit { nodes } => api::forget_passwords(host, &step.at.binary, nodes),
        Act::RestartAgent { node } => run.restart_agent(node),
        Act::Finish { done } => run.finish(done.as_ref()),
    }
}

/// Where the backup is brought to, unpacked, and read from.
fn restore() -> String {
    format!("{FOLDER}/restore")
}

fn unpacked() -> String {
    format!("{FOLDER}/restore/files")
}

struct Runner<'a> {
    host: &'a dyn Host,
    limit: Duration,
    at: &'a At,
}

impl Runner<'_> {
    /// Seconds to wait for what an earlier run has left at work, which may be a reset.
    fn patience(&self) -> u64 {
        (self.limit + SHORT).as_secs()
    }

    fn program(&self) -> Program {
        Program::new(&self.at.binary)
            .with("unit", &self.at.unit)
            .with("server", &self.at.server)
    }

    fn changing(&self, program: Program, body: &str) -> Command {
        program.end_after_turn(self.patience(), body, self.limit + SHORT)
    }

    /// Runs what must succeed, and returns what it printed.
    fn done(&self, command: &Command, doing: &str) -> Result<Vec<u8>> {
        let output = self.host.run(command)?.succeed(&self.host.place(), doing)?;
        Ok(output.stdout)
    }

    fn files(&self, files: &Files, doing: &str) -> Result<()> {
        self.done(&self.changing(self.program(), files.text()), doing)
            .map(|_| ())
    }

    fn keep(&self, file: &str, text: &str, doing: &str) -> Result<()> {
        let command = program::keep(&self.at.binary, self.patience(), file, text);
        self.done(&command, doing).map(|_| ())
    }

    fn record(&self, record: &Record) -> Result<()> {
        self.keep(RECORD, &record.text()?, "recording how far the restore has come")
    }

    /// Lets systemd do this to the unit, in this order, after what may fail.
    fn systemd(&self, doing: &str, before: &str, calls: &[&str]) -> Result<()> {
        let mut body = format!("take_turn\n{before}");
        for call in calls {
            let _ = writeln!(
                body,
                "systemctl {call} \"$unit\" || die \"systemctl {call} $unit failed\""
            );
        }
        self.done(&self.changing(self.program(), &body), doing)
            .map(|_| ())
    }

    fn stop(&self) -> Result<()> {
        self.systemd("stopping k3s", "", &["disable --quiet", "stop"])?;
        let show = Show::look(self.host, &self.at.unit)?;
        if !show.is_at_rest() {
            bail!(
                "{}: stopping k3s: {} is {} after it was stopped",
                self.host.place(),
                self.at.unit,
                show.active
            );
        }
        Ok(())
    }

    /// Without waiting: a server that joins blocks until it has. systemd does not start a unit that has failed too often
    /// before it is made to forget that.
    fn start(&self) -> Result<()> {
        let forget = "systemctl reset-failed \"$unit\" 2>/dev/null\n";
        self.systemd("starting k3s", forget, &["start --no-block"])
    }

    fn bring(&self, archive: &str) -> Result<()> {
        let (restore, unpacking) = (restore(), format!("{}/unpacking", restore()));
        let room = Files::new().remove(&restore).make(&restore);
        self.files(&room, "making room for the backup")?;
        let inside = self.inside(archive, &format!("{restore}/archive"))?;
        run_ourselves(self.host, &[UNPACK, &inside, &unpacking], self.limit)?
            .succeed(&self.host.place(), "unpacking the backup")?;
        let named = Files::new()
            .rename(&unpacking, &unpacked())
            .remove(&format!("{restore}/archive"));
        self.files(&named, "naming the unpacked backup")
    }

    /// The path of the backup where the container sees it.
    fn inside(&self, archive: &str, path: &str) -> Result<String> {
        if self.host.place() == self.host.outside().place() {
            return Ok(archive.to_owned());
        }
        let argv = ["/bin/sh", "-c", "umask 077; exec cat > \"$1\"", "sh", path];
        let command = Command::new(argv).send(archive).within(self.limit);
        self.done(&command, "copying the backup into the container")?;
        Ok(path.to_owned())
    }

    fn place_keys(&self, what: &[&str], aside: &str, password: bool) -> Result<()> {
        let server = &self.at.server;
        let mut files = Files::new();
        for name in what {
            files = files.aside(server, &[name], aside).copy(
                &format!("{}/server/{name}", unpacked()),
                &format!("{server}/{name}"),
            );
        }
        if password {
            let kept = format!("{}/etc/{NODE_PASSWORD}", unpacked());
            files = files.copy(&kept, &format!("/etc{NODE_PASSWORD}"));
        }
        self.files(&files, "putting the backup's keys in place")
    }

    fn place_sqlite(&self, copy: &str, aside: &str) -> Result<()> {
        let server = &self.at.server;
        let files = Files::new()
            .aside(server, &[ETCD], aside)
            .aside(server, &SQLITE, aside)
            .copy(
                &format!("{}/{copy}", unpacked()),
                &format!("{server}/db/state.db"),
            );
        self.files(&files, "putting the backup's datastore in place")
    }

    fn set_aside(&self, keys: bool, aside: &str) -> Result<()> {
        let what: &[&str] = if keys { &KEYS } else { &[] };
        let files = Files::new()
            .aside(&self.at.server, &[ETCD], aside)
            .aside(&self.at.server, &SQLITE, aside)
            .aside(&self.at.server, what, aside);
        self.files(&files, "setting the old data aside")
    }

    /// What is left of SQLite beside the etcd would be moved into it.
    fn reset(&self, reset: &Reset, snapshot: &str, aside: &str) -> Result<()> {
        let doing = "letting k3s replace its etcd";
        let files = Files::new().aside(&self.at.server, &SQLITE, aside);
        self.files(&files, doing)?;
        let kept = restore();
        let mut program = self
            .program()
            .with("kept", &kept)
            .with("token", &self.token()?)
            .with("limit", &self.limit.as_secs().to_string());
        for (name, value) in &reset.environment {
            program = program.export(name, value);
        }
        let body = [&before_reset(reset, snapshot), RESET].concat();
        let answer = self.done(&self.changing(program, &body), doing)?;
        if let Some(fault) = self.fault(&Facts::parse(&answer)?) {
            bail!("{}: {doing}: {fault}", self.host.place());
        }
        Ok(())
    }

    /// The token of the backup without the hash in front of it: nothing is there yet to compare that with.
    fn token(&self) -> Result<String> {
        let script = format!(
            "exec cat {}\n",
            words::shell(&format!("{}/server/token", unpacked()))
        );
        let text = self.done(&Command::script(script), "reading the token of the backup")?;
        Ok(password(&String::from_utf8_lossy(&text)).to_owned())
    }

    /// What went wrong with a reset; it has to leave an etcd, whatever its status.
    fn fault(&self, answer: &Facts) -> Option<String> {
        let status = answer.lossy("status").unwrap_or_default();
        let what = match (status.as_str(), answer.lossy("etcd")) {
            ("0", Some(_)) => return None,
            ("0", None) => format!("succeeded, and left no etcd in {}/db", self.at.server),
            (TIMED_OUT, _) => format!("did not end within {} s", self.limit.as_secs()),
            (status, _) => format!("ended with status {status}"),
        };
        let said = answer.lossy("said").unwrap_or_default();
        let said = k3s_types::mask::scrub(&said, &self.at.secrets);
        Some(format!(
            "k3s server --cluster-reset {what}. It said last:\n{said}"
        ))
    }

    fn wait(&self) -> Result<()> {
        let At { binary, unit, .. } = self.at;
        let waited = wait_until(self.host, self.limit, LOOK_EVERY, || {
            let seen = api::readiness(self.host, binary, unit)?;
            let missing = || {
                format!(
                    "{unit} is {}, and was restarted {} times by systemd",
                    seen.show.active, seen.show.restarts
                )
            };
            Ok(if seen.ready { Ok(()) } else { Err(missing()) })
        })?;
        let ready = waited.or_fail(self.host, "the API to be ready");
        ready.or_else(|error| bail!("{error:#}. Its journal ends with:\n{}", self.journal()))
    }

    fn journal(&self) -> String {
        let unit = &self.at.unit;
        let argv = ["journalctl", "-u", unit, "-n", "15", "--no-pager", "-o", "cat"];
        match self.host.run(&Command::new(argv)) {
            Ok(output) => k3s_types::mask::scrub(&output.text(), &self.at.secrets),
            Err(error) => format!("(it cannot be read: {error:#})"),
        }
    }

    fn restart_agent(&self, node: &str) -> Result<()> {
        self.systemd("restarting the agent", "", &["restart --no-block"])?;
        Node::look(self.host, node, Duration::ZERO)?.must_be_ready(self.host, node, self.limit)
    }

    /// The record goes last: until then this is planned again.
    fn finish(&self, done: Option<&Done>) -> Result<()> {
        let doing = "finishing the restore";
        self.files(&Files::new().remove(&restore()), doing)?;
        if let Some(done) = done {
            self.keep(DONE, &serde_json::to_string(done)?, doing)?;
        }
        self.files(&Files::new().remove(&format!("{FOLDER}/{RECORD}")), doing)
    }
}

/// Writes the copies of the configuration, and sets the arguments.
fn before_reset(reset: &Reset, snapshot: &str) -> String {
    let mut body = "take_turn\nmkdir -p \"$kept/config.yaml.d\"\n".to_owned();
    for (name, text) in &reset.config {
        let path = match name.as_str() {
            "" => String::new(),
            name => format!(".d/{name}"),
        };
        let text = words::shell(text);
        let _ = writeln!(body, "write \"$kept/config.yaml{path}\" 600 {text}");
    }
    let snapshot = format!("--cluster-reset-restore-path={}/{snapshot}", unpacked());
    let arguments = reset.arguments.iter().chain([&snapshot]);
    let arguments: Vec<String> = arguments.map(|word| words::shell(word)).collect();
    let _ = writeln!(body, "set -- {}", arguments.join(" "));
    body
}
