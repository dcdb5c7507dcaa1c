//! Which datastore a server has, and how k3s saves that of etcd.

use anyhow::{Result, bail, ensure};
use host::{Command, Host};
use k3s_node::NodeSettings;
use k3s_node::settings as node;
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

/// Prints what lies in the server's folder `$s`, a line each; [`Databases::read`] reads it.
pub const DATABASES: &str = r#"[ ! -d "$s" ] || echo server
[ ! -d "$s/db/etcd/member/wal" ] || echo wal
[ ! -f "$s/db/state.db" ] || echo database
"#;

/// What lies on a server's disk, in use or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Databases {
    pub server: bool,
    /// `member/wal`, not the folder: that and the certificates are there on SQLite servers too.
    pub wal: bool,
    pub sqlite: bool,
}

impl Databases {
    pub fn read(text: &str) -> Self {
        let has = |word: &str| text.lines().any(|line| line == word);
        Self {
            server: has("server"),
            wal: has("wal"),
            sqlite: has("database"),
        }
    }

    /// Which of it is the datastore: what k3s would use, by what it is started with.
    pub fn datastore(self, node: &NodeSettings) -> Result<Datastore> {
        ensure!(
            self.server,
            "there is no k3s server here: data_dir has no folder `server`"
        );
        let installed = matches!(node.setup, Ok(Some(_)));
        match node.settings().datastore(self.wal) {
            node::Datastore::Etcd if self.wal => Ok(Datastore::Etcd),
            node::Datastore::External => Ok(Datastore::External),
            node::Datastore::OfOtherServers => {
                bail!("this server keeps no etcd (disable-etcd): back up a server of this cluster that does")
            }
            // A migration that is asked for begins with the next start.
            node::Datastore::Sqlite | node::Datastore::Etcd if self.sqlite => Ok(Datastore::Sqlite),
            _ if installed => bail!("this server has no datastore yet: neither etcd nor state.db was begun"),
            _ => Ok(Datastore::External),
        }
    }

    /// What to say of a database that is not in use.
    pub fn stale(self, datastore: Datastore, data_dir: &str) -> Option<String> {
        let is_stale = datastore == Datastore::External && self.sqlite;
        is_stale.then(|| {
            format!("{data_dir}/server/db/state.db is there and not in use: k3s has its data in the external datastore")
        })
    }
}

/// Takes a snapshot, and leaves its name in `$new`. k3s decides the file's name, and may fail with status 0: what
/// counts is the file that was not there before. One that k3s saves by its own timetable meanwhile has another name.
const TAKE: &str = r#"umask 077
name=$1 folder=$2 snapshots=$3 k3s=$4
shift 4
list() { ls -1 -- "$snapshots" 2>/dev/null | grep -v '\.part$' | grep -e "^$name-"; }
[ -z "$folder" ] || mkdir -p -- "$folder" || exit 1
before=$(list)
said=$("$k3s" etcd-snapshot save --name "$name" "$@" 2>&1 </dev/null)
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
pub struct Paths {
    /// k3s itself.
    pub binary: String,
    pub data_dir: String,
    /// Where it saves its snapshots.
    pub snapshots: String,
    /// Whether it copies them into a bucket too, where nobody would remove ours.
    pub s3: bool,
}

impl Paths {
    /// Where k3s keeps its data where nobody says otherwise.
    pub const USUAL: &str = node::DEFAULT_DATA;

    /// The usual ones.
    pub fn of(data_dir: &str) -> Self {
        Self {
            binary: "k3s".to_owned(),
            data_dir: data_dir.to_owned(),
            snapshots: snapshots_in(data_dir),
            s3: false,
        }
    }

    /// As the node has them; `data_dir` is what the operator says instead.
    pub fn of_node(node: &NodeSettings, data_dir: Option<&str>) -> Self {
        let settings = node.settings();
        let own = settings.data_dir();
        let usual = Self::of(data_dir.unwrap_or(&own));
        let snapshots = settings.snapshot_dir();
        Self {
            binary: match &node.setup {
                Ok(Some(setup)) => setup.binary.clone(),
                _ => usual.binary,
            },
            snapshots: if snapshots == snapshots_in(&own) {
                usual.snapshots
            } else {
                snapshots
            },
            s3: settings.has_s3(),
            data_dir: usual.data_dir,
        }
    }

    /// What `k3s etcd-snapshot` has to be given. It reads the usual configuration file and no other, asks k3s for what it
    /// is given itself, and the last of two flags of one name counts.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if self.data_dir != Self::USUAL {
            flags.extend(["--data-dir".to_owned(), self.data_dir.clone()]);
        }
        if self.snapshots != snapshots_in(&self.data_dir) {
            flags.extend(["--etcd-snapshot-dir".to_owned(), self.snapshots.clone()]);
        }
        if self.s3 {
            flags.push("--etcd-s3=false".to_owned());
        }
        flags
    }
}

