//! What must be settled first, of all nodes at once: an operator who fixes one thing at a time and is shown the
//! next one after each run is not helped.

use super::{Turn, batches, limit};
use crate::node::Node;
use crate::params::Params;
use answers::Asked;
use answers::health::{Kind, Reason, Severity, Verdict};
use cluster::Pdb;
use per_node::Refusal;
use std::collections::BTreeMap;

pub(crate) fn all(params: &Params, turns: &[Turn]) -> Vec<Refusal> {
    let mut refusals = mapping(params);
    let turn_of: BTreeMap<&str, &Turn> = turns.iter().map(|turn| (turn.host.as_str(), turn)).collect();
    for node in params.nodes.iter().filter(|node| limit::includes(params, node)) {
        refusals.extend(of_the_node(node, turn_of.get(node.host.as_str()).copied()));
    }
    refusals.extend(limit::refusals(params, turns));
    refusals.extend(unknown_in_skip(params));
    refusals.extend(without_budgets(params, turns));
    if let Some(refused) = no_api(params, turns) {
        refusals.push(refused);
    } else {
        refusals.extend(down(params, turns));
        refusals.extend(not_ready(params, turns));
    }
    refusals
}

/// Where budgets are not asked, nothing keeps two drains from deleting all pods of a workload.
fn without_budgets(params: &Params, turns: &[Turn]) -> Option<Refusal> {
    let at_once = batches::at_once(params, turns);
    let pdb = match params.pdb {
        Pdb::Respect => return None,
        Pdb::Bypass => "bypass",
        Pdb::RespectThenBypass => "respect_then_bypass",
    };
    (at_once > 1).then(|| Refusal {
        next: Some("-e k3s_drain_pdb=respect, or -e k3s_upgrade_workers_at_once=1".to_owned()),
        ..Refusal::new(
            "the run",
            "workers_at_once",
            format!(
                "k3s_upgrade_workers_at_once allows {at_once} workers at once, and k3s_drain_pdb is {pdb} (bypass is its \
                 default, by k3s_drain_disable_eviction): no budget would keep their drains from deleting every pod of a workload"
            ),
        )
    })
}

/// A server that is down is one that etcd's quorum lacks already: no other one may be restarted, and there is no
/// reason to begin with the workers. One that an interrupted run of ours left is for this run to fix. Where there is nothing to do,
/// only a server that was left out knowingly may be down: nobody can say that the others run the target.
fn down(params: &Params, turns: &[Turn]) -> Vec<Refusal> {
    let is_down = |node: &&Node| {
        let looked_at = node.version.task.was_run() && node.version.task.fault().is_none();
        let counts = !turns.is_empty() || limit::includes(params, node);
        counts && looked_at && is_silent(node) && node.install.record.is_none()
    };
    let servers = params.nodes.iter().filter(|node| node.is_server());
    let refusal = |node: &Node| Refusal {
        next: Some("read `journalctl -u k3s` in the container, and start k3s there".to_owned()),
        ..Refusal::new(
            &node.host,
            "server_down",
            format!(
                "its k3s does not answer: {}",
                node.version
                    .running_reason
                    .as_deref()
                    .unwrap_or("it is not ready")
            ),
        )
    };
    servers.filter(is_down).map(refusal).collect()
}

/// A node that was not Ready before may not be Ready after an upgrade: its pods would not end, and the run would wait for both until
/// its limits, with the other nodes still to come. One that an interrupted run of ours left is for this run to fix.
fn not_ready(params: &Params, turns: &[Turn]) -> Vec<Refusal> {
    let verdicts = &params.health.verdicts;
    let is_not_ready = |name: &&String| {
        verdicts.iter().any(|Verdict { identity, severity }| {
            (identity.kind, identity.reason, *severity) == (Kind::Node, Reason::NotReady, Severity::Error)
                && identity.object == **name
        })
    };
    let is_affected = |node: &&Node| {
        let has_turn = turns.iter().any(|turn| turn.install && turn.host == node.host);
        let is_down = node.is_server() && is_silent(node);
        has_turn && !is_down && node.install.record.is_none()
    };
    let refusal = |node: &Node| {
        let name = node.name.as_ref().filter(is_not_ready)?;
        Some(Refusal {
            lifted_by: Some(variable_for("allow_not_ready: true")),
            next: Some(format!(
                "read `kubectl describe node {name}` and, in its container, `systemctl status 'k3s*'`; repair it, or leave it out \
                 with its reason in k3s_skip"
            )),
            ..Refusal::new(&node.host, "not_ready", format!("its Node {name} is NotReady"))
        })
    };
    let affected = params.nodes.iter().filter(is_affected);
    let affected = affected.filter(|_| !params.allow_not_ready);
    affected.filter_map(refusal).collect()
}

