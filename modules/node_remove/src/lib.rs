//! `node_remove`: remove a dead node from a k3s cluster.
//!
//! It lacks, on purpose, any way to delete a node that lives. The reasons to refuse come from the cluster, and from
//! etcd through the playbook.

#[cfg(test)]
mod exhaustive_tests;
mod params;
mod plan;
mod state;

pub use params::{Member, Params};
pub use plan::Step;
pub use state::State;

use ansible_module::{Module, Plan, Target};
use anyhow::{Result, bail};
use cluster::{Kubectl, Object};
use host::{Host, quote, wait_until};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Finalizers are worked off within seconds.
const GONE_EVERY: Duration = Duration::from_secs(2);

pub struct NodeRemove;

#[derive(Serialize)]
pub struct Returned {
    ready: Option<String>,
    pods: Vec<String>,
    password: bool,
}

impl Module for NodeRemove {
    const NAME: &'static str = "node_remove";
    const DOC: &'static str = include_str!("../node_remove.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = ();
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: Some(params.lock_timeout),
        }
    }

    /// Waits where the kubelet seems alive: it may have been stopped a moment ago.
    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        let kubectl = params.kubectl(host);
        let mut seen = None;
        wait_until(host, params.wait, LOOK_EVERY, || {
            let state = kubectl.patiently("checking the node", || look(params, &kubectl))?;
            let alive = seen.insert(state).alive();
            Ok(alive.map_or(Ok(()), Err))
        })?;
        seen.ok_or_else(|| anyhow::anyhow!("the node was never read"))
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, (): &mut ()) -> Result<()> {
        let kubectl = params.kubectl(host);
        match step {
            Step::DeleteNode { name, uid } => delete(params, &kubectl, name, uid),
            Step::ForgetPassword { name } => forget(&kubectl, name),
        }
    }

    /// What there was before, which the steps have removed.
    fn report(_: &Params, before: &State, _: &State, (): &()) -> Returned {
        let node = before.node.as_ref();
        Returned {
            ready: node.and_then(state::ready).map(str::to_owned),
            pods: before.own_pods(),
            password: before.password,
        }
    }
}

fn named(list: &str, field: &str, value: &str) -> String {
    format!("{list}?fieldSelector={field}%3D{value}")
}

/// k3s writes the name in lower case.
fn password_of(node: &str) -> String {
    format!("{}.node-password.k3s", node.to_lowercase())
}

fn look(params: &Params, kubectl: &Kubectl) -> Result<State> {
    let node = &params.node;
    let mut documents = kubectl.read(&[
        named("/api/v1/nodes", "metadata.name", node),
        named(
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
            "metadata.name",
            node,
        ),
        named("/api/v1/pods", "spec.nodeName", node),
        named(
            "/api/v1/namespaces/kube-system/secrets",
            "metadata.name",
            &password_of(node),
        ),
    ])?;
    Ok(State {
        node: documents.list()?.pop(),
        lease: documents.list()?.pop(),
        pods: documents.list()?,
        password: !documents.list::<Object>()?.is_empty(),
        now: kubectl.host.now(),
    })
}

/// Asks for it as long as nobody has, and waits until it is gone. What the server says to that is prose: the next look
/// shows more.
fn delete(params: &Params, kubectl: &Kubectl, name: &str, uid: &str) -> Result<()> {
    let options =
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}).to_string();
    let path = named("/api/v1/nodes", "metadata.name", name);
    let mut said = String::new();
    let waited = wait_until(kubectl.host, params.timeout, GONE_EVERY, || {
        let nodes: Vec<Object> = kubectl.patiently("checking the node", || kubectl.list(path.clone()))?;
        let Some(Object { metadata }) = nodes.first() else {
            return Ok(Ok(()));
        };
        if metadata.uid != uid {
            bail!(
                "the node {name} was registered again meanwhile (uid {}); it was not deleted",
                metadata.uid
            );
        }
        if metadata.deletion_timestamp.is_none() {
            said = ask(kubectl, &format!("/api/v1/nodes/{name}"), &options)?;
            return Ok(Err(format!(
                "it is not being deleted; the API server said: {said}"
            )));
        }
        Ok(Err(format!(
            "it is being deleted, and held by {}",
            metadata.finalizers.join(", ")
        )))
    })?;
    waited.or_fail(kubectl.host, &format!("the node {name} to go"))
}

fn ask(kubectl: &Kubectl, path: &str, options: &str) -> Result<String> {
    let mut script = kubectl.prelude();
    let _ = writeln!(
        script,
        "printf %s {} | k delete --raw {} -f - 2>&1 >/dev/null || true",
        quote(options),
        quote(path)
    );
    let output = kubectl.run_script(script, kubectl.limit(1), "asking for the deletion of a node")?;
    Ok(output.text().trim().to_owned())
}

fn forget(kubectl: &Kubectl, node: &str) -> Result<()> {
    let mut script = kubectl.prelude();
    let _ = writeln!(
        script,
        "k delete secret -n kube-system --ignore-not-found {} </dev/null",
        quote(&password_of(node))
    );
    kubectl
        .run_script(script, kubectl.limit(3), "forgetting the password of a node")
        .map(|_| ())
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::NodeRemove);
}
