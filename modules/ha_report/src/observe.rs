//! Looks, from inside one server, at all of them; changes nothing.

use crate::params::Params;
use crate::state::{Api, ServerNode, State};
use anyhow::Result;
use cluster::{ApiVersion, Kubectl, Node, Questions, pages, quote, unless_passing};
use host::Host;

/// Where no API answers, that is told, with the rest.
pub(crate) fn state(params: &Params, host: &dyn Host) -> Result<State> {
    let kubectl = Kubectl {
        host,
        program: &params.kubectl,
        request_timeout: params.request_timeout,
    };
    let mut state = State {
        place: host.place(),
        ..State::default()
    };
    match unless_passing(kubectl.list::<Node>(pages("/api/v1/nodes")))? {
        Ok(nodes) => {
            let nodes: Vec<ServerNode> = nodes.into_iter().map(ServerNode::from).collect();
            ask(params, &kubectl, &nodes, &mut state)?;
        }
        Err(why) => state.nodes_unknown = Some(why),
    }
    Ok(state)
}

/// Each server at its own address. The certificate it shows there must be good for that address.
fn ask(params: &Params, kubectl: &Kubectl, nodes: &[ServerNode], state: &mut State) -> Result<()> {
    let found = params.servers.iter().filter_map(|server| {
        let node = nodes.iter().find(|node| server.is_node(&node.name))?;
        Some((&server.host, node, node.address.as_ref()?))
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Ok(());
    }
    let mut questions = Questions::new(kubectl);
    for (_, _, address) in &found {
        let at = quote(&format!("https://{address}"));
        for path in ["/readyz", "/version"] {
            questions = questions.command(path, &format!("k --server {at} get --raw {path}"));
        }
    }
    let answers = questions.ask("asking each server at its own address")?;
    for (number, (host, node, address)) in found.into_iter().enumerate() {
        let ready = answers.get(2 * number);
        let version = answers.get(2 * number + 1);
        let api = Api {
            address: address.clone(),
            not_ready: ready
                .filter(|answer| !answer.ok())
                .map(|answer| answer.said.to_owned()),
            version: version
                .and_then(|answer| answer.parse::<ApiVersion>().ok())
                .map(|version| version.git_version),
            quota: node.quota,
            settings: node.settings.clone(),
        };
        state.servers.insert(host.clone(), api);
    }
    Ok(())
}
