//! Taking the steps: each hands programs to the container, or asks our own binary there.

use crate::api::{self, Node};
use crate::plan::{Act, At, KEYS, NODE_PASSWORD, Step};
use crate::record::{Done, Record};
use crate::reset::Reset;
use anyhow::{Context, Result, bail};
use host::{Command, Host, quote, run_ourselves, wait_until};
use k3s_node::changes::parent;
use k3s_node::probe::Is;
use k3s_node::{Changes, FOLDER, Facts, Probe, Show, keep};
use server_archive::{UNPACK, password};
use std::time::Duration;

/// A step of ours that a killed run has left at work ends by itself in this time; what takes longer has its own limit.
const SHORT: Duration = Duration::from_mins(3);
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// What `timeout` ends with where it had to end the program.
const TIMED_OUT: i32 = 124;
/// The name of the reset's answer.
const RESET: &str = "reset";

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
        Act::PutKeys {
            what,
            aside,
            password,
        } => run.put_keys(what, aside, *password),
        Act::Reset {
            reset,
            snapshot,
            aside,
        } => run.reset(reset, snapshot, aside),
        Act::PutSqlite { copy, aside } => run.put_sqlite(copy, aside),
        Act::SetAside { keys, aside } => run.set_aside(*keys, aside),
        Act::Enable => run.change(&Changes::new().enable(&step.at.unit), "enabling k3s"),
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

    /// Runs what must succeed, and returns what it printed.
    fn done(&self, command: &Command, doing: &str) -> Result<Vec<u8>> {
        let output = self.host.run(command)?.succeed(&self.host.location(), doing)?;
        Ok(output.stdout)
    }

    fn change(&self, changes: &Changes, doing: &str) -> Result<()> {
        self.answered(changes, doing).map(|_| ())
    }

    fn answered(&self, changes: &Changes, doing: &str) -> Result<Vec<u8>> {
        self.done(&changes.command(self.patience(), self.limit + SHORT), doing)
    }

    fn ask(&self, probe: &Probe, doing: &str) -> Result<Facts> {
        let answer = self.done(&probe.command(&self.at.binary), doing)?;
        Facts::parse(&answer).with_context(|| format!("{}: {doing}", self.host.location()))
    }

    fn keep(&self, file: &str, text: &str, doing: &str) -> Result<()> {
        let command = keep(&self.at.binary, self.patience(), file, text);
        self.done(&command, doing).map(|_| ())
    }

    fn record(&self, record: &Record) -> Result<()> {
        self.keep(RECORD, &record.text()?, "recording how far the restore has come")
    }

    fn stop(&self) -> Result<()> {
        let unit = &self.at.unit;
        self.change(&Changes::new().disable(unit).stop_and_wait(unit), "stopping k3s")?;
        let show = Show::look(self.host, &self.at.unit)?;
        if !show.is_at_rest() {
            bail!(
                "{}: stopping k3s: {} is {} after it was stopped",
                self.host.location(),
                self.at.unit,
                show.active
            );
        }
        Ok(())
    }

    /// Without waiting: a server that joins blocks until it has.
    fn start(&self) -> Result<()> {
        self.change(&Changes::new().start(&self.at.unit), "starting k3s")
    }

    fn bring(&self, archive: &str) -> Result<()> {
        let (restore, unpacking) = (restore(), format!("{}/unpacking", restore()));
        let room = removed(Changes::new(), &restore).private_folder(&restore);
        self.change(&room, "making room for the backup")?;
        let brought = format!("{restore}/archive");
        let inside = self.inside(archive, &brought)?;
        run_ourselves(self.host, &[UNPACK, &inside, &unpacking], self.limit)?
            .succeed(&self.host.location(), "unpacking the backup")?;
        let named = removed(Changes::new().rename(&unpacking, &unpacked()), &brought);
        self.change(&named, "naming the unpacked backup")
    }

    /// The path of the backup where the container sees it.
    fn inside(&self, archive: &str, path: &str) -> Result<String> {
        if self.host.location() == self.host.outside().location() {
            return Ok(archive.to_owned());
        }
        let argv = ["/bin/sh", "-c", "umask 077; exec cat > \"$1\"", "sh", path];
        let command = Command::new(argv).send(archive).within(self.limit);
        self.done(&command, "copying the backup into the container")?;
        Ok(path.to_owned())
    }

    fn put_keys(&self, what: &[&str], aside: &str, password: bool) -> Result<()> {
        let server = &self.at.server;
        let mut changes = Changes::new();
        for name in what {
            changes = set_aside(changes, server, &[name], aside).copy_all(
                &format!("{}/server/{name}", unpacked()),
                &format!("{server}/{name}"),
            );
        }
        if password {
            let kept = format!("{}/etc/{NODE_PASSWORD}", unpacked());
            changes = changes.copy_all(&kept, &format!("/etc{NODE_PASSWORD}"));
        }
        self.change(&changes, "putting the backup's keys in place")
    }

    fn put_sqlite(&self, copy: &str, aside: &str) -> Result<()> {
        let server = &self.at.server;
        let changes = without_datastore(server, aside).copy_all(
            &format!("{}/{copy}", unpacked()),
            &format!("{server}/db/state.db"),
        );
        self.change(&changes, "putting the backup's datastore in place")
    }

    fn set_aside(&self, keys: bool, aside: &str) -> Result<()> {
        let what: &[&str] = if keys { &KEYS } else { &[] };
        let server = &self.at.server;
        let changes = set_aside(without_datastore(server, aside), server, what, aside);
        self.change(&changes, "setting the old data aside")
    }

    /// What is left of SQLite beside the etcd would be moved into it. k3s ends by itself when its etcd is made.
    fn reset(&self, reset: &Reset, snapshot: &str, aside: &str) -> Result<()> {
        let doing = "letting k3s replace its etcd";
        let server = &self.at.server;
        let files = set_aside(Changes::new(), server, &SQLITE, aside);
        self.change(&files, doing)?;
        let (token, db) = (format!("{}/token", restore()), format!("{server}/db"));
        let mut environment = reset.environment.clone();
        environment.insert("K3S_TOKEN_FILE".to_owned(), token.clone());
        environment.insert("K3S_CONFIG_FILE".to_owned(), format!("{}/config.yaml", restore()));
        let argv = self.reset_argv(reset, snapshot);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let changes = copies_of_config(reset)
            .write(&token, 0o600, &self.token()?)
            .run_to_end(RESET, &argv, &environment)
            .remove(&[&token])
            .settle(&db)
            .end_answers();
        let answer = self.answered(&changes, doing)?;
        let answer = Facts::parse(&answer).with_context(|| format!("{}: {doing}", self.host.location()))?;
        let wal = Probe::new().is("etcd", Is::Folder, &format!("{db}/etcd/member/wal"));
        let has_etcd = self.ask(&wal, "checking the etcd that k3s made")?.has("etcd");
        if let Some(fault) = self.fault(&answer, has_etcd) {
            bail!("{}: {doing}: {fault}", self.host.location());
        }
        Ok(())
    }

    fn reset_argv(&self, reset: &Reset, snapshot: &str) -> Vec<String> {
        let limit = self.limit.as_secs().to_string();
        let snapshot = format!("--cluster-reset-restore-path={}/{snapshot}", unpacked());
        let before = ["timeout", "-k", "10", &limit, &self.at.binary, "server"].map(str::to_owned);
        let arguments = reset.arguments.iter().cloned();
        before.into_iter().chain(arguments).chain([snapshot]).collect()
    }

    /// The token of the backup without the hash in front of it: nothing is there yet to compare that with.
    fn token(&self) -> Result<String> {
        let script = format!("exec cat {}\n", quote(&format!("{}/server/token", unpacked())));
        let text = self.done(&Command::script(script), "reading the token of the backup")?;
        Ok(password(&String::from_utf8_lossy(&text)).to_owned())
    }

    /// What went wrong with a reset; it has to leave an etcd, whatever its status.
    fn fault(&self, answer: &Facts, has_etcd: bool) -> Option<String> {
        let what = match answer.status(RESET) {
            0 if has_etcd => return None,
            0 => format!("succeeded, and left no etcd in {}/db", self.at.server),
            TIMED_OUT => format!("did not end within {} s", self.limit.as_secs()),
            status => format!("ended with status {status}"),
        };
        let said = answer.lossy(RESET).unwrap_or_default();
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
        self.change(&Changes::new().restart(&self.at.unit), "restarting the agent")?;
        Node::look(self.host, node, Duration::ZERO)?.must_be_ready(self.host, node, self.limit)
    }

    /// The record goes last: until then this is planned again.
    fn finish(&self, done: Option<&Done>) -> Result<()> {
        let doing = "finishing the restore";
        self.change(&removed(Changes::new(), &restore()), doing)?;
        if let Some(done) = done {
            self.keep(DONE, &serde_json::to_string(done)?, doing)?;
        }
        let record = format!("{FOLDER}/{RECORD}");
        self.change(&removed(Changes::new(), &record), doing)
    }
}

fn removed(changes: Changes, path: &str) -> Changes {
    changes.remove_all(path).settle(parent(path))
}

/// Those of these files below `server` that are there, into the folder `kept` of it.
fn set_aside(changes: Changes, server: &str, names: &[&str], kept: &str) -> Changes {
    let folder = format!("{server}/{kept}");
    let move_one = |changes: Changes, name: &&str| changes.aside(&format!("{server}/{name}"), &folder);
    names.iter().fold(changes, move_one)
}

fn without_datastore(server: &str, aside: &str) -> Changes {
    let changes = set_aside(Changes::new(), server, &[ETCD], aside);
    set_aside(changes, server, &SQLITE, aside)
}

/// What the reset reads in place of the server's own configuration.
fn copies_of_config(reset: &Reset) -> Changes {
    let main = format!("{}/config.yaml", restore());
    let changes = Changes::new().folder(&format!("{main}.d"));
    reset.config.iter().fold(changes, |changes, (name, text)| {
        let path = match name.as_str() {
            "" => main.clone(),
            name => format!("{main}.d/{name}"),
        };
        changes.write(&path, 0o600, text)
    })
}
