//! What to copy, and which old copies to remove. Pure.

use crate::params::Params;
use crate::state::State;
use ansible_module::Plan;
use anyhow::{Result, bail};
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
    /// And see it in k3s's own list.
    SaveInPlace {
        name: String,
        at: Places,
    },
    /// So that k3s forgets it too.
    Delete {
        snapshot: String,
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
            Self::SaveInPlace { name, at } => {
                write!(
                    f,
                    "save an etcd snapshot {name}-… in {}, and see it in k3s's list",
                    at.snapshots
                )
            }
            Self::Delete { snapshot, .. } => write!(f, "remove the old snapshot {snapshot}"),
            Self::CopyToken { folder, .. } => write!(f, "copy the server's token to {folder}"),
            Self::Remove { folder } => write!(f, "remove the old backup {folder}"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    if params.in_place {
        return in_place(params, state);
    }
    let server = format!("{}/server", state.at.data_dir);
    let name = stamp::stamped(&params.name, state.now)?;
    let folder = format!("{}/{name}", params.dest);
    let copy = match state.datastore {
        Datastore::External => {
            let warning = "the datastore is external: it is backed up where it runs, not here".to_owned();
            return Ok(Plan {
                warnings: [warning].into_iter().chain(state.stale.clone()).collect(),
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
            at: state.at.clone(),
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

fn in_place(params: &Params, state: &State) -> Result<Plan<Step>> {
    if state.datastore != Datastore::Etcd {
        bail!(
            "in_place: only embedded etcd has snapshots of its own, and the datastore here is {}",
            state.datastore
        );
    }
    let at = state.at.clone();
    let old = state.named(&params.name);
    let surplus = (old.len() + 1).saturating_sub(params.keep);
    let delete = old[..surplus].iter().map(|snapshot| Step::Delete {
        snapshot: (*snapshot).clone(),
        at: at.clone(),
    });
    let save = Step::SaveInPlace {
        name: params.name.clone(),
        at: at.clone(),
    };
    Ok(Plan::of([save].into_iter().chain(delete).collect()))
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
            at: Places::of(Places::USUAL),
            datastore,
            stale: None,
            backups,
            snapshots: Vec::new(),
            member: String::new(),
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

    #[test]
    fn a_database_that_is_not_in_use_is_named() {
        let state = State {
            at: Places::of(Places::USUAL),
            datastore: Datastore::External,
            stale: Some("state.db is there and not in use".to_owned()),
            backups: Vec::new(),
            snapshots: Vec::new(),
            member: String::new(),
            now: SystemTime::UNIX_EPOCH,
        };
        let plan = plan(&serde_json::from_value(json!({})).unwrap(), &state).unwrap();
        assert!(plan.steps.is_empty() && plan.warnings[1].contains("not in use"));
    }

    #[test]
    fn a_snapshot_in_place_belongs_to_etcd_and_replaces_the_oldest() {
        let of = |datastore| {
            let params = serde_json::from_value(json!({"in_place": true, "name": "v", "keep": 2})).unwrap();
            let state = State {
                at: Places::of(Places::USUAL),
                datastore,
                stale: None,
                backups: Vec::new(),
                snapshots: ["v-n1-1", "v-n1-2", "w-n1-1"].map(str::to_owned).to_vec(),
                member: "n1-2f39e6eb".to_owned(),
                now: SystemTime::UNIX_EPOCH,
            };
            plan(&params, &state).map(|plan| plan.steps.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let folder = "/var/lib/rancher/k3s/server/db/snapshots";
        assert_eq!(
            of(Datastore::Etcd).unwrap(),
            [
                format!("save an etcd snapshot v-… in {folder}, and see it in k3s's list"),
                "remove the old snapshot v-n1-1".to_owned(),
            ]
        );
        for (datastore, word) in [(Datastore::Sqlite, "SQLite"), (Datastore::External, "external")] {
            let error = of(datastore).unwrap_err().to_string();
            assert!(error.starts_with("in_place: ") && error.contains(word), "{error}");
        }
    }
}
