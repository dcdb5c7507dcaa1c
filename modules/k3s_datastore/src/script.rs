//! The programs that run on the node.

use crate::left::{Left, Original};
use crate::params::Params;
use crate::record::{self, Record, Stage};
use crate::state::Paths;
use host::{Command, quote};
use k3s_node::changes::parent;
use k3s_node::probe::{Is, Run};
use k3s_node::{Changes, FOLDER, Facts, Probe, unit};
use std::collections::BTreeMap;
use std::time::Duration;

/// The name of our file beside `config.yaml`. The last file wins, and few names come after this one.
pub(crate) const DROP_IN: &str = "zz-homelab-k3s-datastore.yaml";

/// The name of systemd's answer whether it starts k3s again.
const RESTART: &str = "restart";

/// Copying a database of some gigabytes on a slow disk.
pub(crate) const COPY_LIMIT: Duration = Duration::from_mins(15);

/// Where things are: k3s's databases, and what is ours while a migration is under way.
struct Ours {
    db: String,
    /// Keeps systemd from starting it once more.
    runtime: String,
    /// Keeps whatever start from beginning on an etcd that was filled half-way.
    guard: String,
    guard_program: String,
    record: String,
}

impl Ours {
    fn of(paths: &Paths) -> Self {
        let unit = &paths.unit;
        Self {
            db: format!("{}/server/db", paths.data),
            runtime: format!("/run/systemd/system/{unit}.d/zz-homelab-k3s-datastore.conf"),
            guard: format!("{}.d/homelab-k3s-datastore-guard.conf", unit::path(unit)),
            guard_program: format!("{FOLDER}/datastore-guard.sh"),
            record: format!("{FOLDER}/{}", record::FILE),
        }
    }
}

/// Which datastore the server has, and what of ours is there.
pub(crate) fn gather(paths: &Paths, dest: &str) -> Command {
    let db = format!("{}/server/db", paths.data);
    let database = format!("{db}/state.db");
    // One of the two may not be there.
    let sizes = ["stat", "-c", "%s", &database, &format!("{database}-wal")];
    Probe::new()
        .units(&paths.config)
        .is("server", Is::Folder, &format!("{}/server", paths.data))
        .is("wal", Is::Folder, &format!("{db}/etcd/member/wal"))
        .when(Is::File, &database, &Probe::new().print("database", &sizes))
        .file("record", &format!("{FOLDER}/{}", record::FILE))
        .disk("disk:data", &[&db])
        .disk("disk:dest", &[dest])
        .command(&paths.binary)
}

pub(crate) fn keep(params: &Params, paths: &Paths, record: &Record) -> Command {
    k3s_node::keep(
        &paths.binary,
        params.lock_timeout,
        record::FILE,
        &record.to_text(),
    )
}

/// k3s decides by member/wal alone, and would serve what is in etcd. Beside a state.db that was not moved it is not all.
const GUARD: &str = r#"if [ -d "$db/etcd/member/wal" ] && [ -f "$db/state.db" ]; then
    rm -rf "$db/etcd-unfinished"
    mv "$db/etcd" "$db/etcd-unfinished"
fi
"#;

/// Stops k3s without waiting. From here on no start, whoever asks for it, begins on an etcd that was filled half-way.
pub(crate) fn stop(params: &Params, paths: &Paths) -> Command {
    let ours = Ours::of(paths);
    let program = &ours.guard_program;
    let guard =
        format!("[Service]\nExecStartPre=/bin/sh -c 'test ! -e {program} || exec /bin/sh {program}'\n");
    Changes::new()
        .write(program, 0o600, &format!("db={}\n{GUARD}", quote(&ours.db)))
        .folder_of(&ours.guard)
        .write(&ours.guard, 0o644, &guard)
        .reload()
        .stop(&paths.unit)
        .command(params.lock_timeout, Command::USUAL_LIMIT)
}

