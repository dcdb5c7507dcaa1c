//! `--limit`: the nodes that it leaves, where the playbook can work on some of them only.

use crate::params::{CLUSTER, Limit, Params};

pub(crate) fn faults(params: &Params) -> Vec<String> {
    let Some(limit) = &params.inventory.limit else {
        return Vec::new();
    };
    match params.limit {
        Limit::Refused => vec![refused(params, limit)],
        Limit::Nodes if !leaves_a_node(params) => vec![format!(
            "--limit {limit} names no node of the group {CLUSTER} ({}). Name nodes, or groups of them.",
            params.inventory.group(CLUSTER).join(", ")
        )],
        Limit::Nodes => Vec::new(),
    }
}

fn refused(params: &Params, limit: &str) -> String {
    let reason = params
        .limit_reason
        .as_deref()
        .unwrap_or("it works on all nodes of the cluster");
    format!("--limit {limit} does not apply to this playbook: {reason}. Leave --limit out.")
}

fn leaves_a_node(params: &Params) -> bool {
    let nodes = params.inventory.group(CLUSTER);
    nodes
        .iter()
        .any(|node| params.inventory.limited_to.contains(node))
}
