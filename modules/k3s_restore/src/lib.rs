//! `k3s_restore`: restore a k3s cluster from a backup.
//!
//! A server passes through four states, `stopped`, `replaced`, `started` and `finished`, and [`plan`] has one table of
//! the steps to each. They are separate because other servers act between them:
//!
//! - all are stopped before the first datastore is replaced, so that a failure until then is undone by starting them;
//! - the old data is out of its place on all of them before the first one starts: no server brings the old cluster back;
//! - they start one at a time, each as a voter before the next, so that etcd has its quorum;
//! - the records go when all servers and agents are back: until then a failed run can be continued or given back.
//!
//! `given_back` is what a failure leaves. `node_ready` is about any node of the restored cluster. `inspected` reads one
//! server, and `planned` judges what was read of all of them: it reads nothing but its arguments.
//!
//! How far a server has come is in a record in its container, so an interrupted run is continued by the same states in
//! the same order.

mod api;
mod cluster;
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

pub use params::{Goal, Params, Planning, Wanted};
pub use plan::Step;
pub use record::{Done, Record, Stage};
pub use report::Returned;
pub use seen::{Answer, ArchiveSeen, Host as SeenHost, NodeSeen, Same, Seen};
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::Result;
use host::Host;
use std::process::ExitCode;
use std::time::Duration;

pub struct K3sRestore;

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
        State::observe(params, host)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(&params.wanted, state).map(Plan::of)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        steps::apply(host, Duration::from_secs(params.timeout), step)
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

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::K3sRestore);
}