/// The next start migrates, and is not followed by another one on its own: k3s would skip what is half done. `record` says that k3s migrates
/// from now on.
pub(crate) fn enable(params: &Params, paths: &Paths, record: &Record) -> Command {
    let Ours {
        runtime,
        record: path,
        ..
    } = Ours::of(paths);
    let restart = ["systemctl", "show", "-p", "Restart", &paths.unit];
    Changes::new()
        .write(&path, 0o600, &record.to_text())
        .folder_of(&record.drop_in)
        .folder_of(&runtime)
        .write(&record.drop_in, 0o600, "cluster-init: true\n")
        .write(&runtime, 0o644, "[Service]\nRestart=no\n")
        .reload()
        .run_to_end(RESTART, &restart, &BTreeMap::new())
        .end_answers()
        .command(params.lock_timeout, Command::USUAL_LIMIT)
}

/// Why the start that migrates would not be the only one.
pub(crate) fn restarts(paths: &Paths, answer: &Facts) -> Option<String> {
    let found = answer.lossy(RESTART).unwrap_or_default();
    let (unit, runtime) = (&paths.unit, Ours::of(paths).runtime);
    (found != "Restart=no").then(|| {
        format!("{unit} has {found} in spite of {runtime}: a drop-in of somebody else comes after it")
    })
}

pub(crate) fn start(params: &Params, paths: &Paths) -> Command {
    let changes = Changes::new().start(&paths.unit);
    changes.command(params.lock_timeout, Command::USUAL_LIMIT)
}

