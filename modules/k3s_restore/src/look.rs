//! Looking at a server, at the backup beside it, and at the cluster as far as it answers.

use crate::params::{Params, Wanted};
use crate::record::Stage;
use crate::seen::NodeSeen;
use crate::state::Server;
use crate::{ASKING, View, node};
use anyhow::{Context, Result};
use host::{Command, Host, ourselves};
use k3s_node::{Program, words};
use serde_json::Value;
use server_archive::{CHECK, Checked, Objects, count};
use std::time::Duration;

/// The labels of servers; one that runs etcd and no API has the second alone.
const SERVERS: [&str; 2] = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/etcd",
];

pub(crate) fn look(params: &Params, host: &dyn Host) -> Result<View> {
    let server = Server::look(host)?;
    let archive = match &params.wanted {
        Wanted::Inspected { archive, .. } => check(params, host, archive, &server)?,
        // What is replaced already needs no backup any more.
        Wanted::Reset { archive, .. } if is_open(&server) => check(params, host, archive, &server)?,
        _ => None,
    };
    let counts = match &params.wanted {
        Wanted::Inspected { count, .. } => *count,
        Wanted::Started { .. } => server.record.as_ref().is_some_and(|record| record.first),
        _ => false,
    };
    let (objects, nodes) = if counts && server.ready {
        (objects(host, &server), nodes(host, &server)?)
    } else {
        Default::default()
    };
    let passwords = match &params.wanted {
        Wanted::Admitted { nodes } => node::passwords(host, &server.binary, nodes)?,
        _ => Vec::new(),
    };
    Ok(View {
        server,
        archive,
        objects,
        nodes,
        passwords,
        now: host.now(),
    })
}

fn is_open(server: &Server) -> bool {
    server
        .record
        .as_ref()
        .is_none_or(|record| record.stage < Stage::Replaced)
}

/// Has our own binary read every byte of the backup, on the Proxmox host, and compare the token. `None`: it is not there.
fn check(params: &Params, host: &dyn Host, archive: &str, server: &Server) -> Result<Option<Checked>> {
    let outside = host.outside();
    let there = outside.run(&Command::script(format!("[ -e {} ]\n", words::shell(archive))))?;
    if !there.ok() {
        return Ok(None);
    }
    let token = server.token.as_ref().map_or("", |token| token.password.expose());
    let command = ourselves(outside, &[CHECK, archive, "tokens"])?
        .stdin(format!("{token}\n"))
        .within(Duration::from_secs(params.timeout));
    let output = outside
        .run(&command)?
        .succeed(&outside.place(), "checking the backup")?;
    let checked =
        serde_json::from_slice(&output.stdout).context("reading what the check of the backup found")?;
    Ok(Some(checked))
}

/// They are told, not decided upon.
fn objects(host: &dyn Host, server: &Server) -> Objects {
    count(host, &server.binary, ASKING)
        .ok()
        .flatten()
        .map(|(objects, _)| objects)
        .unwrap_or_default()
}

fn nodes(host: &dyn Host, server: &Server) -> Result<Vec<NodeSeen>> {
    let ask = "\"$binary\" kubectl --request-timeout=30s get --raw /api/v1/nodes </dev/null\n";
    let output = host.run(&Program::new(&server.binary).end(ask).within(ASKING))?;
    let output = output.succeed(&host.place(), "asking for the cluster's nodes")?;
    let list: Value = serde_json::from_slice(&output.stdout)
        .context("reading the cluster's nodes as kubectl printed them")?;
    Ok(list["items"].as_array().into_iter().flatten().map(seen).collect())
}

fn seen(object: &Value) -> NodeSeen {
    NodeSeen {
        name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        server: SERVERS
            .iter()
            .any(|label| object["metadata"]["labels"].get(label).is_some()),
        ready: node::is_ready(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_their_roles() {
        let told = |list: &str| -> Vec<String> {
            let list: Value = serde_json::from_str(&testbed::recorded(list)).unwrap();
            let told = |object: &Value| {
                let NodeSeen { name, server, ready } = seen(object);
                format!("{name} {server} {ready}")
            };
            list["items"].as_array().unwrap().iter().map(told).collect()
        };
        assert_eq!(
            told("k3s-v1.36.3-nodes.json"),
            [
                "k3s-controller-1 true true",
                "k3s-controller-2 true true",
                "k3s-controller-3 true true",
                "k3s-worker-1 false true",
            ]
        );
        // The third runs etcd and no API: it too would go on with the old data.
        assert_eq!(
            told("by-hand-k3s-v1.36-nodes.json"),
            ["n1 true true", "n2 true true", "n3 true true", "n4 false false"]
        );
    }
}
