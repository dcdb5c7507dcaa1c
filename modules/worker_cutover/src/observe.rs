//! Looks at the cluster; changes nothing.

use crate::params::{Params, Wanted};
use crate::state::{State, moves};
use crate::verified;
use anyhow::Result;
use cluster::owners::{self, Workloads};
use cluster::{Kubectl, Lease, Node, Owner, Pod, pages, unless_passing};
use host::{Host, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A pod needs seconds to start; looking more often costs the API server more than it is worth.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// A workload's count of ready replicas lags behind its pods for a moment.
const SETTLE: Duration = Duration::from_secs(1);

/// The last look: the one that found what is wanted, or that after which the wait was over.
pub(crate) fn state(params: &Params, host: &dyn Host) -> Result<State> {
    let kubectl = params.kubectl(host);
    let patiently = || kubectl.patiently("checking the cluster", || look(params, host, &kubectl));
    if params.state == Wanted::Planned {
        return patiently();
    }
    host.sleep(SETTLE);
    let mut last = patiently()?;
    wait_until(host, params.wait, LOOK_EVERY, || {
        if verified::missing(params, &last).is_empty() {
            return Ok(Ok(()));
        }
        // An API server that is away for a while does not stop it.
        if let Ok(state) = unless_passing(look(params, host, &kubectl))? {
            last = state;
        }
        Ok(Err(String::new()))
    })?;
    Ok(last)
}

fn look(params: &Params, host: &dyn Host, kubectl: &Kubectl) -> Result<State> {
    let paths = [
        pages("/api/v1/nodes"),
        pages("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"),
        pages("/api/v1/pods"),
        pages("/api/v1/persistentvolumeclaims"),
        pages("/api/v1/persistentvolumes"),
    ];
    let mut documents = kubectl.read(&paths)?;
    let nodes: Vec<Node> = documents.list()?;
    let leases: Vec<Lease> = documents.list()?;
    let by_node = |lease: Lease| (lease.node.clone(), lease);
    let mut state = State {
        now: host.now(),
        nodes,
        leases: leases.into_iter().map(by_node).collect(),
        pods: documents.list()?,
        claims: documents.list()?,
        volumes: documents.list()?,
        workloads: Vec::new(),
        theirs: BTreeMap::new(),
    };
    look_at_workloads(params, kubectl, &mut state)?;
    Ok(state)
}

/// The workloads of the old node: those that it had when a run of ours cordoned it, and those of its pods now.
fn look_at_workloads(params: &Params, kubectl: &Kubectl, state: &mut State) -> Result<()> {
    let recorded: &[Owner] = state.node(&params.old).map_or(&[], Node::former_owners);
    let known = owners::merge(recorded, params.workloads.iter().cloned());
    let going: Vec<&Pod> = state.pods_on(&params.old).filter(|pod| moves(pod)).collect();
    let kinds = kinds(&going, &known);
    if kinds.is_empty() {
        return Ok(());
    }
    let read = Workloads::read(kubectl, &kinds)?;
    // What can only come back on the old node is judged by the plan.
    let seen = owners::of_read_pods(kubectl, going.into_iter(), |_| false, &read)?;
    let all = owners::merge(&known, seen.into_iter().map(|seen| seen.owner));
    let whose = |pod: &Pod| {
        let of = read.of(pod)?;
        all.iter().position(|owner| {
            (&owner.kind, &owner.namespace, &owner.name) == (&of.kind, &of.namespace, &of.name)
        })
    };
    let theirs = state
        .pods
        .iter()
        .filter_map(|pod| Some((pod.metadata.uid.clone(), whose(pod)?)));
    state.theirs = theirs.collect();
    state.workloads = owners::in_read(kubectl, &all, &read)?;
    Ok(())
}

fn kinds<'a>(pods: &[&'a Pod], known: &'a [Owner]) -> BTreeSet<&'a str> {
    let of_pods = pods.iter().filter_map(|pod| pod.metadata.controller());
    let mut kinds: BTreeSet<&str> = of_pods.map(|controller| controller.kind.as_str()).collect();
    kinds.extend(known.iter().map(|owner| owner.kind.as_str()));
    // A pod shows the one, and that the other.
    if kinds.contains("ReplicaSet") || kinds.contains("Deployment") {
        kinds.extend(["ReplicaSet", "Deployment"]);
    }
    kinds
}
