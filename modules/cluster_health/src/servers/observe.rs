//! Asks each server's API at the address of its Node; changes nothing.

use super::given::Given;
use super::state::{Api, Apis, ServerNode};
use anyhow::Result;
use cluster::{ApiVersion, Kubectl, Node, Questions, pages, unless_passing};
use host::quote;

/// Reads the Nodes first. If no API answers, that is part of the result.
pub(crate) fn state(given: &Given, kubectl: &Kubectl) -> Result<Apis> {
    match unless_passing(kubectl.list::<Node>(pages("/api/v1/nodes")))? {
        Ok(nodes) => ask(given, kubectl, &nodes),
        Err(why) => Ok(Apis::unknown(&kubectl.host.location(), why)),
    }
}

/// Sends the requests for all servers at once. The certificate that a server shows must be valid for its address.
pub(crate) fn ask(given: &Given, kubectl: &Kubectl, nodes: &[Node]) -> Result<Apis> {
    let mut apis = Apis {
        asked_from: kubectl.host.location(),
        ..Apis::default()
    };
    let nodes: Vec<ServerNode> = nodes.iter().map(ServerNode::from).collect();
    let found = given.servers.iter().filter_map(|server| {
        let node = nodes.iter().find(|node| server.is_node(&node.name))?;
        Some((&server.host, node, node.address.as_ref()?))
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Ok(apis);
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
        apis.servers.insert(host.clone(), api);
    }
    Ok(apis)
}
