//! The groups that a playbook needs, and what each node has to say of itself.

use crate::params::{CLUSTER, CONTROLLERS, Node, PROXMOX, Params, WORKERS};
use crate::snippet;
use serde_json::Value;
use std::collections::BTreeMap;

/// Every Proxmox VE container has at least this id.
const FIRST_ID: u64 = 100;
/// A name of a Kubernetes object (RFC 1123).
const LONGEST_NAME: usize = 253;

pub(crate) fn faults(params: &Params) -> Vec<String> {
    let groups = of_groups(params);
    // With no group there is no node either, and the message is about the groups.
    if groups.is_empty() {
        return [
            of_files(params),
            of_membership(params),
            of_nodes(params),
            of_doubles(params),
        ]
        .concat();
    }
    [of_files(params), groups, of_nodes(params), of_doubles(params)].concat()
}

/// Ansible itself only warns, unless `any_unparsed_is_failed` is set.
fn of_files(params: &Params) -> Vec<String> {
    let fault = |file: &String| {
        format!(
            "{file} could not be read to its end: Ansible's warning above says why. What it has read so far may be a part of the cluster. Correct the file."
        )
    };
    params.inventory.unread.iter().map(fault).collect()
}

fn of_groups(params: &Params) -> Vec<String> {
    let inventory = &params.inventory;
    let mut needed = vec![(PROXMOX, "pve1", "ansible_host", "192.0.2.11")];
    if params.needs_controllers {
        needed.push((CONTROLLERS, "k3s-controller-1", "pct_id", "101"));
    }
    if params.needs_workers {
        needed.push((WORKERS, "k3s-worker-1", "pct_id", "111"));
    }
    let mut faults: Vec<String> = needed
        .into_iter()
        .filter(|(group, ..)| inventory.group(group).is_empty())
        .map(|(group, host, variable, value)| {
            let lines = snippet::group(inventory.form, group, host, variable, value);
            format!("{} {}", absent(params, group), snippet::write(&lines))
        })
        .collect();
    faults.extend(of_cluster(params));
    faults
}

fn absent(params: &Params, group: &str) -> String {
    let found = if params.inventory.groups.contains_key(group) {
        "has no host"
    } else {
        "is missing"
    };
    format!("The group {group} {found} in {}.", params.inventory.named())
}

/// The group of both, which an INI inventory forgets most easily.
fn of_cluster(params: &Params) -> Option<String> {
    let inventory = &params.inventory;
    let cluster = inventory.group(CLUSTER);
    let nodes = [inventory.group(CONTROLLERS), inventory.group(WORKERS)].concat();
    let missing: Vec<&str> = nodes
        .iter()
        .filter(|host| !cluster.contains(host))
        .map(String::as_str)
        .collect();
    if !cluster.is_empty() && missing.is_empty() {
        return None;
    }
    let found = if cluster.is_empty() {
        absent(params, CLUSTER)
    } else {
        format!(
            "The group {CLUSTER} lacks {} in {}.",
            missing.join(", "),
            inventory.named()
        )
    };
    let lines = snippet::children(inventory.form, CLUSTER, &[CONTROLLERS, WORKERS]);
    Some(format!(
        "{found} It has {CONTROLLERS} and {WORKERS} for its children. {}",
        snippet::write(&lines)
    ))
}

/// A node is a server or an agent, and never a Proxmox host.
fn of_membership(params: &Params) -> Vec<String> {
    let inventory = &params.inventory;
    let is_in = |group: &str, host: &String| inventory.group(group).contains(host);
    let of_host = |host: &String| {
        let found = match (
            is_in(CONTROLLERS, host),
            is_in(WORKERS, host),
            is_in(PROXMOX, host),
        ) {
            (_, _, true) => format!("is in {CLUSTER} and in {PROXMOX}: a node is not a Proxmox host"),
            (true, true, _) => format!("is in {CONTROLLERS} and in {WORKERS}: a node is one of them"),
            (false, false, _) => format!("is in {CLUSTER}, but neither in {CONTROLLERS} nor in {WORKERS}"),
            _ => return None,
        };
        Some(format!("{host} {found}. Put it into one group."))
    };
    inventory.group(CLUSTER).iter().filter_map(of_host).collect()
}

fn of_nodes(params: &Params) -> Vec<String> {
    params
        .inventory
        .nodes
        .iter()
        .flat_map(|node| {
            [
                pct_id(params, node),
                node_name(params, node),
                pve_host(params, node),
            ]
            .into_iter()
            .flatten()
        })
        .collect()
}

