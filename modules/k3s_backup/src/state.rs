//! What datastore a server has, and which backups of it are there.

use anyhow::Result;
use host::stamp;
use k3s_node::NodeSettings;
use server_archive::{DATABASES, Databases, Datastore, Places};
use std::time::SystemTime;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub at: Places,
    pub datastore: Datastore,
    /// What to say of a database that is not in use.
    pub stale: Option<String>,
    /// Names of our earlier backups, oldest first.
    pub backups: Vec<String>,
    /// Files in k3s's own folder of snapshots.
    pub snapshots: Vec<String>,
    /// The name of the member of etcd here; empty where there is none.
    pub member: String,
    pub now: SystemTime,
}

/// Answers one line a fact: `$1` is the data folder, `$2` that of our backups, `$3` that of k3s's snapshots.
pub(crate) fn look() -> String {
    format!(
        r#"set -u
s=$1/server
{DATABASES}[ -d "$2" ] && ls -1 -- "$2" | sed 's/^/backup /'
[ -d "$3" ] && ls -1 -- "$3" | sed 's/^/snapshot /'
[ -f "$s/db/etcd/name" ] && echo "member $(cat "$s/db/etcd/name")"
exit 0
"#
    )
}

pub(crate) fn parse(
    text: &str,
    node: &NodeSettings,
    at: Places,
    name: &str,
    now: SystemTime,
) -> Result<State> {
    let of = |key: &str| {
        let mut values: Vec<String> = text
            .lines()
            .filter_map(|line| Some(line.strip_prefix(key)?.to_owned()))
            .collect();
        values.sort();
        values
    };
    let on_disk = Databases::read(text);
    let datastore = on_disk.datastore(node)?;
    let ours = |backup: &String| stamp::is_stamped(backup, name);
    Ok(State {
        stale: on_disk.stale(datastore, &at.data_dir),
        at,
        datastore,
        backups: of("backup ").into_iter().filter(ours).collect(),
        snapshots: of("snapshot "),
        member: of("member ").pop().unwrap_or_default(),
        now,
    })
}

impl State {
    /// The snapshots that k3s has saved here under this name, the oldest first: it calls them by name, node and second.
    pub(crate) fn named(&self, name: &str) -> Vec<&String> {
        let node = self.member.rsplit_once('-').map_or("", |(node, _)| node);
        let start = format!("{name}-{node}-");
        let second = |file: &&String| -> Option<u64> {
            let rest = file.strip_prefix(&start)?;
            rest.strip_suffix(".zip").unwrap_or(rest).parse().ok()
        };
        let mut named: Vec<&String> = self
            .snapshots
            .iter()
            .filter(|file| second(file).is_some())
            .collect();
        named.sort_by_key(second);
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<State> {
        let frames = "@hostname 2\nn1\n@end 0\n\n";
        let node = NodeSettings::read(&k3s_node::Facts::parse(frames.as_bytes())?, "/c.yaml")?;
        parse(
            text,
            &node,
            Places::of("/d"),
            "pre-upgrade",
            SystemTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn only_backups_of_the_same_name_are_ours() {
        let text = "server\nwal\nbackup pre-upgrade-20260102T000000Z\nbackup pre-upgrade-20260101T000000Z\nbackup notes.txt\nbackup pre-upgrade-old\nsnapshot on-demand-n1-1\n";
        let state = read(text).unwrap();
        assert_eq!(state.datastore, Datastore::Etcd);
        assert_eq!(
            state.backups,
            ["pre-upgrade-20260101T000000Z", "pre-upgrade-20260102T000000Z"]
        );
        assert_eq!(state.snapshots, ["on-demand-n1-1"]);
    }

    #[test]
    fn snapshots_of_a_name_are_those_of_this_node_by_their_time() {
        let files = "snapshot v-n1-10\nsnapshot v-n1-9\nsnapshot v-n1-8.zip\nsnapshot v-x-n1-1\nsnapshot v-n2-1\nsnapshot v-n1-1.part\n";
        let text = format!("server\nwal\nmember n1-2f39e6eb\n{files}");
        let state = read(&text).unwrap();
        assert_eq!(state.named("v"), ["v-n1-8.zip", "v-n1-9", "v-n1-10"]);
        assert_eq!(state.named("v-x"), ["v-x-n1-1"]);
    }

    #[test]
    fn a_node_without_a_server_is_told() {
        assert!(read("").is_err() && read("snapshot a\n").is_err());
    }
}
