//! What the user asks for.

use crate::seen::Host;
use ansible_module::defaults::number;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The options; see `k3s_restore.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub wanted: Wanted,
    pub timeout: u64,
    pub lock_timeout: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    Inspected {
        archive: String,
        count: bool,
        known_nodes: Vec<String>,
    },
    Planned(Planning),
    /// One of the states that a server passes through, in their order.
    Restored {
        backup: String,
        goal: Goal,
    },
    NodeReady {
        node: String,
        wait: u64,
    },
}

/// How far the restore of a server is to come.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// `first`: whether this server gets the backup.
    Stopped {
        first: bool,
    },
    Replaced {
        archive: String,
        identity: BTreeMap<String, String>,
    },
    Started {
        admit: Vec<String>,
    },
    Finished,
    GivenBack {
        touched: bool,
    },
}

/// What is known when the restore is planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Planning {
    pub backup: String,
    pub confirm: String,
    pub again: bool,
    /// The server that the operator has chosen for the backup, by its name in the inventory.
    pub target: Option<String>,
    pub hosts: Vec<Host>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateName {
    Inspected,
    Planned,
    Stopped,
    Replaced,
    Started,
    Finished,
    GivenBack,
    NodeReady,
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "options of a module, each for itself"
)]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    state: StateName,
    backup: Option<String>,
    archive: Option<String>,
    #[serde(default)]
    count: bool,
    #[serde(default)]
    known_nodes: Vec<String>,
    #[serde(default)]
    first: bool,
    #[serde(default)]
    identity: BTreeMap<String, String>,
    #[serde(default)]
    touched: bool,
    #[serde(default)]
    servers: Vec<Value>,
    #[serde(default)]
    confirm: String,
    #[serde(default)]
    again: bool,
    target: Option<String>,
    node_name: Option<String>,
    #[serde(default)]
    admit: Vec<String>,
    #[serde(default = "number::<90, _>")]
    wait: u64,
    #[serde(default = "number::<600, _>")]
    timeout: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
}

/// A node finds its servers again within seconds; a server's kubelet comes up 20 s after it.
impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let (vmid, timeout, lock_timeout) = (options.vmid, options.timeout, options.lock_timeout);
        Ok(Self {
            vmid,
            wanted: wanted(options)?,
            timeout,
            lock_timeout,
        })
    }
}

fn needed(name: &str, value: Option<&String>) -> Result<String, String> {
    let value = value.filter(|value| !value.is_empty()).cloned();
    value.ok_or_else(|| format!("{name}: is needed with this state"))
}

fn archive(options: &Options) -> Result<String, String> {
    match needed("archive", options.archive.as_ref())? {
        path if path.starts_with('/') => Ok(path),
        path => Err(format!("archive: {path} is not an absolute path")),
    }
}

fn wanted(options: Options) -> Result<Wanted, String> {
    let goal = match options.state {
        StateName::Inspected => {
            return Ok(Wanted::Inspected {
                archive: archive(&options)?,
                count: options.count,
                known_nodes: options.known_nodes,
            });
        }
        StateName::Planned => {
            let backup = needed("backup", options.backup.as_ref())?;
            return planning(backup, options).map(Wanted::Planned);
        }
        StateName::NodeReady => {
            return Ok(Wanted::NodeReady {
                node: needed("node_name", options.node_name.as_ref())?,
                wait: options.wait,
            });
        }
        StateName::Stopped => Goal::Stopped { first: options.first },
        StateName::Replaced => Goal::Replaced {
            archive: archive(&options)?,
            identity: options.identity,
        },
        StateName::Started => Goal::Started { admit: options.admit },
        StateName::Finished => Goal::Finished,
        StateName::GivenBack => Goal::GivenBack {
            touched: options.touched,
        },
    };
    let backup = needed("backup", options.backup.as_ref())?;
    Ok(Wanted::Restored { backup, goal })
}

fn planning(backup: String, options: Options) -> Result<Planning, String> {
    if options.servers.is_empty() {
        return Err("servers: there is none".to_owned());
    }
    let hosts: Result<Vec<Host>, String> = options
        .servers
        .into_iter()
        .enumerate()
        .map(|(index, value)| {
            serde_json::from_value(value).map_err(|error| format!("servers: number {}: {error}", index + 1))
        })
        .collect();
    let hosts = hosts?;
    let target = options.target.filter(|target| !target.is_empty());
    if let Some(target) = target
        .as_ref()
        .filter(|target| hosts.iter().all(|host| host.host != **target))
    {
        return Err(format!("target: {target} is none of the servers"));
    }
    Ok(Planning {
        backup,
        confirm: options.confirm,
        again: options.again,
        target,
        hosts,
    })
}