/// A misspelt name would have its node upgraded.
fn unknown_in_skip(params: &Params) -> Option<Refusal> {
    let is_unknown = |host: &&String| !params.nodes.iter().any(|node| node.host == **host);
    let unknown: Vec<&str> = params
        .skip
        .keys()
        .filter(is_unknown)
        .map(String::as_str)
        .collect();
    let evidence = format!("k3s_skip names {}, no node of k3s_cluster", unknown.join(", "));
    (!unknown.is_empty()).then(|| Refusal::new("the run", "skip", evidence))
}

/// What the inventory says of a node must be possible, and of each node something else.
fn mapping(params: &Params) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for node in &params.nodes {
        if node.role.is_none() {
            refusals.push(Refusal::new(
                &node.host,
                "mapping",
                "it is neither in k3s_controllers nor in k3s_workers",
            ));
        }
        let hosts = params.pve_hosts.as_deref().unwrap_or_default();
        if let Some(host) = node
            .pve_host
            .as_ref()
            .filter(|host| !hosts.is_empty() && !hosts.contains(host))
        {
            let known = hosts.join(", ");
            refusals.push(Refusal::new(
                &node.host,
                "mapping",
                format!("its pve_host {host} is not in the group pve ({known})"),
            ));
        }
    }
    // A container's id is unique in a Proxmox cluster; on hosts of their own the same number may occur.
    let location = |node: &Node| {
        Some(format!(
            "pct_id {} on {}",
            node.vmid_text()?,
            node.pve_host.as_deref()?
        ))
    };
    let name = |node: &Node| node.name.as_ref().map(|name| format!("node_name {name}"));
    refusals.extend(shared(params, location));
    refusals.extend(shared(params, name));
    refusals
}

fn shared(params: &Params, key: impl Fn(&Node) -> Option<String>) -> Vec<Refusal> {
    let mut seen: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for node in &params.nodes {
        if let Some(key) = key(node) {
            seen.entry(key).or_default().push(&node.host);
        }
    }
    let twice = seen.into_iter().filter(|(_, hosts)| hosts.len() > 1);
    twice
        .map(|(key, hosts)| Refusal::new(hosts.join(", "), "mapping", format!("they have the same {key}")))
        .collect()
}

fn of_the_node(node: &Node, turn: Option<&Turn>) -> Vec<Refusal> {
    if node.role.is_none() || node.is_newer() {
        return Vec::new();
    }
    let version = &node.version;
    let mut refusals: Vec<Refusal> = version
        .refusals
        .iter()
        .map(|refused| Refusal {
            lifted_by: Some(variable_for(&refused.lifted_by)),
            next: Some(refused.next.clone()),
            ..Refusal::new(&node.host, &refused.rule, refused.evidence.clone())
        })
        .collect();
    // A node that could not be looked at fails everywhere for the same reason: once is enough.
    if refusals.is_empty()
        && let Some(fault) = version.task.fault()
    {
        return vec![Refusal::new(&node.host, "look", fault)];
    }
    if refusals.is_empty() && !version.task.was_run() {
        return vec![Refusal::new(&node.host, "look", "it was not checked")];
    }
    if version.agentless {
        refusals.push(without_a_kubelet(node));
        return refusals;
    }
    // What its version forbids, the installation forbids too, in other words.
    if refusals.is_empty()
        && let Some(fault) = node.install.task.fault()
    {
        refusals.push(liftable(&node.host, "install", fault));
    }
    if turn.is_none_or(|turn| turn.drain) {
        refusals.extend(
            node.drain
                .task
                .fault()
                .map(|why| liftable(&node.host, "drain", why)),
        );
    }
    refusals
}

