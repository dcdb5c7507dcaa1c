//! What there is to back up, and where it would go.

use crate::params::{Backup, Kind, SNAPSHOT};
use anyhow::{Context, Result};
use host::stamp;
use k3s_node::{FOLDER, NodeSettings, Role};
use k3s_types::K3sVersion;
use server_archive::{Checked, DATABASES, Databases, Datastore, Paths};
use std::time::SystemTime;

/// What an archive's name ends with, and that of one in the making.
pub(crate) const SUFFIX: &str = ".tar.gz";
pub(crate) const PART: &str = ".tar.gz.part";
/// What the folder of an unfinished copy ends with.
pub(crate) const UNFINISHED: &str = ".part";

/// The folder in the container that holds a copy until it is packed; the archive's name follows.
pub(crate) const WORK: &str = "outgoing.";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Server(Box<Server>),
    Folder(Dest),
    /// The archive to be verified.
    Archive(Box<Checked>),
}

impl State {
    pub fn datastore(&self) -> Option<Datastore> {
        match self {
            Self::Server(server) => Some(server.datastore),
            Self::Folder(_) | Self::Archive(_) => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub at: Paths,
    /// The files of the machine that its settings name.
    pub files: Vec<String>,
    pub datastore: Datastore,
    /// What to say of a database that is not in use.
    pub stale: Option<String>,
    /// What is installed: what runs may be older, and never newer.
    pub version: Option<K3sVersion>,
    /// What the datastore takes, and what is free for its copy, in bytes.
    pub bytes: u64,
    pub free: u64,
    /// What a run that was killed left in the container, as paths.
    pub left: Vec<String>,
    /// Names of the earlier backups in the container, oldest first: folders of ours, or snapshots in k3s's folder.
    pub old: Vec<String>,
    /// The folder on the Proxmox host, where the backup goes there.
    pub dest: Option<Dest>,
    pub now: SystemTime,
}

/// The folder on the Proxmox host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dest {
    /// Its owner and mode; none where it is not there yet.
    pub folder: Option<(u32, u32)>,
    pub free: u64,
    /// Names of our earlier archives of this node, oldest first, and of those that were never finished.
    pub archives: Vec<String>,
    pub parts: Vec<String>,
}

/// Prints one fact a line. Where a folder is not there yet, the free space is that of the one that it will be in.
const FREE: &str = r#"free() {
  place=$1
  while [ ! -d "$place" ]; do place=${place%/*}; place=${place:-/}; done
  df -Pk -- "$place" | awk 'NR == 2 { print "free " $4 }'
}
list() { [ ! -d "$2" ] || ls -1 -- "$2" | sed "s/^/$1 /"; }
"#;

/// In the container: `$1` is the data folder, `$2` k3s, `$3` the folder that the copy goes to, `$4` that of k3s's
/// snapshots.
pub(crate) fn look_inside() -> String {
    format!(
        r#"set -u
s=$1/server
{FREE}{DATABASES}for file in "$s/db/etcd/member/snap/db" "$s/db/state.db" "$s/db/state.db-wal"; do
  [ ! -f "$file" ] || stat -L -c 'bytes %s' "$file"
done
"$2" --version 2>/dev/null | sed 's/^/version /'
list file "$3"
list snapshot "$4"
for folder in "$s" "$3" "$4"; do free "$folder"; done
exit 0
"#
    )
}

/// On the Proxmox host: `$1` is the folder.
pub(crate) fn look_outside() -> String {
    format!(
        r#"set -u
{FREE}[ ! -d "$1" ] || stat -L -c 'folder %u %a' -- "$1"
list file "$1"
free "$1"
exit 0
"#
    )
}

/// The folder in the container that the copy goes to.
pub(crate) fn folder_of_copies<'a>(kind: &'a Kind, at: &'a Paths) -> &'a str {
    match kind {
        Kind::Archive { .. } => FOLDER,
        Kind::Copy { dest } => dest,
        Kind::Snapshot => &at.snapshots,
    }
}

/// The values of the lines that begin with `key`, in the order of their names.
fn of<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let value = |line: &'a str| line.strip_prefix(key)?.strip_prefix(' ');
    text.lines().filter_map(value).collect()
}

fn free(text: &str) -> Result<u64> {
    // The least, where the file passes over several disks.
    let kib = of(text, "free")
        .into_iter()
        .map(|kib| kib.trim().parse::<u64>().ok());
    Ok(kib
        .min()
        .flatten()
        .context("asking how much of the disk is free: df gave no number")?
        .saturating_mul(1024))
}

pub(crate) fn parse_inside(
    text: &str,
    backup: &Backup,
    node: &NodeSettings,
    at: Paths,
    dest: Option<Dest>,
    now: SystemTime,
) -> Result<Server> {
    let on_disk = Databases::read(text);
    let datastore = on_disk.datastore(node)?;
    let bytes = of(text, "bytes")
        .into_iter()
        .filter_map(|bytes| bytes.parse::<u64>().ok());
    let version = of(text, "version").join("\n");
    Ok(Server {
        stale: on_disk.stale(datastore, &at.data_dir),
        datastore,
        version: K3sVersion::from_version_output(&version).ok(),
        bytes: bytes.sum(),
        free: free(text)?,
        left: left(text, backup, &at),
        old: old(text, backup, node),
        files: node.files(Role::Server),
        at,
        dest,
        now,
    })
}

/// What is of a run that was killed: its folder, and the snapshot that it did not move there any more.
fn left(text: &str, backup: &Backup, at: &Paths) -> Vec<String> {
    let unfinished = |file: &&str| match backup.kind {
        Kind::Archive { .. } => file.starts_with(WORK),
        Kind::Copy { .. } => file
            .strip_suffix(UNFINISHED)
            .is_some_and(|name| stamp::is_stamped(name, &backup.series.name)),
        Kind::Snapshot => false,
    };
    let ours = |file: &&str| {
        file.strip_prefix(SNAPSHOT)
            .is_some_and(|rest| rest.starts_with('-'))
    };
    let folders = of(text, "file").into_iter().filter(unfinished);
    let snapshots = of(text, "snapshot").into_iter().filter(ours);
    let copies = folder_of_copies(&backup.kind, at);
    let folders = folders.map(|name| format!("{copies}/{name}"));
    folders
        .chain(snapshots.map(|name| format!("{}/{name}", at.snapshots)))
        .collect()
}

fn old(text: &str, backup: &Backup, node: &NodeSettings) -> Vec<String> {
    match backup.kind {
        Kind::Archive { .. } => Vec::new(),
        Kind::Copy { .. } => sorted(of(text, "file"), |file| {
            stamp::is_stamped(file, &backup.series.name)
        }),
        Kind::Snapshot => snapshots_of(&of(text, "snapshot"), &backup.series.name, &node.node_name()),
    }
}

/// The snapshots that k3s has saved here under this name, oldest first: it calls them by name, node and second.
fn snapshots_of(files: &[&str], name: &str, node: &str) -> Vec<String> {
    let start = format!("{name}-{node}-");
    let second = |file: &str| -> Option<u64> {
        let rest = file.strip_prefix(&start)?;
        rest.strip_suffix(".zip").unwrap_or(rest).parse().ok()
    };
    let mut found: Vec<(u64, &str)> = files
        .iter()
        .filter_map(|file| Some((second(file)?, *file)))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, file)| file.to_owned()).collect()
}

/// `name` is what is before the time in the archives' names.
pub(crate) fn parse_outside(text: &str, name: &str) -> Result<Dest> {
    let folder = of(text, "folder").first().and_then(|line| {
        let (owner, mode) = line.split_once(' ')?;
        Some((owner.parse().ok()?, u32::from_str_radix(mode, 8).ok()?))
    });
    let ours = |suffix: &str| {
        sorted(of(text, "file"), |file| {
            file.strip_suffix(suffix)
                .is_some_and(|stem| stamp::is_stamped(stem, name))
        })
    };
    Ok(Dest {
        folder,
        free: free(text)?,
        archives: ours(SUFFIX),
        parts: ours(PART),
    })
}

fn sorted(names: Vec<&str>, is_ours: impl Fn(&str) -> bool) -> Vec<String> {
    let ours = names.into_iter().filter(|name| is_ours(name));
    let mut ours: Vec<String> = ours.map(str::to_owned).collect();
    ours.sort();
    ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Series;

    #[test]
    fn only_archives_of_this_name_and_node_are_ours() {
        let text = "folder 0 700\nfile k3s-n1-20260102T000000Z.tar.gz\nfile k3s-n1-20260101T000000Z.tar.gz\n\
                    file k3s-n1-b-20260101T000000Z.tar.gz\nfile nightly-n1-20260101T000000Z.tar.gz\nfile notes.txt\n\
                    file k3s-n1-20260103T000000Z.tar.gz.part\nfree 1000\n";
        let dest = parse_outside(text, "k3s-n1").unwrap();
        assert_eq!(dest.folder, Some((0, 0o700)));
        assert_eq!(dest.free, 1_024_000);
        assert_eq!(
            dest.archives,
            ["k3s-n1-20260101T000000Z.tar.gz", "k3s-n1-20260102T000000Z.tar.gz"]
        );
        assert_eq!(dest.parts, ["k3s-n1-20260103T000000Z.tar.gz.part"]);
        assert_eq!(parse_outside("free 5\n", "k3s-n1").unwrap().folder, None);
        assert!(parse_outside("folder 0 700\n", "k3s-n1").is_err());
    }

    fn read(kind: Kind, name: &str, text: &str) -> Result<Server> {
        let facts = k3s_node::Facts::parse(b"@hostname 2\nN1\n@end 0\n\n")?;
        read_on(&NodeSettings::read(&facts, "/c.yaml")?, kind, name, text)
    }

    fn read_on(node: &NodeSettings, kind: Kind, name: &str, text: &str) -> Result<Server> {
        let backup = Backup {
            kind,
            series: Series {
                name: name.to_owned(),
                keep: 2,
            },
            data_dir: None,
        };
        let epoch = SystemTime::UNIX_EPOCH;
        parse_inside(text, &backup, node, Paths::of("/d"), None, epoch)
    }

    fn archive() -> Kind {
        Kind::Archive {
            dest: "/b".to_owned(),
            node: "n1".to_owned(),
            most: 1,
        }
    }

    fn copy() -> Kind {
        Kind::Copy {
            dest: "/c".to_owned(),
        }
    }

    #[test]
    fn a_server_is_read_line_by_line() {
        let text = "server\ndatabase\nbytes 4096\nbytes 8192\nversion k3s version v1.36.3+k3s1 (abc)\n\
                    version go version go1.26.8\nfree 7\nfree 9\nfile outgoing.a b\nfile backups\n\
                    snapshot homelab-archive-n1-1\nsnapshot homelab-archives-n1-1\n";
        let server = read(archive(), "k3s-n1", text).unwrap();
        assert_eq!(
            (server.datastore, server.bytes, server.free),
            (Datastore::Sqlite, 12_288, 7168)
        );
        assert_eq!(server.version.unwrap().to_string(), "v1.36.3+k3s1");
        assert_eq!(
            server.left,
            [
                "/var/lib/homelab-k3s/outgoing.a b",
                "/d/server/db/snapshots/homelab-archive-n1-1"
            ]
        );
        let error = read(archive(), "k3s-n1", "free 7\n").unwrap_err();
        assert!(error.to_string().contains("no k3s server here"));
    }

    #[test]
    fn the_files_of_a_server_are_those_of_its_own_unit() {
        let unit = "[Service]\nEnvironmentFile=/etc/attic/node.env\n\
                    ExecStart=/usr/local/bin/k3s server --config /etc/attic/k3s.yaml\n";
        let other = "[Service]\nType=oneshot\nExecStop=/usr/local/bin/k3s-killall.sh\n";
        let frames = [
            ("hostname", "n1"),
            ("unit:k3s-node.service", unit),
            ("unit:k3s-shutdown.service", other),
            ("end", ""),
        ];
        let frames = frames.map(|(name, content)| format!("@{name} {}\n{content}\n", content.len()));
        let facts = k3s_node::Facts::parse(frames.concat().as_bytes()).unwrap();
        let node = NodeSettings::read(&facts, "/etc/attic/k3s.yaml").unwrap();
        let server = read_on(&node, archive(), "k3s-n1", "server\nwal\nfree 7\n").unwrap();
        for path in [
            "/etc/attic/k3s.yaml",
            "/etc/attic/node.env",
            "/etc/systemd/system/k3s-node.service",
        ] {
            assert!(server.files.contains(&path.to_owned()), "{path}");
        }
        assert!(!server.files.iter().any(|path| path.contains("shutdown")));
    }

    #[test]
    fn only_copies_of_the_same_name_are_ours() {
        let text = "server\nwal\nfree 7\nfile pre-upgrade-20260102T000000Z\nfile pre-upgrade-20260101T000000Z\n\
                    file notes.txt\nfile pre-upgrade-old\nfile pre-upgrade-20260103T000000Z.part\nfile outgoing.x\n\
                    file nightly-20260103T000000Z.part\nsnapshot on-demand-n1-1\n";
        let server = read(copy(), "pre-upgrade", text).unwrap();
        assert_eq!(server.datastore, Datastore::Etcd);
        assert_eq!(
            server.old,
            ["pre-upgrade-20260101T000000Z", "pre-upgrade-20260102T000000Z"]
        );
        assert_eq!(server.left, ["/c/pre-upgrade-20260103T000000Z.part"]);
    }

    #[test]
    fn snapshots_of_a_name_are_those_of_this_node_by_their_time() {
        let files = "snapshot v-n1-10\nsnapshot v-n1-9\nsnapshot v-n1-8.zip\nsnapshot v-x-n1-1\nsnapshot v-n2-1\n\
                     snapshot v-n1-1.part\n";
        let text = format!("server\nwal\nfree 7\n{files}");
        let named = |name: &str| read(Kind::Snapshot, name, &text).unwrap().old;
        assert_eq!(named("v"), ["v-n1-8.zip", "v-n1-9", "v-n1-10"]);
        assert_eq!(named("v-x"), ["v-x-n1-1"]);
    }
}