/// One look at a k3s that is coming up. The files after the API: k3s serves when it has moved SQLite away, and may do both while
/// kubectl waits for an answer.
pub(crate) fn look(paths: &Paths) -> Command {
    let db = format!("{}/server/db", paths.data);
    let readyz = Run {
        argv: &[
            &paths.binary,
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
        .show("show", &paths.unit)
        .run("said", &readyz)
        .is("wal", Is::Folder, &format!("{db}/etcd/member/wal"))
        .is("database", Is::File, &format!("{db}/state.db"))
        .command(&paths.binary)
}

/// The record of this migration in another stage.
fn record_at(record: &Record, stage: Stage) -> String {
    let mut record = record.clone();
    record.stage = stage;
    record.to_text()
}

/// No start migrates any more. While the record says so, what is at the path of state.db may be half of it. Before the first migrating start
/// nothing can have been lost, and nothing is put back.
pub(crate) fn begin_return(params: &Params, paths: &Paths, record: &Record) -> Command {
    let changes = match record.stage {
        Stage::Begun => Changes::new(),
        Stage::Migrating | Stage::GoingBack => {
            let path = Ours::of(paths).record;
            Changes::new().write(&path, 0o600, &record_at(record, Stage::GoingBack))
        }
    };
    let drop_in = &record.drop_in;
    changes
        .remove(&[drop_in, &format!("{drop_in}.part")])
        .remove_empty(&[parent(drop_in)])
        .command(params.lock_timeout, Command::USUAL_LIMIT)
}

/// What there is to serve from, with k3s stopped; [`crate::left::Left::read`] reads it.
pub(crate) fn left(paths: &Paths, record: &Record) -> Command {
    let db = Ours::of(paths).db;
    Probe::new()
        .is("wal", Is::Folder, &format!("{db}/etcd/member/wal"))
        .is("etcd", Is::Folder, &format!("{db}/etcd"))
        .is("database", Is::File, &format!("{db}/state.db"))
        .is("migrated", Is::File, &format!("{db}/state.db.migrated"))
        .sum("copy", &record.database())
        .names("failed", Is::There, &db, "etcd-failed-*")
        .command(&paths.binary)
        .within(COPY_LIMIT)
}

/// Brings the copy beside the database, and checks it there.
pub(crate) fn bring_copy(params: &Params, paths: &Paths, record: &Record, sha256: &str) -> Command {
    let part = format!("{}/state.db.part", Ours::of(paths).db);
    Changes::new()
        .copy_of(&record.database(), &part, sha256)
        .command(params.lock_timeout, COPY_LIMIT)
}

/// The copy that was brought replaces the database. What is in an old log is not for it.
pub(crate) fn put_copy_in_place(paths: &Paths) -> Changes {
    let db = Ours::of(paths).db;
    let [part, shm, wal] = [".part", "-shm", "-wal"].map(|end| format!("{db}/state.db{end}"));
    Changes::new()
        .remove(&[&shm, &wal])
        .rename(&part, &format!("{db}/state.db"))
}

/// The database that k3s has migrated from is put in place again.
pub(crate) fn put_original_in_place(paths: &Paths, original: Original) -> Changes {
    let db = Ours::of(paths).db;
    let changes = Changes::new().remove(&[&format!("{db}/state.db.part")]);
    match original {
        Original::InPlace => changes,
        Original::Renamed => changes.rename(&format!("{db}/state.db.migrated"), &format!("{db}/state.db")),
    }
}

/// Moves an etcd aside that lies beside the database. Of earlier failures one is enough to look into.
pub(crate) fn etcd_aside(changes: Changes, paths: &Paths, left: &Left, stamp: &str) -> Changes {
    let db = Ours::of(paths).db;
    if !left.etcd {
        return changes;
    }
    let changes = changes.remove_all(&format!("{db}/etcd-unfinished"));
    let changes = left
        .failed
        .iter()
        .fold(changes, |changes, path| changes.remove_all(path));
    changes.rename(&format!("{db}/etcd"), &format!("{db}/etcd-failed-{stamp}"))
}

/// These changes, and then the record says that `SQLite` is the datastore as before.
pub(crate) fn end_return(params: &Params, paths: &Paths, record: &Record, changes: Changes) -> Command {
    let ours = Ours::of(paths);
    changes
        .write(&ours.record, 0o600, &record_at(record, Stage::Begun))
        .remove(&[&ours.runtime])
        .reload()
        .command(params.lock_timeout, Command::USUAL_LIMIT)
}

/// Nothing of ours stays but cluster-init and the copy. The record goes last, so that a run that ends early here is begun again.
pub(crate) fn finish(params: &Params, paths: &Paths) -> Command {
    let ours = Ours::of(paths);
    let (runtime, guard, program) = (&ours.runtime, &ours.guard, &ours.guard_program);
    let parts = [runtime, guard, program, &ours.record].map(|path| format!("{path}.part"));
    let files = [runtime, guard, program].into_iter().chain(&parts);
    let files: Vec<&str> = files.map(String::as_str).collect();
    Changes::new()
        .remove(&files)
        .remove_empty(&[parent(runtime), parent(guard)])
        .reload()
        .settle(parent(&unit::path("")))
        .remove_all(&format!("{}/etcd-unfinished", ours.db))
        .remove(&[&ours.record])
        .remove_empty(&[FOLDER])
        .settle(parent(FOLDER))
        .command(params.lock_timeout, Command::USUAL_LIMIT)
}

pub(crate) fn journal(paths: &Paths) -> Command {
    Command::new([
        "journalctl",
        "-u",
        &paths.unit,
        "-n",
        "40",
        "--no-pager",
        "-o",
        "cat",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_unit_that_is_not_started_again_may_migrate() {
        let why = |said: &str| {
            let answer = format!("@restart {}\n{said}\n@end 0\n\n", said.len());
            restarts(&Paths::default(), &Facts::parse(answer.as_bytes()).unwrap())
        };
        assert_eq!(why("Restart=no"), None);
        assert!(
            why("Restart=always")
                .unwrap()
                .starts_with("k3s.service has Restart=always in spite of /run/")
        );
        assert!(why("").is_some() && why("Restart=no-such").is_some());
    }
}
