//! What is true of the server: read before anything is decided.

use crate::record::Record;
use anyhow::{Context, Result};
use k3s_node::config::Given;
use k3s_node::settings::{self, Switch};
use k3s_node::setup::DEFAULT_BINARY;
use k3s_node::{Config, Facts, LaunchConfig, Role, Settings, Setup, Show, Units};
use k3s_types::K3sVersion;
use serde::Serialize;

/// Where on the server things are. It follows from arguments and configuration, which are themselves read there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// The unit of the server, by its own name.
    pub(crate) unit: String,
    pub(crate) binary: String,
    pub(crate) data: String,
    pub(crate) config: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            unit: Role::Server.unit().to_owned(),
            binary: DEFAULT_BINARY.to_owned(),
            data: settings::DEFAULT_DATA.to_owned(),
            config: settings::DEFAULT_CONFIG.to_owned(),
        }
    }
}

impl Paths {
    /// As an operator says it to systemctl.
    pub(crate) fn short_unit(&self) -> &str {
        self.unit.strip_suffix(".service").unwrap_or(&self.unit)
    }

    pub(crate) fn server(&self) -> String {
        format!("{}/server", self.data)
    }

    pub(crate) fn database(&self) -> String {
        format!("{}/server/db/state.db", self.data)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Datastore {
    Sqlite,
    Etcd,
    /// `PostgreSQL`, `MySQL` or an etcd of its own.
    External,
    /// etcd beside a `SQLite` that was not moved: a migration that did not come to its end.
    Unfinished,
    None,
}

/// The record, where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Nothing,
    /// Why it cannot be read.
    Unreadable(String),
    Migration(Box<Record>),
}

/// How the server is configured, as far as a datastore turns on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requested {
    /// The server that it joins.
    pub(crate) joins: Option<Given>,
    /// Where a datastore outside is named; its address holds a password.
    pub(crate) endpoint_at: Option<String>,
    pub(crate) cluster_init: Option<Switch>,
    pub(crate) without_etcd: bool,
    /// The configuration file, where it is not named by an absolute path.
    pub(crate) odd_config: Option<String>,
}

/// A folder's file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) device: String,
    pub(crate) mounted: String,
    pub(crate) free_mb: u64,
}

/// The API server before the migration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Api {
    pub(crate) ready: bool,
    /// What was said where it is not.
    pub(crate) said: String,
    pub(crate) version: Option<K3sVersion>,
    /// The Nodes that are servers; none: they could not be listed.
    pub(crate) servers: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// `container 101 on pve1`.
    pub(crate) location: String,
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// A name for a backup that is taken now.
    pub(crate) backup: String,
    pub(crate) systemd: bool,
    pub(crate) units: Units,
    pub(crate) paths: Paths,
    pub(crate) config_fault: Option<String>,
    pub(crate) requests: Requested,
    pub(crate) installed: Option<K3sVersion>,
    /// Whether k3s has left anything of a server in its data folder.
    pub(crate) server: bool,
    /// Whether etcd has been begun: `member/wal`, by which k3s decides.
    pub(crate) wal: bool,
    /// Bytes of `state.db` with its log; none: there is no such file.
    pub(crate) database: Option<u64>,
    pub(crate) recorded: Recorded,
    pub(crate) data_disk: Disk,
    pub(crate) dest_disk: Disk,
    /// None where it was not asked.
    pub(crate) api: Option<Api>,
    /// Objects in `SQLite`, or why they could not be counted; none where nobody wanted to know.
    pub(crate) objects: Option<Result<u64, String>>,
}

/// When and where it was looked.
pub(crate) struct Looked {
    pub(crate) location: String,
    /// Seconds since 1970.
    pub(crate) now: u64,
    pub(crate) backup: String,
    pub(crate) at: Paths,
}

