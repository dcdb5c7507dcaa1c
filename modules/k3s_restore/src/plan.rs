//! What is to be done on one node. Pure.
//!
//! Of a server, by the state that is wanted and by how far its record says that it has come:
//!
//! | `state` | on the server that gets the backup | on a server that joins it |
//! |---|---|---|
//! | `stopped` | record, stop | record, stop |
//! | `replaced` | bring, record, put keys, reset or put SQLite, record | record, set aside, record |
//! | `started` | record, enable, start, wait, admit | record, enable, start, wait |
//! | `finished` | finish | finish |
//! | `given_back` before any datastore was touched | enable, start, finish | enable, start, finish |
//! | `given_back` after that | enable | stop, record, set aside, record, enable |
//!
//! A step whose effect is there is left out. A record stands before the steps that it announces, so after a kill at any
//! step the same state plans the rest: what was begun is repeated, and what was moved away stays there.

use crate::api::Node;
use crate::params::{Goal, Wanted};
use crate::record::{Done, Record, Stage};
use crate::reset::{self, Reset};
use crate::state::{Server, State, View};
use anyhow::{Context, Result, bail};
use host::stamp;
use k3s_node::Role;
use server_archive::{Checked, Datastore};
use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One thing to do, and the k3s that it is about.
pub struct Step {
    pub(crate) act: Act,
    pub(crate) at: At,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) unit: String,
    pub(crate) binary: String,
    /// The server's own folder below its data-dir.
    pub(crate) server: String,
    /// What must not be repeated of what k3s says.
    pub(crate) secrets: Vec<String>,
}

pub(crate) enum Act {
    /// How far it has come is written down.
    Record(Record),
    /// It is kept from starting with the machine too.
    Stop,
    Bring {
        archive: String,
    },
    PutKeys {
        what: Vec<&'static str>,
        aside: String,
        /// The node's password too, which it has lost.
        password: bool,
    },
    Reset {
        reset: Box<Reset>,
        snapshot: String,
        aside: String,
    },
    PutSqlite {
        copy: String,
        aside: String,
    },
    /// What a server has that is to join another cluster.
    SetAside {
        keys: bool,
        aside: String,
    },
    Enable,
    Start,
    Wait,
    /// These nodes may register with other passwords than the backup has.
    Admit {
        nodes: Vec<String>,
    },
    RestartAgent {
        node: String,
    },
    /// What was brought into the container goes, and the record; `done`: the restore has come to its end.
    Finish {
        done: Option<Done>,
    },
}

/// The parts of a server's folder that make the cluster what it is.
pub(crate) const KEYS: [&str; 2] = ["tls", "cred"];
const TOKENS: [&str; 2] = ["token", "agent-token"];

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.act {
            Act::Record(record) => f.write_str(match record.stage {
                Stage::Stopped => "record that a restore begins, and how k3s runs",
                Stage::Replacing => "record that the old data is being replaced",
                Stage::Replaced => "record that the old data is replaced",
                Stage::Started => "record that k3s may start",
            }),
            Act::Stop => f.write_str("stop k3s, and disable its start at boot"),
            Act::Bring { .. } => f.write_str("copy the backup into the container, and unpack it"),
            Act::PutKeys {
                what,
                aside,
                password,
            } => {
                let what = described(what, *password);
                write!(
                    f,
                    "put the backup's {what} in place, and keep old ones in server/{aside}"
                )
            }
            Act::Reset { .. } => f.write_str("let k3s replace its etcd with the backup's"),
            Act::PutSqlite { aside, .. } => write!(
                f,
                "put the backup's SQLite datastore in place, and keep the old one in server/{aside}"
            ),
            Act::SetAside { keys, aside } => {
                let what = if *keys { "database and keys" } else { "database" };
                write!(f, "set the old {what} aside in server/{aside}")
            }
            Act::Enable => f.write_str("enable the start of k3s at boot"),
            Act::Start => f.write_str("start k3s"),
            Act::Wait => f.write_str("wait until its API is ready"),
            Act::Admit { nodes } => {
                write!(
                    f,
                    "delete the node passwords of {}, which may register again",
                    nodes.join(", ")
                )
            }
            Act::RestartAgent { .. } => {
                let unit = self.at.unit.trim_end_matches(".service");
                write!(f, "restart {unit}, and wait until the node is ready")
            }
            Act::Finish { done: Some(_) } => {
                f.write_str("remove the unpacked backup, and record that the restore is finished")
            }
            Act::Finish { done: None } => f.write_str("remove the record of the restore"),
        }
    }
}

/// `CAs, keys and token`.
fn described(what: &[&str], password: bool) -> String {
    let words = [
        ("CAs and keys", KEYS.iter().any(|name| what.contains(name))),
        ("token", TOKENS.iter().any(|name| what.contains(name))),
        ("node password", password),
    ];
    let words: Vec<&str> = words
        .iter()
        .filter_map(|(word, has)| has.then_some(*word))
        .collect();
    words.join(", ")
}

