//! The programs that run on the node.

use crate::params::Params;
use crate::record::{self, Record, Stage};
use crate::state::Places;
use host::Command;
use k3s_node::probe::{Is, Run};
use k3s_node::{FOLDER, Probe, Program, program, words};
use std::time::Duration;

const OURS: &str = include_str!("programs/ours.sh");

/// The name of our file beside `config.yaml`. The last file wins, and few names come after this one.
pub(crate) const DROP_IN: &str = "zz-homelab-k3s-datastore.yaml";

/// Copying a database of some gigabytes on a slow disk.
pub(crate) const COPY_LIMIT: Duration = Duration::from_mins(15);

fn of(places: &Places) -> Program {
    Program::new(&places.binary)
        .with("data", &places.data)
        .with("unit", &places.unit)
        .with("record_file", record::FILE)
}

/// Which datastore the server has, and what of ours is there.
pub(crate) fn gather(places: &Places, dest: &str) -> Command {
    let db = format!("{}/server/db", places.data);
    let database = format!("{db}/state.db");
    // One of the two may not be there.
    let sizes = ["stat", "-c", "%s", &database, &format!("{database}-wal")];
    Probe::new()
        .units(&places.config)
        .is("server", Is::Folder, &format!("{}/server", places.data))
        .is("wal", Is::Folder, &format!("{db}/etcd/member/wal"))
        .when(Is::File, &database, &Probe::new().print("database", &sizes))
        .file("record", &format!("{FOLDER}/{}", record::FILE))
        .disk("disk:data", &[&db])
        .disk("disk:dest", &[dest])
        .command(&places.binary)
}

pub(crate) fn keep(params: &Params, places: &Places, record: &Record) -> Command {
    program::keep(
        &places.binary,
        params.lock_timeout,
        record::FILE,
        &record.to_text(),
    )
}

pub(crate) fn stop(params: &Params, places: &Places) -> Command {
    let db = format!("db={}\n", words::shell(&format!("{}/server/db", places.data)));
    let guard = [&db, include_str!("programs/guard.sh")].concat();
    of(places).with("guard_text", &guard).end_after_turn(
        params.lock_timeout,
        &[OURS, include_str!("programs/stop.sh")].concat(),
        Command::USUAL_LIMIT,
    )
}

/// `record` says that k3s migrates from now on.
pub(crate) fn enable(params: &Params, places: &Places, record: &Record) -> Command {
    of(places)
        .with("record_text", &record.to_text())
        .with("drop_in", &record.drop_in)
        .end_after_turn(
            params.lock_timeout,
            &[OURS, include_str!("programs/enable.sh")].concat(),
            Command::USUAL_LIMIT,
        )
}

pub(crate) fn start(params: &Params, places: &Places) -> Command {
    of(places).end_after_turn(
        params.lock_timeout,
        include_str!("programs/start.sh"),
        Command::USUAL_LIMIT,
    )
}

/// One look at a k3s that is coming up. The files after the API: k3s serves when it has moved SQLite away, and may do both while
/// kubectl waits for an answer.
pub(crate) fn look(places: &Places) -> Command {
    let db = format!("{}/server/db", places.data);
    let readyz = Run {
        argv: &[
            &places.binary,
            "kubectl",
            "--request-timeout=5s",
            "get",
            "--raw",
            "/readyz",
        ],
        errors: true,
        ..Run::default()
    };
    Probe::new()
        .show("show", &places.unit)
        .run("said", &readyz)
        .is("wal", Is::Folder, &format!("{db}/etcd/member/wal"))
        .is("database", Is::File, &format!("{db}/state.db"))
        .command(&places.binary)
}

/// `stamp` names the etcd that is moved aside.
pub(crate) fn back(params: &Params, places: &Places, record: &Record, stamp: &str) -> Command {
    let at = |stage| {
        let mut record = record.clone();
        record.stage = stage;
        record.to_text()
    };
    // Before the first migrating start nothing can have been lost, and nothing is put back.
    let going_back = match record.stage {
        Stage::Begun => String::new(),
        Stage::Migrating | Stage::GoingBack => at(Stage::GoingBack),
    };
    let sha256 = record.copy.as_ref().map_or("", |copy| copy.sha256.as_str());
    of(places)
        .with("drop_in", &record.drop_in)
        .with("backup", &record.backup)
        .with("sha256", sha256)
        .with("stamp", stamp)
        .with("going_back", &going_back)
        .with("begun", &at(Stage::Begun))
        .flag("unfinished", record.stage == Stage::GoingBack)
        .end_after_turn(
            params.lock_timeout,
            &[OURS, include_str!("programs/back.sh")].concat(),
            COPY_LIMIT,
        )
}

pub(crate) fn finish(params: &Params, places: &Places) -> Command {
    of(places).end_after_turn(
        params.lock_timeout,
        &[OURS, include_str!("programs/finish.sh")].concat(),
        Command::USUAL_LIMIT,
    )
}

pub(crate) fn journal(places: &Places) -> Command {
    Command::new([
        "journalctl",
        "-u",
        &places.unit,
        "-n",
        "40",
        "--no-pager",
        "-o",
        "cat",
    ])
}
