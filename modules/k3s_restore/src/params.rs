//! What the user asks for.

use crate::seen::Host;
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
    },
    Planned(Planning),
    Stopped {
        backup: String,
        first: bool,
    },
    Reset {
        backup: String,
        archive: String,
    },
    Aside {
        backup: String,
        identity: BTreeMap<String, String>,
    },
    Started {
        backup: String,
    },
    Admitted {
        nodes: Vec<String>,
    },
    NodeBack {
        node: String,
        wait: u64,
    },
    Finished {
        backup: String,
    },
    GivenBack {
        backup: String,
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
enum Goal {
    Inspected,
    Planned,
    Stopped,
    Reset,
    Aside,
    Started,
    Admitted,
    NodeBack,
    Finished,
    GivenBack,
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
    state: Goal,
    backup: Option<String>,
    archive: Option<String>,
    #[serde(default)]
    count: bool,
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
    nodes: Vec<String>,
    #[serde(default = "ninety_seconds")]
    wait: u64,
    #[serde(default = "ten_minutes")]
    timeout: u64,
    #[serde(default = "ten_minutes")]
    lock_timeout: u64,
}

/// A node finds its servers again within seconds; a server's kubelet comes up 20 s after it.
fn ninety_seconds() -> u64 {
    90
}

fn ten_minutes() -> u64 {
    600
}

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

fn wanted(options: Options) -> Result<Wanted, String> {
    let needed = |name: &str, value: Option<String>| {
        let value = value.filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("{name}: is needed with this state"))
    };
    let archive = |value| match needed("archive", value)? {
        path if path.starts_with('/') => Ok(path),
        path => Err(format!("archive: {path} is not an absolute path")),
    };
    let backup = needed("backup", options.backup.clone());
    Ok(match options.state {
        Goal::Inspected => Wanted::Inspected {
            archive: archive(options.archive)?,
            count: options.count,
        },
        Goal::Planned => Wanted::Planned(planning(backup?, options)?),
        Goal::Stopped => Wanted::Stopped {
            backup: backup?,
            first: options.first,
        },
        Goal::Reset => Wanted::Reset {
            backup: backup?,
            archive: archive(options.archive)?,
        },
        Goal::Aside => Wanted::Aside {
            backup: backup?,
            identity: options.identity,
        },
        Goal::Started => Wanted::Started { backup: backup? },
        Goal::Admitted => Wanted::Admitted { nodes: options.nodes },
        Goal::NodeBack => Wanted::NodeBack {
            node: needed("node_name", options.node_name)?,
            wait: options.wait,
        },
        Goal::Finished => Wanted::Finished { backup: backup? },
        Goal::GivenBack => Wanted::GivenBack {
            backup: backup?,
            touched: options.touched,
        },
    })
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
