//! The answer, without a secret in it.

use crate::params::{Params, Wanted};
use crate::record::Stage;
use crate::seen::{ArchiveSeen, NodeSeen, Same, Seen};
use crate::state::{Server, State, View, identity_of};
use crate::{cluster, text};
use k3s_node::facts::rfc3339;
use serde::Serialize;
use server_archive::{Checked, Objects};
use std::collections::BTreeMap;
use std::time::SystemTime;

#[derive(Default, Serialize)]
pub struct Returned {
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Seen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveSeen>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    objects: Objects,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<NodeSeen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown_nodes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    touched: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aside: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    planned: Option<Planned>,
}

#[derive(Serialize)]
struct Planned {
    text: Vec<String>,
    refused: Option<String>,
    unconfirmed: Option<String>,
    first: Option<String>,
    peers: Vec<String>,
    peer_nodes: Vec<String>,
    identity: BTreeMap<String, String>,
}

pub(crate) fn report(params: &Params, after: &State) -> Returned {
    match (&params.wanted, after) {
        (Wanted::Planned(planning), _) => {
            let verdict = cluster::judge(planning);
            Returned {
                planned: Some(Planned {
                    text: text::plan(planning, &verdict),
                    refused: text::refused(&verdict),
                    unconfirmed: text::unconfirmed(planning, &verdict),
                    first: verdict.first.map(|host| host.host.clone()),
                    peers: verdict.peers.iter().map(|host| host.host.clone()).collect(),
                    peer_nodes: verdict.peers.iter().map(|host| host.node_name.clone()).collect(),
                    identity: verdict
                        .archive
                        .map(|archive| archive.identity.clone())
                        .unwrap_or_default(),
                }),
                ..Returned::default()
            }
        }
        (Wanted::Inspected { known_nodes, .. }, State::Server(view)) => Returned {
            unknown_nodes: (!known_nodes.is_empty()).then(|| unknown(&view.nodes, known_nodes)),
            ..of_server(view)
        },
        (_, State::Server(view)) => of_server(view),
        _ => Returned::default(),
    }
}

fn of_server(view: &View) -> Returned {
    let server = &view.server;
    let record = server.record.as_ref();
    Returned {
        server: Some(seen(server, view.archive.as_ref())),
        archive: view
            .archive
            .as_ref()
            .map(|archive| archive_seen(archive, view.now)),
        objects: view.objects.clone(),
        nodes: view.nodes.clone(),
        touched: Some(record.is_some_and(|record| record.stage >= Stage::Replacing)),
        aside: record.map(|record| format!("{}/{}", server.server_dir(), record.aside())),
        unknown_nodes: None,
        planned: None,
    }
}

/// Nodes of the backup that nobody has any more, or that were never entered.
fn unknown(nodes: &[NodeSeen], known: &[String]) -> Vec<String> {
    let names = nodes.iter().map(|node| &node.name);
    names.filter(|name| !known.contains(name)).cloned().collect()
}

fn seen(server: &Server, archive: Option<&Checked>) -> Seen {
    let same = |same: Option<bool>| match same {
        Some(true) => Same::Same,
        Some(false) => Same::Other,
        None => Same::None,
    };
    let location =
        |given: &Option<k3s_node::config::Given>| given.as_ref().map(|given| given.location.clone());
    Seen {
        node: server.node.clone(),
        version: server.version.as_ref().map(ToString::to_string),
        datastore: server.datastore,
        joins: location(&server.joins),
        external: location(&server.external),
        cluster_init: server.cluster_init,
        config_fault: server.config_fault.clone(),
        token: match (&server.token, archive) {
            (None, _) => Same::None,
            (Some(_), None) => Same::Unknown,
            (Some(_), Some(archive)) => same(Some(archive.tokens.first() == Some(&true))),
        },
        token_location: server.token.as_ref().and_then(|token| token.location.clone()),
        identity: archive.map_or(Same::Unknown, |archive| {
            same(server.has_identity_of(&identity_of(archive)))
        }),
        free: server.free,
        enabled: server.is_enabled(),
        active: server.show.is_alive(),
        ready: server.ready,
        record: server.record.clone(),
        done: server.done.clone(),
    }
}

fn archive_seen(archive: &Checked, now: SystemTime) -> ArchiveSeen {
    let about = &archive.manifest.about;
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    ArchiveSeen {
        name: about.name.clone(),
        taken_at: about.taken_at.clone(),
        node: about.node.clone(),
        k3s_version: about.k3s_version.clone(),
        datastore: about.datastore,
        bytes: archive.bytes,
        unpacked: archive.manifest.bytes(),
        objects: about.objects.clone(),
        nodes: about.nodes.clone(),
        identity: identity_of(archive),
        age: now.saturating_sub(rfc3339(&about.taken_at).unwrap_or(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_nodes_that_the_inventory_does_not_have() {
        let node = |name: &str| NodeSeen {
            name: name.to_owned(),
            server: false,
            ready: true,
        };
        let nodes = [node("n1"), node("w9"), node("w1")];
        let known = ["k3s-c1", "n1", "w1"].map(str::to_owned);
        assert_eq!(unknown(&nodes, &known), ["w9"]);
        assert_eq!(unknown(&nodes[..1], &known), [""; 0]);
    }
}