fn without_a_kubelet(node: &Node) -> Refusal {
    let evidence = "it is a server without a kubelet (disable-agent), so the cluster has no Node to drain and to see ready";
    let next = format!(
        "upgrade it by hand before the workers, and leave it out here: -e '{{\"k3s_skip\": {{\"{}\": \"has no kubelet\"}}}}'",
        node.host
    );
    Refusal {
        next: Some(next),
        ..Refusal::new(&node.host, "agentless", evidence)
    }
}

/// What other modules refuse names their own options; who runs a playbook sets its variables.
const VARIABLES: [(&str, &str); 4] = [
    ("force: true", "-e k3s_drain_force=true"),
    (
        "delete_emptydir_data: true",
        "-e k3s_drain_delete_emptydir_data=true",
    ),
    ("local_volumes: wait", "-e k3s_drain_local_volumes=wait"),
    ("min_free_mb", "-e k3s_min_free_mb=…"),
];

fn liftable(host: &str, rule: &str, fault: String) -> Refusal {
    let variables = VARIABLES
        .iter()
        .filter(|(option, _)| fault.contains(option))
        .map(|(_, variable)| *variable);
    let variables = variables.collect::<Vec<_>>().join(" ");
    Refusal {
        lifted_by: Some(variables).filter(|all| !all.is_empty()),
        ..Refusal::new(host, rule, fault)
    }
}

/// `allow_known_bad: [cgroup_v1]` is `-e k3s_allow_known_bad=cgroup_v1` to a playbook.
fn variable_for(option: &str) -> String {
    let (name, value) = option.split_once(": ").unwrap_or((option, "true"));
    format!("-e k3s_{name}={}", value.trim_matches(['[', ']']))
}

/// Whether its API returns no version. A server without a kubelet has none to return.
fn is_silent(server: &Node) -> bool {
    server.version.running.is_none() && !server.version.agentless
}

/// Without an API nothing can be drained or proven, and where nothing is to be done nobody can say that it was done.
fn no_api(params: &Params, turns: &[Turn]) -> Option<Refusal> {
    let servers: Vec<&Node> = params.nodes.iter().filter(|node| node.is_server()).collect();
    let Some(first) = servers.first() else {
        return Some(Refusal::new(
            "the run",
            "api",
            "there is no controller among the nodes (group k3s_controllers)",
        ));
    };
    let asked_in_vain = params.asked.iter().any(Asked::is_unready);
    let looked_at = asked_in_vain || servers.iter().any(|server| server.version.task.fault().is_none());
    let silent = looked_at && servers.iter().all(|server| is_silent(server));
    let unready = if turns.is_empty() {
        asked_in_vain && params.asked.iter().all(|asked| asked.rc != Some(0))
    } else {
        looked_at && params.nodes.iter().all(|node| !node.drain.task.was_run())
    };
    if !(silent || unready) {
        return None;
    }
    let said = first
        .version
        .running_reason
        .clone()
        .or_else(|| unready_because(params))
        .unwrap_or_else(|| "it is not ready".to_owned());
    let names = servers
        .iter()
        .map(|server| server.host.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    Some(Refusal {
        // At its start k3s renews the certificates that expire, the administrator's among them.
        next: Some("read `journalctl -u k3s` in the container, and start or restart k3s there".to_owned()),
        ..Refusal::new(names, "api", format!("no controller's API answers: {said}"))
    })
}

/// What the first controller that is not ready said. A kubelet may speak to its API where an administrator cannot, for example
/// because only the administrator's certificate has expired.
fn unready_because(params: &Params) -> Option<String> {
    let mut said = params
        .asked
        .iter()
        .filter(|asked| asked.rc != Some(0))
        .filter_map(|asked| Some(format!("{} says {}", asked.item, asked.reason()?)));
    said.next()
}
