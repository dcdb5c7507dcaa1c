//! Nodes: Ready, alive, without pressure, and whose cordon they have.

use super::{about, span};
use crate::state::Seen;
use crate::verdict::{Finding, Kind, Reason, Severity, Trouble};
use cluster::{Condition, CordonRecord, Node};
use std::time::SystemTime;

const PRESSURES: [(&str, Reason); 4] = [
    ("MemoryPressure", Reason::MemoryPressure),
    ("DiskPressure", Reason::DiskPressure),
    ("PIDPressure", Reason::PIDPressure),
    ("NetworkUnavailable", Reason::NetworkUnavailable),
];

pub(super) fn judge(seen: &Seen) -> Vec<Finding> {
    let of_node = |node: &Node| {
        let mut troubles: Vec<Trouble> = not_ready(seen, node)
            .or_else(|| stale(seen, node))
            .into_iter()
            .collect();
        troubles.extend(pressures(node));
        troubles.extend(cordon(node));
        troubles.extend(silent(seen, node));
        let findings = troubles.into_iter().map(|trouble| Finding {
            labels: node.labels.clone(),
            ..about(Kind::Node, "", &node.name, trouble)
        });
        findings.collect::<Vec<_>>()
    };
    seen.nodes.iter().flat_map(of_node).collect()
}

fn since(condition: &Condition) -> Option<SystemTime> {
    condition.last_transition_time.map(Into::into)
}

fn not_ready(seen: &Seen, node: &Node) -> Option<Trouble> {
    let Some(ready) = node.condition("Ready") else {
        return Some(Trouble::error(
            Reason::NotReady,
            "it has no Ready condition: its kubelet has never reported",
        ));
    };
    let Condition {
        status,
        reason,
        message,
        ..
    } = ready;
    let trouble = Trouble::error(
        Reason::NotReady,
        format!("Ready is {status} ({reason}): {message}"),
    )
    .since(since(ready));
    match status.as_str() {
        "True" => None,
        // Nobody has heard of it since its last sign of life, and only later it was called so.
        "Unknown" => Some(match renewed(seen, node) {
            Some(renewed) => trouble.began(renewed),
            None => trouble,
        }),
        _ => Some(trouble),
    }
}

fn renewed(seen: &Seen, node: &Node) -> Option<SystemTime> {
    seen.leases.get(&node.name)?.renewed.map(SystemTime::from)
}

/// A kubelet renews its Lease four times before that ends.
fn silent(seen: &Seen, node: &Node) -> Option<Trouble> {
    let renewed = renewed(seen, node)?;
    let age = seen.now.duration_since(renewed).unwrap_or_default();
    let late = seen.leases.get(&node.name)?.duration / 2;
    (age > late).then(|| Trouble::suspected(Reason::StaleHeartbeat).since(renewed))
}

/// A node that has died is called Ready for 40 seconds more, and its Lease shows it at once.
fn stale(seen: &Seen, node: &Node) -> Option<Trouble> {
    if seen.unread.contains_key("leases") {
        return None;
    }
    let Some(lease) = seen.leases.get(&node.name) else {
        return Some(Trouble::warning(
            Reason::StaleHeartbeat,
            "it has no Lease, so whether its kubelet lives is not known",
        ));
    };
    let (renewed, age) = (lease.renewed?, lease.silence(seen.now)?);
    (!lease.is_alive(seen.now)).then(|| {
        let message = format!(
            "it is called Ready, but its kubelet has not renewed its Lease for {}",
            span(age)
        );
        Trouble::error(Reason::StaleHeartbeat, message).since(SystemTime::from(renewed))
    })
}

/// A node that is not heard of says nothing about pressure either.
fn pressures(node: &Node) -> impl Iterator<Item = Trouble> {
    PRESSURES.iter().filter_map(|(kind, reason)| {
        let condition = node.condition(kind).filter(|condition| condition.is_true())?;
        Some(Trouble::error(*reason, condition.message.clone()).since(since(condition)))
    })
}

fn cordon(node: &Node) -> Option<Trouble> {
    if !node.unschedulable {
        return None;
    }
    Some(match &node.record {
        Some(CordonRecord { run, since, .. }) => Trouble::new(
            Reason::Cordoned,
            Severity::Info,
            format!("cordoned by the run {run} of this collection, since {since}"),
        ),
        None => Trouble::warning(Reason::Cordoned, "cordoned by an operator: no new pod comes here"),
    })
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
