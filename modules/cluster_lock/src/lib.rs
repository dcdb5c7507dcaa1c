//! `cluster_lock`: one run at a time changes a cluster.
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
use host::{Command, Host, Output, wait_until};
use serde::Serialize;
use std::time::Duration;

/// How often another holder is looked at while waiting for it.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: &str = "--request-timeout=20s";

pub struct ClusterLock;

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
    type Journal = ();
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
        seen.context("the Lease was never looked at")
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        let (verb, lease) = match step {
            Step::Create(lease) => ("create", lease),
            Step::Replace { lease, .. } => ("replace", lease),
            Step::Delete { resource_version } => return delete(params, host, resource_version),
        };
        // Validation on this side would fetch the API's whole description; the server checks what it is given.
        let command =
            kubectl(params, &[verb, "--validate=false", "-f", "-"]).stdin(serde_json::to_vec(lease)?);
        taken(
            &host.run(&command)?,
            host,
            "writing the Lease of the cluster's lock",
        )
    }

    fn report(params: &Params, _: &State, after: &State, (): &()) -> Returned {
        Returned {
            run_id: params.run_id.clone(),
            held_by: after.lease.as_ref().map(Lease::holder),
        }
    }
}

fn kubectl(params: &Params, arguments: &[&str]) -> Command {
    Command::new(
        params
            .kubectl
            .iter()
            .map(String::as_str)
            .chain(arguments.iter().copied())
            .chain([REQUEST_TIMEOUT]),
    )
}

fn look(params: &Params, host: &dyn Host) -> Result<State> {
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
    let output = host.run(&kubectl(params, &arguments))?;
    let output = output.succeed(&host.place(), "reading the Lease of the cluster's lock")?;
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

/// The delete is guarded as the writes are: between our look and now somebody may have taken over.
fn delete(params: &Params, host: &dyn Host, resource_version: &str) -> Result<()> {
    let path = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}",
        params.namespace, params.name
    );
    let options = serde_json::json!({
        "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": { "resourceVersion": resource_version },
    });
    let command =
        kubectl(params, &["delete", "--raw", &path, "-f", "-"]).stdin(serde_json::to_vec(&options)?);
    taken(
        &host.run(&command)?,
        host,
        "deleting the Lease of the cluster's lock",
    )
}

fn taken(output: &Output, host: &dyn Host, doing: &str) -> Result<()> {
    if !output.ok() {
        let said = output.error_text();
        bail!(
            "{}: {doing} was refused; if another run was quicker, run again to see whose it is: {}",
            host.place(),
            said.trim()
        );
    }
    Ok(())
}
