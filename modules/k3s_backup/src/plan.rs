//! What to copy, and which old copies to remove. Pure.

use crate::params::Params;
use crate::state::State;
use ansible_module::Plan;
use anyhow::Result;
use host::stamp;
use server_archive::{Datastore, Places};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    CopySqlite {
        source: String,
        folder: String,
    },
    SaveSnapshot {
        name: String,
        folder: String,
        at: Places,
    },
    /// Without it nobody can read what is encrypted in the datastore.
    CopyToken {
        source: String,
        folder: String,
    },
    Remove {
        folder: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CopySqlite { folder, .. } => write!(f, "copy the SQLite datastore to {folder}"),
            Self::SaveSnapshot { folder, .. } => write!(f, "save an etcd snapshot and copy it to {folder}"),
            Self::CopyToken { folder, .. } => write!(f, "copy the server's token to {folder}"),
            Self::Remove { folder } => write!(f, "remove the old backup {folder}"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let server = format!("{}/server", params.data_dir);
    let name = stamp::stamped(&params.name, state.now)?;
    let folder = format!("{}/{name}", params.dest);
    let copy = match state.datastore {
        Datastore::External => {
            let warning = "the datastore is external: it is backed up where it runs, not here".to_owned();
            return Ok(Plan {
                warnings: vec![warning],
                ..Plan::default()
            });
        }
        Datastore::Sqlite => Step::CopySqlite {
            source: format!("{server}/db/state.db"),
            folder: folder.clone(),
        },
        Datastore::Etcd => Step::SaveSnapshot {
            name: params.name.clone(),
            folder: folder.clone(),
            at: Places::of(&params.data_dir),
        },
    };
    let mut steps = vec![
        copy,
        Step::CopyToken {
            source: format!("{server}/token"),
            folder,
        },
    ];
    let surplus = (state.backups.len() + 1).saturating_sub(params.keep);
    steps.extend(state.backups[..surplus].iter().map(|old| Step::Remove {
        folder: format!("{}/{old}", params.dest),
    }));
    Ok(Plan::of(steps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::{Duration, SystemTime};

    fn steps(datastore: Datastore, backups: usize, keep: usize) -> Vec<String> {
        let params = serde_json::from_value(json!({"vmid": 101, "keep": keep})).unwrap();
        let backups = (1..=backups)
            .map(|day| format!("pre-upgrade-202512{day:02}T000000Z"))
            .collect();
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(490_896);
        let state = State {
            datastore,
            backups,
            snapshots: Vec::new(),
            now,
        };
        plan(&params, &state)
            .unwrap()
            .steps
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_copy_comes_first_and_the_token_with_it() {
        let sqlite = steps(Datastore::Sqlite, 0, 5);
        let folder = "/var/lib/homelab-k3s/backups/pre-upgrade-20260101T000000Z";
        assert_eq!(
            sqlite,
            [
                format!("copy the SQLite datastore to {folder}"),
                format!("copy the server's token to {folder}")
            ]
        );
        assert_eq!(
            steps(Datastore::Etcd, 0, 5)[0],
            format!("save an etcd snapshot and copy it to {folder}")
        );
    }

    #[test]
    fn the_oldest_go_when_there_are_more_than_keep() {
        assert_eq!(steps(Datastore::Sqlite, 4, 5).len(), 2);
        let removed = &steps(Datastore::Sqlite, 6, 5)[2..];
        assert_eq!(removed.len(), 2);
        assert!(
            removed[0].ends_with("pre-upgrade-20251201T000000Z"),
            "{removed:?}"
        );
        assert_eq!(steps(Datastore::Sqlite, 1, 1).len(), 3);
    }

    #[test]
    fn an_external_datastore_is_left_to_its_keeper() {
        assert!(steps(Datastore::External, 0, 5).is_empty());
    }
}
