//! `cluster_lock`: lock a k3s cluster for one run of a playbook.
//!
//! The lock is a Lease in the cluster itself, so that it is seen from every control node.

mod params;
mod plan;
mod state;

pub use params::{Controller, Params, Wanted};
pub use plan::Step;
pub use state::{Lease, State};

use ansible_module::{Module, Plan, Target};
use anyhow::{Context, Result, bail};
use cluster::Kubectl;
use host::{Command, Host, wait_until};
use serde::Serialize;
use std::time::Duration;

/// How often another holder is looked at while waiting for it.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const READING: &str = "reading the Lease of the cluster's lock";

pub struct ClusterLock;

/// What the last step has done to the Lease.
#[derive(Default)]
pub enum Journal {
    #[default]
    Nothing,
    Written(Box<Lease>),
    Deleted,
}

#[derive(Serialize)]
pub struct Returned {
    run_id: String,
    held_by: Option<String>,
}

impl Module for ClusterLock {
    const NAME: &'static str = "cluster_lock";
    const DOC: &'static str = include_str!("../cluster_lock.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    /// The API server decides who was first; no lock of ours is needed for that.
    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: None,
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        let patience = Duration::from_secs(if params.state == Wanted::Held {
            params.wait
        } else {
            0
        });
        let mut seen = None;
        wait_until(host, patience, LOOK_EVERY, || {
            let state = seen.insert(look(params, host)?);
            Ok(if plan::holder(params, state) == plan::Holder::Other {
                Err(String::new())
            } else {
                Ok(())
            })
        })?;
        seen.context("the Lease was never read")
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        *journal = match step {
            Step::Create(lease) => write(params, host, "create", lease)?,
            Step::Replace { lease, .. } => write(params, host, "replace", lease)?,
            Step::Delete { resource_version } => delete(params, host, resource_version)?,
        };
        Ok(())
    }

    /// The API server has accepted the Lease or its end, guarded by its version: a further request would show the same.
    const OBSERVE_AGAIN: bool = false;

    fn report(params: &Params, before: &State, _: &State, journal: &Journal) -> Returned {
        let lease = match journal {
            Journal::Nothing => before.lease.as_ref(),
            Journal::Written(lease) => Some(lease.as_ref()),
            Journal::Deleted => None,
        };
        Returned {
            run_id: params.run_id.clone(),
            held_by: lease.map(Lease::holder),
        }
    }
}

/// kubectl with its limit. An API server that is away for a moment, as in an election of etcd, is asked again.
fn kubectl<'a>(params: &'a Params, host: &'a dyn Host) -> Kubectl<'a> {
    Kubectl {
        host,
        program: &params.kubectl,
        request_timeout: REQUEST_TIMEOUT,
    }
}

fn command(kubectl: &Kubectl, arguments: &[&str]) -> Command {
    let timeout = kubectl.timeout_argument();
    let words = kubectl.program.iter().map(String::as_str);
    Command::new(words.chain(arguments.iter().copied()).chain([timeout.as_str()]))
}

fn look(params: &Params, host: &dyn Host) -> Result<State> {
    kubectl(params, host).patiently(READING, || look_once(params, host))
}

fn look_once(params: &Params, host: &dyn Host) -> Result<State> {
    let arguments = [
        "get",
        "lease",
        &params.name,
        "-n",
        &params.namespace,
        "-o",
        "json",
        "--ignore-not-found",
    ];
    let output = host.run(&command(&kubectl(params, host), &arguments))?;
    let output = output.succeed(&host.location(), READING)?;
    let lease = if output.stdout.trim_ascii().is_empty() {
        None
    } else {
        Some(Lease::parse(&output.stdout)?)
    };
    Ok(State {
        lease,
        now: host.now(),
    })
}

fn write(params: &Params, host: &dyn Host, verb: &str, lease: &Lease) -> Result<Journal> {
    // Validation on this side would fetch the API's complete description; the server checks what it is given.
    let command = command(&kubectl(params, host), &[verb, "--validate=false", "-f", "-"]);
    // Nodes that are upgraded at the same time renew it at the same time: whichever was first has renewed it for all.
    let is_done = |found: Option<&Lease>| {
        found.is_some_and(|found| {
            found.spec.holder_identity == lease.spec.holder_identity
                && found.metadata.resource_version != lease.metadata.resource_version
        })
    };
    change(
        params,
        host,
        &command.stdin(serde_json::to_vec(lease)?),
        "writing the Lease of the cluster's lock",
        &lease.metadata.resource_version,
        is_done,
    )?;
    Ok(Journal::Written(Box::new(lease.clone())))
}

/// The delete is guarded as the writes are: between our look and now somebody may have taken over.
fn delete(params: &Params, host: &dyn Host, resource_version: &str) -> Result<Journal> {
    let path = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}",
        params.namespace, params.name
    );
    let options = serde_json::json!({
        "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "resourceVersion": resource_version },
    });
    let command = command(&kubectl(params, host), &["delete", "--raw", &path, "-f", "-"]);
    change(
        params,
        host,
        &command.stdin(serde_json::to_vec(&options)?),
        "deleting the Lease of the cluster's lock",
        resource_version,
        |found| found.is_none(),
    )?;
    Ok(Journal::Deleted)
}

/// Does something to the Lease of this version. A request that has failed may have been heard all the same, so the Lease
/// is looked at: what is done is done, what is untouched is tried again, and what somebody else has changed is theirs.
fn change(
    params: &Params,
    host: &dyn Host,
    command: &Command,
    doing: &str,
    version: &str,
    is_done: impl Fn(Option<&Lease>) -> bool,
) -> Result<()> {
    kubectl(params, host).patiently(doing, || {
        let tried = host
            .run(command)
            .and_then(|output| output.succeed(&host.location(), doing));
        let Err(error) = tried else { return Ok(()) };
        let found = look_once(params, host)?.lease;
        if is_done(found.as_ref()) {
            return Ok(());
        }
        let is = found
            .as_ref()
            .map_or("", |lease| &lease.metadata.resource_version);
        if is != version {
            bail!("{error:#}. Somebody else was quicker: run again to see whose it is");
        }
        Err(error)
    })
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::ClusterLock);
}
