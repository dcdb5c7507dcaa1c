//! What is to be done on one server, by how far its restore has come. Pure.

use crate::record::{Done, Record, Stage};
use crate::reset::{self, Reset};
use crate::state::Server;
use anyhow::{Context, Result, bail};
use server_archive::{Checked, Datastore};
use std::collections::BTreeMap;
use std::fmt;

/// Where the programs find what they work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At {
    /// Of the server, by its own name.
    pub(crate) unit: String,
    pub(crate) binary: String,
    pub(crate) server: String,
}

pub struct Step(pub(crate) Act);

pub(crate) enum Act {
    Stop {
        at: At,
        record: Record,
    },
    Bring {
        archive: String,
    },
    /// `node_too`: the password by which the node is known, too, where it has none.
    PlaceKeys {
        at: At,
        aside: String,
        keys: bool,
        token: bool,
        node_too: bool,
    },
    Reset {
        at: At,
        record: Record,
        reset: Box<Reset>,
        snapshot: String,
        secrets: Vec<String>,
    },
    PlaceSqlite {
        at: At,
        record: Record,
    },
    SetAside {
        at: At,
        record: Record,
        keys: bool,
    },
    Start {
        at: At,
        record: Option<Record>,
        enable: bool,
    },
    Wait {
        at: At,
        secrets: Vec<String>,
    },
    RestartAgent {
        unit: String,
    },
    ForgetPasswords {
        binary: String,
        secrets: Vec<String>,
    },
    Enable {
        at: At,
    },
    /// What was brought into the container goes, and the record; the restore is noted as done where it is.
    Finish {
        at: At,
        done: Option<Done>,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Act::Stop { .. } => write!(f, "stop k3s, and keep it from starting with the machine"),
            Act::Bring { .. } => write!(f, "bring the backup into the container, and unpack it"),
            Act::PlaceKeys {
                aside, keys, token, ..
            } => {
                let what = match (keys, token) {
                    (true, true) => "authorities, keys and token",
                    (true, false) => "authorities and keys",
                    _ => "token",
                };
                write!(
                    f,
                    "put the backup's {what} in place, and keep the old ones in server/{aside}"
                )
            }
            Act::Reset { .. } => write!(f, "let k3s replace its etcd by the backup's"),
            Act::PlaceSqlite { record, .. } => write!(
                f,
                "put the backup's SQLite datastore in place, and keep the old one in server/{}",
                record.aside()
            ),
            Act::SetAside { record, .. } => {
                write!(f, "set the old database aside in server/{}", record.aside())
            }
            Act::Start { .. } => write!(f, "start k3s"),
            Act::Wait { .. } => write!(f, "wait until its API is ready"),
            Act::RestartAgent { unit } => {
                let unit = unit.trim_end_matches(".service");
                write!(f, "restart {unit}, and wait until the node is back")
            }
            Act::ForgetPasswords { secrets, .. } => {
                write!(f, "let nodes register again: forget {}", secrets.join(", "))
            }
            Act::Enable { .. } => write!(f, "let k3s start with the machine again"),
            Act::Finish { done: Some(_), .. } => {
                write!(f, "remove what was unpacked, and note that the restore is done")
            }
            Act::Finish { done: None, .. } => write!(f, "forget the restore"),
        }
    }
}

fn at(server: &Server) -> At {
    At {
        unit: server.unit.clone(),
        binary: server.binary.clone(),
        server: server.server_dir(),
    }
}

/// The record of this restore; one of another backup has to be finished first.
fn record<'a>(server: &'a Server, backup: &str) -> Result<Option<&'a Record>> {
    match &server.record {
        Some(record) if record.backup != backup => bail!(
            "the restore of another backup is unfinished here: finish it by -e k3s_restore_backup={}",
            record.backup
        ),
        record => Ok(record.as_ref()),
    }
}

fn begun<'a>(server: &'a Server, backup: &str) -> Result<&'a Record> {
    record(server, backup)?.context("no restore has begun on this server: state=stopped comes first")
}

pub(crate) fn stop(server: &Server, backup: &str, first: bool, stamp: &str) -> Result<Vec<Step>> {
    let known = record(server, backup)?;
    if known.is_some_and(|record| record.stage == Stage::Started) {
        return Ok(Vec::new());
    }
    let is_down = !server.show.is_alive() && server.show.enabled != "enabled";
    let record = match known {
        Some(_) if is_down => return Ok(Vec::new()),
        Some(record) => record.clone(),
        None => Record {
            backup: backup.to_owned(),
            stamp: stamp.to_owned(),
            first,
            stage: Stage::Stopped,
            enabled: server.show.enabled == "enabled",
            active: server.show.is_alive(),
        },
    };
    Ok(vec![Step(Act::Stop {
        at: at(server),
        record,
    })])
}

