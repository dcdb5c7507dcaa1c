//! What is true of the node: read once, before anything is decided.

use crate::record::Record;
use anyhow::{Context, Result};
use cluster::{Reported as Node, api_version};
use k3s_node::facts::own_addresses;
use k3s_node::settings;
use k3s_node::setup::DEFAULT_BINARY;
use k3s_node::unit;
use k3s_node::{Config, Facts, LaunchConfig, Role, Settings, Setup, Units};
use k3s_types::K3sVersion;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where on the node things are. It follows from arguments and configuration, which are themselves read there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) binary: String,
    pub(crate) data: String,
    pub(crate) config: String,
    /// The node's name; empty: its hostname, which is not known yet.
    pub(crate) node: String,
    pub(crate) has_agent: bool,
}

impl Paths {
    /// Where things are on most nodes. Where they are elsewhere, a second look is needed.
    pub(crate) fn usual(node: Option<&str>) -> Self {
        Self {
            binary: DEFAULT_BINARY.to_owned(),
            data: settings::DEFAULT_DATA.to_owned(),
            config: settings::DEFAULT_CONFIG.to_owned(),
            node: node.unwrap_or_default().to_owned(),
            has_agent: true,
        }
    }
}

/// What was asked, where and when.
pub(crate) struct Asked {
    /// `container 101 on pve1`.
    pub(crate) location: String,
    /// Seconds since 1970.
    pub(crate) now: u64,
    pub(crate) at: Paths,
}

/// The record, where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    Nothing,
    /// Why it cannot be read.
    Unreadable(String),
    Install(Box<Record>),
}

/// What is installed, and what is ready to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Binary {
    pub(crate) version: Option<K3sVersion>,
    pub(crate) sha256: Option<String>,
    /// Seconds since 1970 at which the file was put in place.
    pub(crate) changed: u64,
    /// Verified downloads beside it.
    pub(crate) staged: Vec<String>,
    /// Where the fetched install script came from.
    pub(crate) script_source: Option<String>,
}

/// What k3s has left on the disk by having run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) server: bool,
    pub(crate) agent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// `container 101 on pve1`.
    pub(crate) location: String,
    /// Seconds since 1970.
    pub(crate) now: u64,
    pub(crate) systemd: bool,
    pub(crate) paths: Paths,
    /// The node that the API was asked about.
    pub(crate) asked: String,
    pub(crate) units: Units,
    /// What distinguishes a machine from another one.
    pub(crate) machine_id: Option<String>,
    /// Whether kubectl, crictl or ctr beside the binary is k3s.
    pub(crate) has_links: bool,
    pub(crate) recorded: Recorded,
    pub(crate) config_fault: Option<String>,
    /// SHA-256 sums of the configuration files, by path.
    pub(crate) config_hashes: BTreeMap<String, String>,
    /// What this server leaves to others of its cluster, by the names of the switches.
    pub(crate) split: Vec<&'static str>,
    /// Whether arguments, files or environment name a server to join.
    pub(crate) has_server_to_join: bool,
    pub(crate) binary: Binary,
    pub(crate) data: Data,
    pub(crate) addresses: Vec<IpAddr>,
    /// Free space by folder, in MiB.
    pub(crate) free: Vec<(String, u64)>,
    /// The archive of images that was brought: its sum, and where it lies.
    pub(crate) images: Option<String>,
    pub(crate) node: Option<Node>,
    api_version: Option<K3sVersion>,
}

impl State {
    /// `fresh` is what would be installed where nothing is.
    pub(crate) fn read(facts: &Facts, asked: &Asked, fresh: Option<Setup>) -> Result<Self> {
        let recorded = match facts.text("record")?.as_deref().map(Record::parse) {
            None => Recorded::Nothing,
            Some(Ok(record)) => Recorded::Install(Box::new(record)),
            Some(Err(why)) => Recorded::Unreadable(why),
        };
        let config = Config::of(facts, &asked.at.config);
        let mut state = Self {
            location: asked.location.clone(),
            now: asked.now,
            systemd: facts.lossy("systemd").is_some(),
            paths: asked.at.clone(),
            asked: facts.lossy("asked").unwrap_or_default(),
            units: Units::read(facts)?,
            machine_id: facts.lossy("machine-id"),
            has_links: !facts.below("link:").is_empty(),
            recorded,
            config_fault: config.fault.clone(),
            config_hashes: hashes(facts),
            split: Vec::new(),
            has_server_to_join: false,
            binary: binary(facts),
            data: data(facts),
            addresses: own_addresses(
                &facts.lossy("fib-trie").unwrap_or_default(),
                &facts.lossy("if-inet6").unwrap_or_default(),
            ),
            free: free(&facts.lossy("disk").unwrap_or_default()),
            images: images(facts),
            node: facts.lossy("node").and_then(|text| Node::parse(&text)),
            api_version: facts.lossy("api-version").and_then(|text| api_version(&text)),
        };
        let hostname = facts.lossy("hostname").context("the node reported no hostname")?;
        state.settle(&config, &hostname, facts.lossy("node-id").as_deref(), fresh);
        Ok(state)
    }

