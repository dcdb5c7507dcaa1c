//! `k3s_restore`: a cluster's datastore is put back from a backup, one stage at a time.
//!
//! Each stage is a state of this module on one server. How far a server has come is in a record in its container, so
//! a run that was cut off is taken up by the same states in the same order. `state=planned` speaks for all servers: it
//! reads nothing but what the others have seen.

mod agent;
mod cluster;
mod look;
mod params;
mod plan;
mod record;
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

use agent::Agent;
use ansible_module::{Module, Plan, Target};
use anyhow::{Result, bail};
use host::{Host, stamp};
use plan::Act;
use server_archive::{Checked, Objects};
use state::Server;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub struct K3sRestore;

pub enum State {
    Server(Box<View>),
    Agent(Agent),
    /// All that is to be known is in the arguments.
    Planning,
}

/// A server, the backup where it was looked at, and the cluster where it answers.
pub struct View {
    pub(crate) server: Server,
    pub(crate) archive: Option<Checked>,
    pub(crate) objects: Objects,
    pub(crate) nodes: Vec<NodeSeen>,
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
            Wanted::AgentBack { node } => agent::look(host, node).map(State::Agent),
            _ => look::look(params, host).map(|view| State::Server(Box::new(view))),
        }
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        let steps = match state {
            State::Planning => Vec::new(),
            State::Agent(Agent { missing: None }) => Vec::new(),
            State::Agent(Agent { missing: Some(_) }) => vec![Step(Act::RestartAgent)],
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
}

fn steps_of(wanted: &Wanted, view: &View) -> Result<Vec<Step>> {
    let server = &view.server;
    match wanted {
        Wanted::Stopped { backup, first } => {
            let stamp = stamp::stamped("", view.now)?;
            plan::stop(server, backup, *first, stamp.trim_start_matches('-'))
        }
        Wanted::Reset { backup, archive } => match &view.archive {
            Some(checked) => plan::reset(server, backup, archive, checked),
            None => bail!("the backup {archive} is not on this Proxmox host any more"),
        },
        Wanted::Aside { backup, identity } => plan::set_aside(server, backup, identity),
        Wanted::Started { backup } => plan::start(server, backup),
        Wanted::Finished { backup } => plan::finish(server, backup, rfc3339(view.now)?),
        Wanted::GivenBack { backup, touched } => plan::give_back(server, backup, *touched),
        Wanted::Inspected { .. } | Wanted::Planned(_) | Wanted::AgentBack { .. } => Ok(Vec::new()),
    }
}

fn rfc3339(at: SystemTime) -> Result<String> {
    let at = OffsetDateTime::from(at).replace_nanosecond(0)?;
    Ok(at.format(&Rfc3339)?)
}

/// What may be asked of the API, which answers within seconds or not at all.
pub(crate) const ASKING: Duration = Duration::from_mins(2);
