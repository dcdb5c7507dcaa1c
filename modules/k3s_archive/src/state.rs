//! What there is to back up, and where it would go.

use crate::params::Taking;
use anyhow::{Context, Result};
use host::stamp;
use k3s_node::NodeSettings;
use k3s_types::K3sVersion;
use server_archive::{Checked, DATABASES, Databases, Datastore, Places};
use std::time::SystemTime;

/// What an archive's name ends with, and that of one in the making.
pub(crate) const SUFFIX: &str = ".tar.gz";
pub(crate) const PART: &str = ".tar.gz.part";

/// The folder in the container that holds a copy until it is packed; a word of its own follows.
pub(crate) const WORK: &str = "/var/lib/homelab-k3s/outgoing";
/// What our snapshots are called in k3s's own folder, for the moment that they are there.
pub(crate) const SNAPSHOT: &str = "homelab-archive";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Server(Box<Server>),
    Folder(Dest),
    /// The archive to be verified.
    Archive(Box<Checked>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub at: Places,
    pub datastore: Datastore,
    /// What to say of a database that is not in use.
    pub stale: Option<String>,
    /// What is installed: what runs may be older, and never newer.
    pub version: Option<K3sVersion>,
    /// What the datastore takes, and what is free for its copy, in bytes.
    pub bytes: u64,
    pub free: u64,
    /// What a run that was killed left in the container.
    pub left: Vec<String>,
    pub dest: Dest,
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

/// Tells one line a fact. Where a folder is not there yet, the free space is that of the one that it will be in.
const FREE: &str = r#"free() {
  place=$1
  while [ ! -d "$place" ]; do place=${place%/*}; place=${place:-/}; done
  df -Pk -- "$place" | awk 'NR == 2 { print "free " $4 }'
}
"#;

/// In the container: `$1` is the data folder, `$2` k3s, `$3` the folder for copies, `$4` what begins as our snapshots do.
pub(crate) fn look_inside() -> String {
    format!(
        r#"set -u
s=$1/server
{FREE}{DATABASES}for file in "$s/db/etcd/member/snap/db" "$s/db/state.db" "$s/db/state.db-wal"; do
  [ ! -f "$file" ] || stat -L -c 'bytes %s' "$file"
done
"$2" --version 2>/dev/null | sed 's/^/version /'
free "$s"
free "$3"
for left in "$3".* "$4"-*; do
  [ ! -e "$left" ] || printf 'left %s\n' "$left"
done
exit 0
"#
    )
}

/// On the Proxmox host: `$1` is the folder.
pub(crate) fn look_outside() -> String {
    format!(
        r#"set -u
{FREE}[ ! -d "$1" ] || {{ stat -L -c 'folder %u %a' -- "$1"; ls -1 -- "$1" | sed 's/^/file /'; }}
free "$1"
exit 0
"#
    )
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
    node: &NodeSettings,
    at: Places,
    dest: Dest,
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
        at,
        datastore,
        version: K3sVersion::from_version_output(&version).ok(),
        bytes: bytes.sum(),
        free: free(text)?,
        left: of(text, "left").into_iter().map(str::to_owned).collect(),
        dest,
        now,
    })
}

pub(crate) fn parse_outside(text: &str, taking: &Taking) -> Result<Dest> {
    let folder = of(text, "folder").first().and_then(|line| {
        let (owner, mode) = line.split_once(' ')?;
        Some((owner.parse().ok()?, u32::from_str_radix(mode, 8).ok()?))
    });
    let name = format!("{}-{}", taking.name, taking.node_name);
    let ours = |suffix: &str| {
        let mut names: Vec<String> = of(text, "file")
            .into_iter()
            .filter(|file| {
                file.strip_suffix(suffix)
                    .is_some_and(|stem| stamp::is_stamped(stem, &name))
            })
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    };
    Ok(Dest {
        folder,
        free: free(text)?,
        archives: ours(SUFFIX),
        parts: ours(PART),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taking() -> Taking {
        Taking {
            dest: "/b".to_owned(),
            name: "k3s".to_owned(),
            node_name: "n1".to_owned(),
            keep: 2,
            data_dir: None,
            most: 1,
        }
    }

    #[test]
    fn only_archives_of_this_name_and_node_are_ours() {
        let text = "folder 0 700\nfile k3s-n1-20260102T000000Z.tar.gz\nfile k3s-n1-20260101T000000Z.tar.gz\n\
                    file k3s-n1-b-20260101T000000Z.tar.gz\nfile nightly-n1-20260101T000000Z.tar.gz\nfile notes.txt\n\
                    file k3s-n1-20260103T000000Z.tar.gz.part\nfree 1000\n";
        let dest = parse_outside(text, &taking()).unwrap();
        assert_eq!(dest.folder, Some((0, 0o700)));
        assert_eq!(dest.free, 1_024_000);
        assert_eq!(
            dest.archives,
            ["k3s-n1-20260101T000000Z.tar.gz", "k3s-n1-20260102T000000Z.tar.gz"]
        );
        assert_eq!(dest.parts, ["k3s-n1-20260103T000000Z.tar.gz.part"]);
        assert_eq!(parse_outside("free 5\n", &taking()).unwrap().folder, None);
        assert!(parse_outside("folder 0 700\n", &taking()).is_err());
    }

    #[test]
    fn a_server_is_read_line_by_line() {
        let dest = || parse_outside("free 5\n", &taking()).unwrap();
        let node = NodeSettings::read(
            &k3s_node::Facts::parse(b"@hostname 2\nn1\n@end 0\n\n").unwrap(),
            "/c.yaml",
        )
        .unwrap();
        let read = |text: &str| parse_inside(text, &node, Places::of("/d"), dest(), SystemTime::UNIX_EPOCH);
        let text = "server\ndatabase\nbytes 4096\nbytes 8192\nversion k3s version v1.36.3+k3s1 (abc)\n\
                    version go version go1.26.8\nfree 7\nleft /var/lib/homelab-k3s/outgoing.a b\n";
        let server = read(text).unwrap();
        assert_eq!(
            (server.datastore, server.bytes, server.free),
            (Datastore::Sqlite, 12_288, 7168)
        );
        assert_eq!(server.version.unwrap().to_string(), "v1.36.3+k3s1");
        assert_eq!(server.left, ["/var/lib/homelab-k3s/outgoing.a b"]);
        let error = read("free 7\n").unwrap_err();
        assert!(error.to_string().contains("no k3s server here"));
    }
}
