//! Looks at the cluster; changes nothing.

use crate::params::{Params, Wanted};
use crate::state::State;
use crate::verdict::{Verdict, judge};
use anyhow::Result;
use cluster::{Claim, Kubectl, Node, PersistentVolume, Pinned, Pod, owners, pages, pinned, split};
use host::Host;
use std::collections::BTreeSet;

pub(crate) fn state(params: &Params, host: &dyn Host) -> Result<State> {
    let kubectl = params.kubectl(host);
    kubectl.patiently("checking the cluster", || match params.state {
        Wanted::Drained => with_pods(params, host, &kubectl),
        Wanted::Cordoned | Wanted::Uncordoned => without_pods(params, host, &kubectl),
    })
}

/// The present state of the node alone.
pub(crate) fn node(params: &Params, kubectl: &Kubectl) -> Result<Node> {
    let path = format!(
        "{}&fieldSelector=metadata.name%3D{}",
        pages("/api/v1/nodes"),
        params.node
    );
    let (node, _) = split(kubectl.list(path)?, &params.node)?;
    Ok(node)
}

/// The node and the others; `None`: it is gone, and may be.
fn find(params: &Params, nodes: Vec<Node>) -> Result<Option<(Node, Vec<Node>)>> {
    if params.may_be_gone && nodes.iter().all(|node| node.name != params.node) {
        return Ok(None);
    }
    split(nodes, &params.node).map(Some)
}

fn without_pods(params: &Params, host: &dyn Host, kubectl: &Kubectl) -> Result<State> {
    let Some((node, others)) = find(params, kubectl.list(pages("/api/v1/nodes"))?)? else {
        return Ok(State::gone(host));
    };
    let mut state = State::of(host, node, &others);
    if params.wait_for {
        let wanted = if params.owners.is_empty() {
            state.node.former_owners()
        } else {
            &params.owners
        };
        state.owners = owners::now(kubectl, wanted)?;
    }
    Ok(state)
}

fn with_pods(params: &Params, host: &dyn Host, kubectl: &Kubectl) -> Result<State> {
    // The budgets matter only where a pod may go. Asked for at once they take no time; asked for later, half a second.
    let paths = [pages("/api/v1/nodes"), pods_on(&params.node), budgets()];
    let mut documents = kubectl.read(&paths)?;
    let Some((node, others)) = find(params, documents.list()?)? else {
        return Ok(State::gone(host));
    };
    let mut state = State::of(host, node, &others);
    state.pods = documents.list()?;
    state.budgets = documents.list()?;
    look_closer(params, kubectl, &mut state, &others)?;
    Ok(state)
}

/// What only matters where there is a pod that could go: volumes and workloads.
fn look_closer(params: &Params, kubectl: &Kubectl, state: &mut State, others: &[Node]) -> Result<()> {
    let may_go = |pod: &&Pod| !matches!(judge(&params.rules, state, pod), Verdict::Leave(_));
    let going: Vec<Pod> = state.pods.iter().filter(may_go).cloned().collect();
    if going.is_empty() {
        return Ok(());
    }
    if going.iter().any(|pod| pod.claims().next().is_some()) {
        let paths = ["/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"].map(pages);
        let mut documents = kubectl.read(&paths)?;
        let (claims, volumes): (Vec<Claim>, Vec<PersistentVolume>) = (documents.list()?, documents.list()?);
        state.pinned = pinned(&claims, &volumes, &state.node, others);
    }
    let choosy = going.iter().filter(|pod| pod.fits_none_of(others));
    state.fit_here_only = choosy.map(|pod| pod.metadata.uid.clone()).collect();
    state.owners = owners::of_pods(kubectl, going.iter(), |pod| state.ties(pod))?;
    Ok(())
}

fn pods_on(node: &str) -> String {
    format!("{}&fieldSelector=spec.nodeName%3D{node}", pages("/api/v1/pods"))
}

fn budgets() -> String {
    pages("/apis/policy/v1/poddisruptionbudgets")
}

/// One look of a drain that is under way: the pods on the node, and the budgets while they matter.
pub(crate) fn look(
    params: &Params,
    host: &dyn Host,
    kubectl: &Kubectl,
    state: &mut State,
    with_budgets: bool,
) -> Result<()> {
    let mut paths = vec![pods_on(&params.node)];
    paths.extend(with_budgets.then(budgets));
    let mut documents = kubectl.read(&paths)?;
    let pods = documents.list()?;
    if with_budgets {
        state.budgets = documents.list()?;
    }
    (state.pods, state.now) = (pods, host.now());
    Ok(())
}

impl State {
    fn of(host: &dyn Host, node: Node, others: &[Node]) -> Self {
        let other_nodes = others.iter().filter(|other| other.takes_pods()).count();
        Self {
            now: host.now(),
            node,
            gone: false,
            other_nodes,
            pods: Vec::new(),
            budgets: Vec::new(),
            pinned: Pinned::default(),
            fit_here_only: BTreeSet::new(),
            owners: Vec::new(),
        }
    }

    fn gone(host: &dyn Host) -> Self {
        Self {
            gone: true,
            ..Self::of(host, Node::default(), &[])
        }
    }
}