fn snapshots_in(data_dir: &str) -> String {
    format!("{data_dir}/server/db/snapshots")
}

/// Has k3s save a snapshot of etcd, and moves it to `folder`. Answers its path.
pub fn save_snapshot(
    host: &dyn Host,
    at: &Paths,
    name: &str,
    folder: &str,
    limit: Duration,
) -> Result<String> {
    take(host, at, name, folder, MOVE, limit)
}

/// The same, left where k3s keeps its own.
pub fn save_snapshot_in_place(host: &dyn Host, at: &Paths, name: &str, limit: Duration) -> Result<String> {
    take(host, at, name, "", LEAVE, limit)
}

fn take(
    host: &dyn Host,
    at: &Paths,
    name: &str,
    folder: &str,
    then: &str,
    limit: Duration,
) -> Result<String> {
    let script = format!("{TAKE}{then}");
    let flags = at.flags();
    let argv = [
        "/bin/sh",
        "-c",
        &script,
        "sh",
        name,
        folder,
        &at.snapshots,
        &at.binary,
    ]
    .into_iter()
    .chain(flags.iter().map(String::as_str));
    let output = host
        .run(&Command::new(argv).within(limit))?
        .succeed(&host.location(), "saving an etcd snapshot")?;
    Ok(output.text().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k3s_node::Facts;
    use std::fmt::Write as _;

    fn node(arguments: &str, config: &str) -> NodeSettings {
        let unit = format!("[Service]\nExecStart=/usr/local/bin/k3s server {arguments}\n");
        let mut text = String::new();
        for (name, content) in [
            ("hostname", "n1"),
            ("unit:k3s.service", &unit),
            ("config:/etc/rancher/k3s/config.yaml", config),
            ("end", ""),
        ] {
            let _ = write!(text, "@{name} {}\n{content}\n", content.len());
        }
        NodeSettings::read(&Facts::parse(text.as_bytes()).unwrap(), node::DEFAULT_CONFIG).unwrap()
    }

    const ALL: &str = "server\nwal\ndatabase\n";

    #[test]
    fn what_runs_is_the_datastore_and_a_stale_file_is_named() {
        let external = "--datastore-endpoint=postgres://u:p@db/k3s";
        let cases = [
            ("", "server\ndatabase\n", Datastore::Sqlite),
            (external, "server\ndatabase\n", Datastore::External),
            (external, "server\n", Datastore::External),
            ("--cluster-init", ALL, Datastore::Etcd),
            ("--cluster-init", "server\ndatabase\n", Datastore::Sqlite),
        ];
        for (arguments, on_disk, expected) in cases {
            let found = Databases::read(on_disk).datastore(&node(arguments, "")).unwrap();
            assert_eq!(found, expected, "{arguments} {on_disk}");
        }
        let stale = Databases::read("server\ndatabase\n");
        assert!(
            stale
                .stale(Datastore::External, "/d")
                .unwrap()
                .contains("/d/server/db/state.db")
        );
        assert_eq!(stale.stale(Datastore::Sqlite, "/d"), None);
        for (arguments, on_disk, part) in [
            ("", "", "no k3s server here"),
            ("", "server\n", "no datastore yet"),
            (
                "--disable-etcd --server https://a:6443",
                "server\n",
                "(disable-etcd)",
            ),
        ] {
            let error = Databases::read(on_disk)
                .datastore(&node(arguments, ""))
                .unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn snapshots_are_kept_where_the_node_keeps_them_and_out_of_its_bucket() {
        let config = "etcd-snapshot-dir: /mnt/vault/etcd\netcd-s3: yes\n";
        let at = Paths::of_node(&node("--data-dir /srv/k3s", config), None);
        assert_eq!(
            (at.data_dir.as_str(), at.snapshots.as_str()),
            ("/srv/k3s", "/mnt/vault/etcd")
        );
        assert_eq!(
            at.flags(),
            [
                "--data-dir",
                "/srv/k3s",
                "--etcd-snapshot-dir",
                "/mnt/vault/etcd",
                "--etcd-s3=false"
            ]
        );
        let usual = Paths::of_node(&node("", ""), None);
        assert_eq!(
            (usual.flags(), usual.binary.as_str()),
            (Vec::new(), "/usr/local/bin/k3s")
        );
        assert_eq!(
            Paths::of_node(&node("", ""), Some("/d")).snapshots,
            "/d/server/db/snapshots"
        );
    }
}
