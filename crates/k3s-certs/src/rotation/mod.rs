//! Renewing the certificates of a node: one way for all modules that need it.
//!
//! k3s renews only while it starts. A server is stopped, `k3s certificate rotate` puts all leaves aside, and it is
//! started. An agent is given new certificates by a server at every start, so it is only restarted: after a `certificate
//! rotate` it would have none until a server answers.
//!
//! Whatever fails in between, k3s is started again. A mark in the container records that a renewal is under way, so that
//! the next run starts what a killed one has left stopped.

mod apply;
mod look;
#[cfg(test)]
mod tests;
mod wait;

pub use apply::{Done, apply};
pub use k3s_node::Role;
pub use look::look;

use anyhow::{Result, bail};
use k3s_node::NodeSettings;
use k3s_node::settings::{DEFAULT_DATA, DEFAULT_KUBECONFIG};
use serde::Serialize;
use std::fmt;

/// How many days k3s signs a leaf for. One that is to be renewed so long before its end is due again at once.
const LEAF_DAYS: u64 = 365;

/// Refuses a time before the end at which what was just renewed would be renewed again.
pub fn check_renew_before(days: u64) -> Result<(), String> {
    if days < LEAF_DAYS {
        return Ok(());
    }
    Err(format!(
        "renew_before: k3s signs a certificate for {LEAF_DAYS} days, so what was renewed {days} days before its end would be due again at once: set fewer"
    ))
}

/// Records in the container that a renewal is under way. It is older than all that the renewal makes.
const MARK: &str = "/var/lib/homelab-k3s/renewal-under-way";

/// Where things are on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub data_dir: String,
    /// The server's own kubeconfig, which every start writes anew.
    pub kubeconfig: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            data_dir: DEFAULT_DATA.to_owned(),
            kubeconfig: DEFAULT_KUBECONFIG.to_owned(),
        }
    }
}

impl Paths {
    /// As the node has them; the other two are what the operator says instead.
    pub fn of_node(node: &NodeSettings, data_dir: Option<&str>, kubeconfig: Option<&str>) -> Self {
        let settings = node.settings();
        Self {
            data_dir: data_dir.map_or_else(|| settings.data_dir(), str::to_owned),
            kubeconfig: kubeconfig.map_or_else(|| settings.kubeconfig(), str::to_owned),
        }
    }
}

/// How new certificates come about on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Stop, `k3s certificate rotate`, start: all leaves are made anew.
    Command,
    /// A plain restart, at which a server issues new ones.
    Restart,
}

/// The k3s of a node, as far as a renewal turns on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub role: Role,
    pub unit: String,
    pub binary: String,
    /// Whether it runs or is coming up.
    pub alive: bool,
    pub enabled: bool,
    /// Whether a renewal was begun and its end not seen.
    pub marked: bool,
    /// The kubeconfig by which the API is asked afterwards; none: there was none before, and nothing is asked.
    pub kubeconfig: Option<String>,
    pub data_dir: String,
}

impl Service {
    /// How new certificates come about on a node of this role.
    pub fn way(&self) -> Way {
        match self.role {
            Role::Server => Way::Command,
            Role::Agent => Way::Restart,
        }
    }

    /// What is written by a start that gave new certificates.
    fn renewed_file(&self) -> Option<String> {
        match self.role {
            Role::Server => self.kubeconfig.clone(),
            Role::Agent => Some(format!("{}/agent/client-kubelet.crt", self.data_dir)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    act: Act,
    service: Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Renew,
    /// Of a unit that ought to run.
    Start,
    /// `renewed`: the certificates of a start before it do not count.
    Wait {
        renewed: bool,
    },
}

/// What there is to do on a node whose certificates are `due` or not. An error is a refusal.
pub fn steps(service: &Service, due: bool) -> Result<Vec<Step>> {
    let unit = &service.unit;
    if due && !service.alive && !service.enabled && !service.marked {
        bail!(
            "{unit} neither runs nor is it enabled: somebody has taken this node out of service. Renewing its certificates would start it; start it yourself first (`systemctl start {unit}`)"
        );
    }
    let ought_to_run = service.enabled || service.marked;
    let acts = if due {
        vec![Act::Renew, Act::Wait { renewed: true }]
    } else if !service.alive && ought_to_run {
        vec![Act::Start, Act::Wait { renewed: false }]
    } else if service.marked {
        vec![Act::Wait { renewed: false }]
    } else {
        Vec::new()
    };
    Ok(acts
        .into_iter()
        .map(|act| Step {
            act,
            service: service.clone(),
        })
        .collect())
}

impl Step {
    /// Whether it only waits until k3s is seen to work. A caller may leave it to its next run: the mark stays.
    pub fn is_wait(&self) -> bool {
        matches!(self.act, Act::Wait { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = &self.service.unit;
        match (self.act, self.service.role) {
            (Act::Renew, Role::Server) => write!(
                f,
                "stop {unit}, put its certificates aside with `k3s certificate rotate`, start it again"
            ),
            (Act::Renew, Role::Agent) => {
                write!(
                    f,
                    "restart {unit}: an agent is given new certificates at every start"
                )
            }
            (Act::Start, _) if self.service.marked => {
                write!(f, "start {unit}, which an interrupted renewal has left stopped")
            }
            (Act::Start, _) => write!(f, "start {unit}, which is enabled but does not run"),
            (Act::Wait { .. }, Role::Server) => {
                write!(
                    f,
                    "wait until {unit} runs and its API answers by its own kubeconfig"
                )
            }
            (Act::Wait { .. }, Role::Agent) => {
                write!(
                    f,
                    "wait until {unit} runs and its kubelet's certificate is accepted"
                )
            }
        }
    }
}