    /// Works out what follows from arguments, files and environment together.
    fn settle(&mut self, config: &Config, hostname: &str, node_id: Option<&str>, fresh: Option<Setup>) {
        let setup = self.before().ok().flatten().or(fresh);
        let LaunchConfig { args, environment } = self.units.launch_config(setup.as_ref());
        let settings = Settings {
            args: &args,
            config,
            environment: &environment,
        };
        self.has_server_to_join = settings.has_server();
        self.split = settings.split_roles();
        self.paths = Paths {
            binary: setup.map_or_else(|| DEFAULT_BINARY.to_owned(), |setup| setup.binary),
            data: settings.data_dir(),
            config: settings::config_path(&args, &environment),
            node: settings.node_name(hostname, node_id),
            has_agent: settings.has_agent(),
        };
    }

    /// What was installed before we began: the record, else the files. `None`: nothing. An error says which unit
    /// cannot be replayed, and why.
    pub(crate) fn before(&self) -> Result<Option<Setup>, (Role, String)> {
        if let Recorded::Install(record) = &self.recorded {
            return Ok(Some(record.setup.clone()));
        }
        self.units.on_disk()
    }

    /// The version that runs, as the API has it.
    pub(crate) fn running(&self) -> Option<&K3sVersion> {
        self.node
            .as_ref()
            .and_then(|node| node.running.as_ref())
            .or(self.api_version.as_ref())
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        match &self.recorded {
            Recorded::Install(record) => Some(record),
            _ => None,
        }
    }
}

/// The sums of the configuration files, and of the files of variables that units read, whatever they are called. A unit's own environment file is
/// what we write.
fn hashes(facts: &Facts) -> BTreeMap<String, String> {
    let sums = facts.below("sum:").into_iter();
    let sums = sums.filter_map(|(path, line)| Some((path, first_word(&line)?)));
    let is_own = |path: &String| {
        let own = path.strip_suffix(".env");
        own.is_some_and(|path| path.starts_with(&unit::path("")))
    };
    let variables = facts.below("variables:").into_iter().map(|(path, _)| path);
    let variables = variables.filter(|path| !is_own(path)).filter_map(|path| {
        let sum = Sha256::digest(facts.bytes(&format!("variables:{path}"))?);
        Some((path, format!("{sum:x}")))
    });
    sums.chain(variables).collect()
}

fn first_word(line: &str) -> Option<String> {
    line.split_whitespace().next().map(str::to_owned)
}

/// As long as the file is there: k3s imports it at each start.
fn images(facts: &Facts) -> Option<String> {
    let source = facts.lossy("images-source")?;
    let (_, path) = source.split_once(' ')?;
    facts.has(&format!("image:{path}")).then_some(source)
}

fn binary(facts: &Facts) -> Binary {
    let version = facts
        .lossy("binary-version")
        .and_then(|text| K3sVersion::from_version_output(&text).ok());
    let sums = facts.below("binary-sum:");
    Binary {
        version,
        sha256: sums.first().and_then(|(_, line)| first_word(line)),
        changed: facts
            .lossy("binary-changed")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0),
        staged: facts.below("staged:").into_iter().map(|(path, _)| path).collect(),
        script_source: facts.lossy("script-source"),
    }
}

fn data(facts: &Facts) -> Data {
    let has = |name: &str| facts.lossy(&format!("data:{name}")).is_some();
    Data {
        server: has("server/tls"),
        agent: has("agent/kubelet.kubeconfig"),
    }
}

/// The lines of `df -Pk`: the column of what is available, and where it is mounted.
fn free(text: &str) -> Vec<(String, u64)> {
    let lines = text
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter_map(|columns| {
            Some((
                columns.get(5)?.to_string(),
                columns.get(3)?.parse::<u64>().ok()? / 1024,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests;
