//! `k3s_restore`: restore a k3s cluster from a backup, stage by stage.
//!
//! Each stage is a state of this module on one server. How far a server has come is in a record in its container, so
//! an interrupted run is continued by the same states in the same order. `state=planned` speaks for all servers: it
//! reads nothing but what the others have seen.

mod cluster;
mod look;
mod node;
mod params;
mod plan;
mod record;
mod refusals;
mod report;
mod reset;
mod seen;
mod state;
mod steps;
mod text;

pub use params::{Params, Planning, Wanted};
pub use plan::Step;
pub use record::{Done, Record, Stage};
pub use report::Returned;
pub use seen::{Answer, ArchiveSeen, Host as SeenHost, NodeSeen, Same, Seen};

use ansible_module::{Module, Plan, Target};
use anyhow::{Result, bail};
use host::{Host, stamp};
use k3s_node::Role;
use node::Node;
use plan::Act;
use server_archive::{Checked, Objects};
use state::Server;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub struct K3sRestore;

pub enum State {
    Server(Box<View>),
    Node(Node),
    /// All that is to be known is in the arguments.
    Planning,
}

/// A server, the backup where it was looked at, and the cluster where it answers.
pub struct View {
    pub(crate) server: Server,
    pub(crate) archive: Option<Checked>,
    pub(crate) objects: Objects,
    pub(crate) nodes: Vec<NodeSeen>,
    /// Secrets with passwords of nodes that are to register again.
    pub(crate) passwords: Vec<String>,
    pub(crate) now: SystemTime,
}

impl Module for K3sRestore {
    const NAME: &'static str = "k3s_restore";
    const DOC: &'static str = include_str!("../k3s_restore.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = ();
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        let looks = matches!(params.wanted, Wanted::Inspected { .. } | Wanted::Planned(_));
        Target {
            vmid: params.vmid,
            lock_timeout: (!looks).then_some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        match &params.wanted {
            Wanted::Planned(_) => Ok(State::Planning),
            Wanted::NodeBack { node, wait } => {
                node::look(host, node, Duration::from_secs(*wait)).map(State::Node)
            }
            _ => look::look(params, host).map(|view| State::Server(Box::new(view))),
        }
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        let steps = match state {
            State::Planning => Vec::new(),
            State::Node(node) => back(node)?,
            State::Server(view) => steps_of(&params.wanted, view)?,
        };
        Ok(Plan::of(steps))
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        steps::apply(params, host, step)
    }

    fn report(params: &Params, _: &State, after: &State, (): &()) -> Returned {
        report::report(params, after)
    }

    /// The same binary is the module on the Proxmox host, what checks archives there, and, carried inside, what unpacks them.
    fn inside(arguments: &[String]) -> Option<ExitCode> {
        let jobs: [server_archive::Job; 2] = [
            (server_archive::CHECK, server_archive::check),
            (server_archive::UNPACK, server_archive::unpack),
        ];
        server_archive::asked(arguments, &jobs)
    }
}

/// A server has just been started; another start would tell no more.
fn back(node: &Node) -> Result<Vec<Step>> {
    match (&node.missing, node.role) {
        (None, _) => Ok(Vec::new()),
        (Some(_), Role::Agent) => Ok(vec![Step(Act::RestartAgent {
            unit: node.unit.clone(),
        })]),
        (Some(missing), Role::Server) => {
            bail!(
                "the node of this server is not back: {missing}. The journal of {} says why",
                node.unit
            )
        }
    }
}

fn steps_of(wanted: &Wanted, view: &View) -> Result<Vec<Step>> {
    let server = &view.server;
    match wanted {
        Wanted::Stopped { backup, first } => {
            let stamp = stamp::stamped("", view.now)?;
            plan::stop(server, backup, *first, stamp.trim_start_matches('-'))
        }
        Wanted::Reset { backup, archive } => plan::reset(server, backup, archive, view.archive.as_ref()),
        Wanted::Aside { backup, identity } => plan::set_aside(server, backup, identity),
        Wanted::Started { backup } => plan::start(server, backup),
        Wanted::Finished { backup } => plan::finish(server, backup, rfc3339(view.now)?),
        Wanted::GivenBack { backup, touched } => plan::give_back(server, backup, *touched),
        Wanted::Admitted { .. } if view.passwords.is_empty() => Ok(Vec::new()),
        Wanted::Admitted { .. } => Ok(vec![Step(Act::ForgetPasswords {
            binary: server.binary.clone(),
            secrets: view.passwords.clone(),
        })]),
        Wanted::Inspected { .. } | Wanted::Planned(_) | Wanted::NodeBack { .. } => Ok(Vec::new()),
    }
}

fn rfc3339(at: SystemTime) -> Result<String> {
    let at = OffsetDateTime::from(at).replace_nanosecond(0)?;
    Ok(at.format(&Rfc3339)?)
}

/// What may be asked of the API, which answers within seconds or not at all.
pub(crate) const ASKING: Duration = Duration::from_mins(2);

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sRestore);
}