impl State {
    pub(crate) fn read(facts: &Facts, looked: Looked) -> Result<Self> {
        let units = Units::read(facts)?;
        let config = Config::of(facts, &looked.at.config);
        let setup = units.on_disk_of(Role::Server).ok().flatten();
        let LaunchConfig { args, environment } = units.launch_config(setup.as_ref());
        let settings = Settings {
            args: &args,
            config: &config,
            environment: &environment,
        };
        let is = |name: &str| facts.lossy(name).is_some();
        Ok(Self {
            location: looked.location,
            now: looked.now,
            backup: looked.backup,
            systemd: is("systemd"),
            paths: Paths {
                unit: units[&Role::Server].name.clone(),
                binary: setup.map_or_else(|| DEFAULT_BINARY.to_owned(), |setup| setup.binary),
                data: settings.data_dir(),
                config: settings::config_path(&args, &environment),
            },
            config_fault: config.fault.clone(),
            requests: Requested {
                joins: settings.given(&["server", "s"], "K3S_URL"),
                endpoint_at: settings
                    .given(&["datastore-endpoint"], "K3S_DATASTORE_ENDPOINT")
                    .map(|given| given.location),
                cluster_init: settings.switch("cluster-init", Some("K3S_CLUSTER_INIT")),
                without_etcd: settings.is_on("disable-etcd"),
                odd_config: settings::named_config(&args, &environment).filter(|path| !path.starts_with('/')),
            },
            installed: facts
                .lossy("binary-version")
                .and_then(|text| K3sVersion::from_version_output(&text).ok()),
            server: is("server"),
            wal: is("wal"),
            database: database(facts)?,
            recorded: recorded(facts)?,
            data_disk: disk(facts, "data"),
            dest_disk: disk(facts, "dest"),
            api: None,
            objects: None,
            units,
        })
    }

    pub(crate) fn show(&self) -> &Show {
        &self.units[&Role::Server].show
    }

    pub(crate) fn setup(&self) -> Result<Option<Setup>, String> {
        self.units.on_disk_of(Role::Server)
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        match &self.recorded {
            Recorded::Migration(record) => Some(record),
            _ => None,
        }
    }

    pub(crate) fn api_is_ready(&self) -> bool {
        self.api.as_ref().is_some_and(|api| api.ready)
    }

    /// As k3s decides: etcd where it was begun, whatever else is there and however it is configured.
    pub(crate) fn datastore(&self) -> Datastore {
        match (self.wal, self.database) {
            (true, Some(_)) => Datastore::Unfinished,
            (true, None) => Datastore::Etcd,
            (false, _) if self.requests.endpoint_at.is_some() => Datastore::External,
            (false, Some(_)) => Datastore::Sqlite,
            (false, None) => Datastore::None,
        }
    }
}

fn recorded(facts: &Facts) -> Result<Recorded> {
    Ok(match facts.text("record")?.as_deref().map(Record::parse) {
        None => Recorded::Nothing,
        Some(Ok(record)) => Recorded::Migration(Box::new(record)),
        Some(Err(why)) => Recorded::Unreadable(why),
    })
}

/// The bytes of the database with its log.
fn database(facts: &Facts) -> Result<Option<u64>> {
    let sum = |sizes: String| -> Result<u64> {
        let sizes = sizes.lines().map(str::parse::<u64>);
        sizes
            .sum::<Result<u64, _>>()
            .context("reading the size of state.db")
    };
    facts.lossy("database").map(sum).transpose()
}

/// The last line of `df -Pk`: the device, what is available, and where it is mounted.
fn disk(facts: &Facts, folder: &str) -> Disk {
    let text = facts.lossy(&format!("disk:{folder}")).unwrap_or_default();
    let line = text.lines().last().unwrap_or_default();
    let columns: Vec<&str> = line.split_whitespace().collect();
    let column = |at: usize| columns.get(at).copied().unwrap_or_default();
    Disk {
        device: column(0).to_owned(),
        mounted: column(5).to_owned(),
        free_mb: column(3).parse::<u64>().unwrap_or(0) / 1024,
    }
}

#[cfg(test)]
mod tests;
