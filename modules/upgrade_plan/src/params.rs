//! What the user asks for, and what was found out about each node before.

use crate::at_once::AtOnce;
use crate::node::Node;
use ansible_module::defaults::yes;
use answers::Asked;
use answers::given;
use answers::health::Health;
use cluster::Pdb;
use cluster::{check_program, k3s_kubectl};
use k3s_types::K3sVersion;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The options; see `upgrade_plan.yml` for their words.
#[expect(
    clippy::struct_excessive_bools,
    reason = "options of a module, each for itself"
)]
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub mode: Mode,
    pub target: K3sVersion,
    pub nodes: Vec<Node>,
    /// When the run's first plan was made, in seconds since 1970.
    pub planned_at: Option<u64>,
    /// How each controller answered when it was asked whether its API is ready.
    pub asked: Vec<Asked>,
    pub pve_hosts: Option<Vec<String>>,
    /// The hosts that may have a turn; none: all.
    pub limited_to: Option<Vec<String>>,
    /// The hosts that get no turn, each with its reason.
    pub skip: BTreeMap<String, String>,
    /// Whether nodes that are `NotReady` are upgraded all the same.
    pub allow_not_ready: bool,
    /// The file that has asked the run to stop.
    pub stopped_by: Option<String>,
    pub order: Order,
    pub drain_controllers: Drain,
    pub pdb: Pdb,
    pub workers_at_once: AtOnce,
    /// The container of a controller, to see which workers can be out at once.
    pub vmid: Option<u32>,
    pub kubectl: Vec<String>,
    pub backup: bool,
    pub snapshot: bool,
    pub health: Health,
    pub fail_on_refusal: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Plan,
    /// The plan, with the batches that the cluster allows now.
    Batches,
    Summary,
}

/// Which nodes go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    #[default]
    Auto,
    WorkersFirst,
    ServersFirst,
}

/// Whether controllers are drained too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drain {
    /// Where there is another one to do it through.
    #[default]
    Auto,
    True,
    False,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "options of a module, each for itself"
)]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    mode: Mode,
    target: K3sVersion,
    nodes: Vec<Value>,
    #[serde(default)]
    versions: BTreeMap<String, Value>,
    planned_at: Option<u64>,
    #[serde(default)]
    asked: Vec<Value>,
    pve_hosts: Option<Vec<String>>,
    limited_to: Option<Vec<String>>,
    #[serde(default)]
    skip: BTreeMap<String, String>,
    #[serde(default)]
    allow_not_ready: bool,
    stopped_by: Option<String>,
    #[serde(default)]
    order: Order,
    #[serde(default = "auto")]
    drain_controllers: String,
    #[serde(default)]
    pdb: Pdb,
    #[serde(default)]
    workers_at_once: AtOnce,
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
    #[serde(default = "yes")]
    backup: bool,
    #[serde(default)]
    snapshot: bool,
    #[serde(default)]
    health: Map<String, Value>,
    #[serde(default = "yes")]
    fail_on_refusal: bool,
}

fn auto() -> String {
    "auto".to_owned()
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let mut nodes: Vec<Node> = given::list("nodes", options.nodes)?;
        if nodes.is_empty() {
            return Err("nodes: there is none".to_owned());
        }
        for (host, version) in options.versions {
            let node = nodes.iter_mut().find(|node| node.host == host);
            let node = node.ok_or_else(|| format!("versions: {host} is not in nodes"))?;
            node.version =
                serde_json::from_value(version).map_err(|error| format!("versions: {host}: {error}"))?;
        }
        check_program(&options.kubectl)?;
        Ok(Self {
            mode: options.mode,
            target: options.target,
            nodes,
            planned_at: options.planned_at,
            asked: given::list("asked", options.asked)?,
            pve_hosts: options.pve_hosts,
            limited_to: options.limited_to,
            skip: with_reasons(options.skip)?,
            allow_not_ready: options.allow_not_ready,
            stopped_by: options.stopped_by,
            order: options.order,
            drain_controllers: drain(&options.drain_controllers)?,
            pdb: options.pdb,
            workers_at_once: options.workers_at_once,
            vmid: options.vmid,
            kubectl: options.kubectl,
            backup: options.backup,
            snapshot: options.snapshot,
            health: health(options.health)?,
            fail_on_refusal: options.fail_on_refusal,
        })
    }
}

/// Why a node is left out is forgotten within a month.
fn with_reasons(skip: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    match skip.iter().find(|(_, reason)| reason.trim().is_empty()) {
        Some((host, _)) => Err(format!(
            "skip: {host} has no reason; write one, such as {{{host}: its disk is being replaced}}"
        )),
        None => Ok(skip),
    }
}

fn health(answer: Map<String, Value>) -> Result<Health, String> {
    serde_json::from_value(Value::Object(answer)).map_err(|error| format!("health: {error}"))
}

/// YAML makes a boolean of `true`, and a variable's default is the word `auto`.
fn drain(text: &str) -> Result<Drain, String> {
    match text.to_lowercase().as_str() {
        "auto" => Ok(Drain::Auto),
        "true" | "yes" | "on" | "1" => Ok(Drain::True),
        "false" | "no" | "off" | "0" => Ok(Drain::False),
        _ => Err(format!(
            "drain_controllers: value must be one of: auto, true, false, got: {text}"
        )),
    }
}