pub(crate) fn reset(
    server: &Server,
    backup: &str,
    archive: &str,
    checked: Option<&Checked>,
) -> Result<Vec<Step>> {
    let record = begun(server, backup)?;
    if record.stage >= Stage::Replaced {
        return Ok(Vec::new());
    }
    if server.show.is_alive() {
        bail!("k3s runs: state=stopped comes first");
    }
    let checked =
        checked.with_context(|| format!("the backup {archive} is not on this Proxmox host any more"))?;
    let about = &checked.manifest.about;
    if about.name != backup {
        bail!("{archive} holds the backup {}, not {backup}", about.name);
    }
    let mut steps = Vec::new();
    if !server.unpacked {
        steps.push(Act::Bring {
            archive: archive.to_owned(),
        });
    }
    let version = server.version.as_ref().map(ToString::to_string);
    let keys = version.as_deref() != Some(about.k3s_version.as_str()) || !server.has_keys_of(checked);
    // One that is set somewhere was compared before anything was stopped, and is not ours to change.
    let token = match &server.token {
        None => true,
        Some(token) => token.place.is_none() && checked.tokens.first() != Some(&true),
    };
    if keys || token {
        steps.push(Act::PlaceKeys {
            at: at(server),
            aside: record.aside(),
            keys,
            token,
            node_too: about.node == server.node,
        });
    }
    let copy = checked.manifest.datastore_file()?.path.clone();
    steps.push(if about.datastore == Datastore::Sqlite {
        Act::PlaceSqlite {
            at: at(server),
            record: record.clone(),
        }
    } else {
        Act::Reset {
            at: at(server),
            record: record.clone(),
            reset: Box::new(reset::prepare(server)?),
            snapshot: copy,
            secrets: server.secrets(),
        }
    });
    Ok(steps.into_iter().map(Step).collect())
}

pub(crate) fn set_aside(
    server: &Server,
    backup: &str,
    identity: &BTreeMap<String, String>,
) -> Result<Vec<Step>> {
    let record = begun(server, backup)?;
    if record.stage >= Stage::Replaced || record.first {
        return Ok(Vec::new());
    }
    if server.show.is_alive() {
        bail!("k3s runs: state=stopped comes first");
    }
    Ok(vec![Step(Act::SetAside {
        at: at(server),
        record: record.clone(),
        // Where the backup is not at hand any more, they are left: then they were compared before.
        keys: !identity.is_empty() && server.has_identity_of(identity) == Some(false),
    })])
}

pub(crate) fn start(server: &Server, backup: &str) -> Result<Vec<Step>> {
    let record = begun(server, backup)?;
    if record.stage < Stage::Replaced {
        bail!(
            "the database of this server is not replaced yet: starting it would bring the old cluster back"
        );
    }
    let enable = record.enabled && server.show.enabled != "enabled";
    let mut steps = Vec::new();
    if record.stage != Stage::Started || !server.show.is_alive() || enable {
        steps.push(Step(Act::Start {
            at: at(server),
            record: Some(record.at(Stage::Started)),
            enable: record.enabled,
        }));
    }
    if !steps.is_empty() || !server.ready {
        steps.push(Step(Act::Wait {
            at: at(server),
            secrets: server.secrets(),
        }));
    }
    Ok(steps)
}

pub(crate) fn finish(server: &Server, backup: &str, now: String) -> Result<Vec<Step>> {
    let Some(record) = record(server, backup)? else {
        return Ok(Vec::new());
    };
    if record.stage != Stage::Started {
        bail!("this server is not started yet: the restore is not done");
    }
    Ok(vec![Step(Act::Finish {
        at: at(server),
        done: Some(Done {
            backup: backup.to_owned(),
            at: now,
        }),
    })])
}

/// After a failure. As long as no database was touched, all is as it was before, and so are the servers again. After
/// that a server with its old database must not come up beside the restored one: it is set aside before the server may
/// start with the machine again.
pub(crate) fn give_back(server: &Server, backup: &str, touched: bool) -> Result<Vec<Step>> {
    let Some(record) = record(server, backup)? else {
        return Ok(Vec::new());
    };
    let at = at(server);
    let enable = record.enabled && server.show.enabled != "enabled";
    let mut acts = Vec::new();
    if record.stage == Stage::Stopped && !touched {
        if record.active && !server.show.is_alive() {
            acts.push(Act::Start {
                at: at.clone(),
                record: None,
                enable: record.enabled,
            });
        } else if enable {
            acts.push(Act::Enable { at: at.clone() });
        }
        acts.push(Act::Finish { at, done: None });
        return Ok(acts.into_iter().map(Step).collect());
    }
    if record.stage == Stage::Stopped && !record.first {
        acts.push(Act::SetAside {
            at: at.clone(),
            record: record.clone(),
            // Whether they fit is seen when the run is continued; until then the server only waits.
            keys: false,
        });
    }
    if enable {
        acts.push(Act::Enable { at });
    }
    Ok(acts.into_iter().map(Step).collect())
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