fn pct_id(params: &Params, node: &Node) -> Option<String> {
    if let Some(fault) = unreadable(node, "pct_id") {
        return Some(fault);
    }
    let found = match &node.pct_id {
        Value::Null => "has no pct_id".to_owned(),
        value if id_of(value).is_some_and(|id| id >= FIRST_ID) => return None,
        value => format!(
            "has the pct_id {value}, which is not a container's id: those are numbers from {FIRST_ID} on"
        ),
    };
    let example = if params.inventory.group(CONTROLLERS).contains(&node.host) {
        "101"
    } else {
        "111"
    };
    Some(advised(
        params,
        node,
        &found,
        "pct_id",
        example,
        "`pct list` on its Proxmox host shows the id",
    ))
}

fn node_name(params: &Params, node: &Node) -> Option<String> {
    if let Some(fault) = unreadable(node, "node_name") {
        return Some(fault);
    }
    let name = name_of(node)?;
    if is_dns_name(&name) {
        return None;
    }
    let found = format!(
        "has the node_name {name:?}, and no Kubernetes node can have that name: small letters, digits, - and . only"
    );
    Some(advised(
        params,
        node,
        &found,
        "node_name",
        &name.to_lowercase().replace('_', "-"),
        "`kubectl get nodes` shows the name",
    ))
}

fn pve_host(params: &Params, node: &Node) -> Option<String> {
    if let Some(fault) = unreadable(node, "pve_host") {
        return Some(fault);
    }
    let hosts = params.inventory.group(PROXMOX);
    let host = match &node.pve_host {
        // The first Proxmox host, where there is one.
        Value::Null => return None,
        Value::String(host) => host.clone(),
        other => other.to_string(),
    };
    if hosts.is_empty() || hosts.contains(&host) {
        return None;
    }
    let found = format!(
        "has the pve_host {host}, which is not in the group {PROXMOX} ({})",
        hosts.join(", ")
    );
    let example = hosts.first().map_or("pve1", String::as_str);
    Some(advised(
        params,
        node,
        &found,
        "pve_host",
        example,
        "it is the name of the Proxmox host here, not its address",
    ))
}

fn unreadable(node: &Node, variable: &str) -> Option<String> {
    let reason = node.unreadable.get(variable)?;
    Some(format!(
        "{}: {variable} cannot be worked out: {reason}",
        node.host
    ))
}

fn advised(params: &Params, node: &Node, found: &str, variable: &str, value: &str, hint: &str) -> String {
    let lines = snippet::host_variable(params.inventory.form, &node.host, variable, value);
    let write = snippet::write(&lines);
    format!("{} {found} ({hint}). {write}", node.host)
}

/// Ids of different Proxmox hosts may be the same: not all are members of one Proxmox cluster.
fn of_doubles(params: &Params) -> Vec<String> {
    let first = params.inventory.group(PROXMOX).first();
    let host_of = |node: &Node| match &node.pve_host {
        Value::String(host) => host.clone(),
        _ => first.cloned().unwrap_or_default(),
    };
    let ids = params.inventory.nodes.iter().filter_map(|node| {
        let id = id_of(&node.pct_id)?;
        Some((
            format!("the pct_id {id} on {}", host_of(node)),
            node.host.as_str(),
        ))
    });
    let names = params.inventory.nodes.iter().filter_map(|node| {
        let name = name_of(node)?;
        Some((format!("the node_name {name}"), node.host.as_str()))
    });
    let mut by_value: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (value, host) in ids.chain(names) {
        by_value.entry(value).or_default().push(host);
    }
    by_value
        .iter()
        .filter(|(_, hosts)| hosts.len() > 1)
        .map(|(value, hosts)| {
            format!(
                "{} have {value}: each node has its own. Correct all but one of them.",
                hosts.join(" and ")
            )
        })
        .collect()
}

/// A number, or a text that is one: `-e` and INI files have texts.
fn id_of(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What the node is called in the cluster: by default as in the inventory.
pub(crate) fn name_of(node: &Node) -> Option<String> {
    match &node.name {
        Value::Null => Some(node.host.clone()),
        Value::String(name) => Some(name.clone()),
        other => Some(other.to_string()),
    }
    .filter(|_| !node.unreadable.contains_key("node_name"))
}

fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        is_end(label.chars().next())
            && is_end(label.chars().last())
            && label
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    name.len() <= LONGEST_NAME && name.split('.').all(is_label)
}
