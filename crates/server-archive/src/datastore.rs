//! Which datastore a server has, and how k3s saves that of etcd.

use anyhow::Result;
use host::{Command, Host};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datastore {
    Sqlite,
    Etcd,
    /// `PostgreSQL`, `MySQL` or an etcd of its own: its keeper backs it up.
    External,
}

impl fmt::Display for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Etcd => "etcd",
            Self::External => "external",
        })
    }
}

/// Tells the datastore of the server in `$s`. `member/wal`, not the folder, tells that etcd is in use: the folder and
/// the certificates are there on SQLite servers too.
pub const WHICH_DATASTORE: &str = r#"if [ -d "$s/db/etcd/member/wal" ]; then echo "datastore etcd"
elif [ -f "$s/db/state.db" ]; then echo "datastore sqlite"
elif [ -d "$s" ]; then echo "datastore external"
else echo "datastore none"; fi
"#;

impl Datastore {
    /// Reads the word that [`WHICH_DATASTORE`] has told.
    pub fn of(word: Option<&str>) -> Result<Self> {
        match word {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("etcd") => Ok(Self::Etcd),
            Some("external") => Ok(Self::External),
            Some("none") => anyhow::bail!("there is no k3s server here: data_dir has no folder `server`"),
            other => anyhow::bail!("looking for the datastore: unexpected answer {other:?}"),
        }
    }
}

/// Takes a snapshot, and leaves its name in `$new`. k3s decides the file's name, and may fail with status 0: what
/// counts is the file that was not there before. One that k3s saves by its own timetable meanwhile has another name.
const TAKE: &str = r#"umask 077
name=$1 folder=$2 snapshots=$3 data=$4 k3s=$5
list() { ls -1 -- "$snapshots" 2>/dev/null | grep -v '\.part$' | grep -e "^$name-"; }
[ -z "$folder" ] || mkdir -p -- "$folder" || exit 1
before=$(list)
set -- --name "$name"
[ "$data" = /var/lib/rancher/k3s ] || set -- "$@" --data-dir "$data"
said=$("$k3s" etcd-snapshot save "$@" 2>&1 </dev/null)
r=$?
new=$(list | grep -vxF -e "$before" | head -n 1)
if [ -z "$new" ]; then
  printf '%s\n' "$said" | tail -n 5 >&2
  [ -z "$folder" ] || rm -rf -- "$folder"
  echo "k3s etcd-snapshot ended with status $r and left no new file in $snapshots" >&2
  exit 1
fi
"#;

const MOVE: &str = r#"case $new in *.zip) to=$folder/snapshot.zip;; *) to=$folder/snapshot;; esac
mv -- "$snapshots/$new" "$to" && sync && echo "$to"
"#;

const LEAVE: &str = r#"sync && echo "$snapshots/$new"
"#;

/// Where k3s keeps what, on one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// k3s itself.
    pub binary: String,
    pub data_dir: String,
    /// Where it saves its snapshots.
    pub snapshots: String,
}

impl Places {
    /// Where k3s keeps its data where nobody says otherwise.
    pub const USUAL: &str = "/var/lib/rancher/k3s";

    /// As they are where nobody says otherwise.
    pub fn of(data_dir: &str) -> Self {
        Self {
            binary: "k3s".to_owned(),
            data_dir: data_dir.to_owned(),
            snapshots: format!("{data_dir}/server/db/snapshots"),
        }
    }
}

/// Has k3s save a snapshot of etcd, and moves it to `folder`. Answers its path.
pub fn save_snapshot(
    host: &dyn Host,
    at: &Places,
    name: &str,
    folder: &str,
    limit: Duration,
) -> Result<String> {
    take(host, at, name, folder, MOVE, limit)
}

/// The same, left where k3s keeps its own.
pub fn save_snapshot_in_place(host: &dyn Host, at: &Places, name: &str, limit: Duration) -> Result<String> {
    take(host, at, name, "", LEAVE, limit)
}

fn take(
    host: &dyn Host,
    at: &Places,
    name: &str,
    folder: &str,
    then: &str,
    limit: Duration,
) -> Result<String> {
    let script = format!("{TAKE}{then}");
    let argv = [
        "/bin/sh",
        "-c",
        &script,
        "sh",
        name,
        folder,
        &at.snapshots,
        &at.data_dir,
        &at.binary,
    ];
    let output = host
        .run(&Command::new(argv).within(limit))?
        .succeed(&host.place(), "saving an etcd snapshot")?;
    Ok(output.text().trim().to_owned())
}