impl At {
    fn of(server: &Server) -> Self {
        Self {
            unit: server.unit.clone(),
            binary: server.binary.clone(),
            server: server.server_dir(),
            secrets: server.secrets(),
        }
    }
}

pub(crate) fn plan(wanted: &Wanted, state: &State) -> Result<Vec<Step>> {
    match (wanted, state) {
        (Wanted::Restored { backup, goal }, State::Server(view)) => {
            let acts = of_server(view, backup, goal)?;
            let step = |act| Step {
                act,
                at: At::of(&view.server),
            };
            Ok(acts.into_iter().map(step).collect())
        }
        (Wanted::NodeReady { node, .. }, State::Node(seen)) => of_node(node, seen),
        _ => Ok(Vec::new()),
    }
}

fn of_server(view: &View, backup: &str, goal: &Goal) -> Result<Vec<Act>> {
    let server = &view.server;
    let known = record(server, backup)?;
    match (goal, known) {
        (Goal::Stopped { first }, _) => stop(server, known, || begun(view, backup, *first)),
        (Goal::Finished | Goal::GivenBack { .. }, None) => Ok(Vec::new()),
        (_, None) => bail!("no restore has begun on this server: state=stopped comes first"),
        (Goal::Replaced { archive, identity }, Some(record)) => replace(view, record, archive, identity),
        (Goal::Started { admit }, Some(record)) => start(view, record, admit),
        (Goal::Finished, Some(record)) => finish(record, view.now),
        (Goal::GivenBack { touched }, Some(record)) => Ok(give_back(server, record, *touched)),
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

/// The record of a restore that begins now.
fn begun(view: &View, backup: &str, first: bool) -> Result<Record> {
    let stamp = stamp::stamped("", view.now)?;
    Ok(Record {
        backup: backup.to_owned(),
        stamp: stamp.trim_start_matches('-').to_owned(),
        first,
        stage: Stage::Stopped,
        enabled: view.server.is_enabled(),
        active: view.server.show.is_alive(),
    })
}

fn stop(server: &Server, known: Option<&Record>, begun: impl FnOnce() -> Result<Record>) -> Result<Vec<Act>> {
    if known.is_some_and(|record| record.stage == Stage::Started) {
        return Ok(Vec::new());
    }
    let mut acts = Vec::new();
    if known.is_none() {
        acts.push(Act::Record(begun()?));
    }
    if !server.show.is_at_rest() || server.is_enabled() {
        acts.push(Act::Stop);
    }
    Ok(acts)
}

/// Nothing of the old data is in its place after that. Once the first step has begun the record says so: a server
/// with new keys and the old datastore is not given back.
fn replace(
    view: &View,
    record: &Record,
    archive: &str,
    identity: &BTreeMap<String, String>,
) -> Result<Vec<Act>> {
    let server = &view.server;
    if record.stage >= Stage::Replaced {
        return Ok(Vec::new());
    }
    if !server.show.is_at_rest() {
        bail!("k3s runs: state=stopped comes first");
    }
    let (before, replacing) = if record.first {
        let checked = view
            .archive
            .as_ref()
            .with_context(|| format!("the backup {archive} is not on this Proxmox host any more"))?;
        of_first(server, record, archive, checked)?
    } else {
        // Without hashes there is no backup at hand: then they were compared before.
        let keys = !identity.is_empty() && server.has_identity_of(identity) == Some(false);
        (Vec::new(), vec![set_aside(record, keys)])
    };
    Ok(before
        .into_iter()
        .chain(replacing_by(record, replacing))
        .collect())
}

/// These steps between the two records that announce them and say that they are done.
fn replacing_by(record: &Record, acts: Vec<Act>) -> Vec<Act> {
    let announced = (record.stage < Stage::Replacing).then(|| Act::Record(record.at(Stage::Replacing)));
    let done = Act::Record(record.at(Stage::Replaced));
    announced.into_iter().chain(acts).chain([done]).collect()
}

fn set_aside(record: &Record, keys: bool) -> Act {
    Act::SetAside {
        keys,
        aside: record.aside(),
    }
}

/// What precedes the replacement on the server that gets the backup, and the replacement.
fn of_first(
    server: &Server,
    record: &Record,
    archive: &str,
    checked: &Checked,
) -> Result<(Vec<Act>, Vec<Act>)> {
    let about = &checked.manifest.about;
    if about.name != record.backup {
        bail!("{archive} holds the backup {}, not {}", about.name, record.backup);
    }
    let bring = (!server.unpacked).then(|| Act::Bring {
        archive: archive.to_owned(),
    });
    let datastore = datastore(server, record, checked)?;
    let replacing = keys(server, record, checked).into_iter().chain([datastore]);
    Ok((bring.into_iter().collect(), replacing.collect()))
}

/// A token that is set somewhere was compared before anything was stopped, and is the operator's. k3s asks for its own
/// file all the same, and overlooks one that it is given.
fn keys(server: &Server, record: &Record, checked: &Checked) -> Option<Act> {
    let about = &checked.manifest.about;
    let version = server.version.as_ref().map(ToString::to_string);
    let keys = version.as_deref() != Some(about.k3s_version.as_str()) || !server.has_keys_of(checked);
    let is_own = server
        .token
        .as_ref()
        .is_some_and(|token| token.location.is_none());
    let token = !server.own_token || (is_own && checked.tokens.first() != Some(&true));
    let wanted = KEYS
        .iter()
        .filter(|_| keys)
        .chain(TOKENS.iter().filter(|_| token));
    let what: Vec<&str> = wanted.copied().filter(|name| has(checked, name)).collect();
    let password = about.node == server.node && !server.node_password && has_password(checked);
    (!what.is_empty() || password).then(|| Act::PutKeys {
        what,
        aside: record.aside(),
        password,
    })
}

/// Whether the backup has this file or folder of a server.
fn has(checked: &Checked, name: &str) -> bool {
    let mut files = checked.manifest.files.iter();
    files.any(|file| {
        let rest = file
            .path
            .strip_prefix("server/")
            .and_then(|path| path.strip_prefix(name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn has_password(checked: &Checked) -> bool {
    let path = format!("etc{NODE_PASSWORD}");
    checked.manifest.files.iter().any(|file| file.path == path)
}

/// By which the cluster recognises a node, below `/etc`.
pub(crate) const NODE_PASSWORD: &str = "/rancher/node/password";

fn datastore(server: &Server, record: &Record, checked: &Checked) -> Result<Act> {
    let copy = checked.manifest.datastore_file()?.path.clone();
    let aside = record.aside();
    Ok(if checked.manifest.about.datastore == Datastore::Sqlite {
        Act::PutSqlite { copy, aside }
    } else {
        Act::Reset {
            reset: Box::new(reset::prepare(server)?),
            snapshot: copy,
            aside,
        }
    })
}

fn start(view: &View, record: &Record, admit: &[String]) -> Result<Vec<Act>> {
    let server = &view.server;
    if record.stage < Stage::Replaced {
        bail!(
            "the database of this server is not replaced yet: starting it would bring the old cluster back"
        );
    }
    let mut acts = Vec::new();
    if record.stage != Stage::Started {
        acts.push(Act::Record(record.at(Stage::Started)));
    }
    acts.extend(enable(server, record));
    if !server.show.is_alive() {
        acts.push(Act::Start);
    }
    if !server.ready {
        acts.push(Act::Wait);
    }
    // A server that is not ready yet cannot be asked which it has.
    let nodes = view.with_password.as_deref().unwrap_or(admit).to_vec();
    if !nodes.is_empty() {
        acts.push(Act::Admit { nodes });
    }
    Ok(acts)
}

fn enable(server: &Server, record: &Record) -> Option<Act> {
    (record.enabled && !server.is_enabled()).then_some(Act::Enable)
}

fn finish(record: &Record, now: SystemTime) -> Result<Vec<Act>> {
    if record.stage != Stage::Started {
        bail!("this server is not started yet: the restore is not done");
    }
    let now = OffsetDateTime::from(now).replace_nanosecond(0)?;
    let done = Done {
        backup: record.backup.clone(),
        at: now.format(&Rfc3339)?,
    };
    Ok(vec![Act::Finish { done: Some(done) }])
}

/// After a failure. As long as no datastore was touched, everything is as before, and so are the servers again. After
/// that a server with its old database must not start beside the restored one: it is set aside before the server may
/// start at boot again. Whether its keys fit is seen when the run is continued.
fn give_back(server: &Server, record: &Record, touched: bool) -> Vec<Act> {
    let enable = enable(server, record);
    if record.stage == Stage::Stopped && !touched {
        let start = (record.active && !server.show.is_alive()).then_some(Act::Start);
        let finish = Act::Finish { done: None };
        return enable.into_iter().chain(start).chain([finish]).collect();
    }
    let mut acts = Vec::new();
    if record.stage < Stage::Replaced && !record.first {
        acts.extend(replacing_by(record, vec![set_aside(record, false)]));
    }
    // One that somebody has started since: its files must not be moved while it runs.
    if !acts.is_empty() && !server.show.is_at_rest() {
        acts.insert(0, Act::Stop);
        acts.extend(record.enabled.then_some(Act::Enable));
        return acts;
    }
    acts.extend(enable);
    acts
}

/// A server has just been started, and another start would change nothing.
fn of_node(name: &str, node: &Node) -> Result<Vec<Step>> {
    let Some(missing) = &node.missing else {
        return Ok(Vec::new());
    };
    if node.role == Role::Server {
        bail!(
            "the node {name} of this server is not ready: {missing}. The journal of {} says why",
            node.unit
        );
    }
    Ok(vec![Step {
        act: Act::RestartAgent {
            node: name.to_owned(),
        },
        at: At {
            unit: node.unit.clone(),
            binary: node.binary.clone(),
            server: String::new(),
            secrets: Vec::new(),
        },
    }])
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
