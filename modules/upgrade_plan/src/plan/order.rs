//! Workers or controllers first. A kubelet may never be newer in minor than any API server; inside a minor the
//! operators' order, workers first, holds.

use crate::node::Node;
use crate::params::{Order, Params};
use k3s_types::K3sVersion;
use per_node::Refusal;

pub(crate) const WORKERS_FIRST: &str = "workers_first";
pub(crate) const SERVERS_FIRST: &str = "servers_first";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) order: &'static str,
    pub(crate) reason: String,
    pub(crate) refusal: Option<Refusal>,
}

pub(crate) fn choose(params: &Params) -> Chosen {
    let target = &params.target;
    let servers = || params.nodes.iter().filter(|node| node.is_server());
    let Some((host, oldest)) = oldest(servers()) else {
        return unforced(
            params,
            WORKERS_FIRST,
            "no controller's version is known".to_owned(),
        );
    };
    let (now, then) = (minor(oldest), minor(target));
    if target.minor_version() > oldest.minor_version() {
        let why = format!(
            "the minor changes, from {now} ({host}) to {then}, and a kubelet may not be newer than any API server"
        );
        return forced(params, SERVERS_FIRST, why);
    }
    // Down a minor (allowed by name only), it is the other way round.
    if let Some((host, newest)) =
        newest(servers()).filter(|(_, newest)| newest.minor_version() > target.minor_version())
    {
        let now = minor(newest);
        let why = format!(
            "the minor goes down, from {now} ({host}) to {then}, and a kubelet may not be newer than any API server"
        );
        return forced(params, WORKERS_FIRST, why);
    }
    unforced(
        params,
        WORKERS_FIRST,
        format!("the minor stays {then}, where either order is safe"),
    )
}

/// Only one order is safe.
fn forced(params: &Params, safe: &'static str, why: String) -> Chosen {
    let asked = asked(params.order).unwrap_or(safe);
    let refusal = (asked != safe).then(|| Refusal {
        next: Some(format!("-e k3s_upgrade_order=auto (or {safe})")),
        ..Refusal::new(
            "the run",
            "order",
            format!("{} was asked for, but {why}", words(asked)),
        )
    });
    Chosen {
        order: asked,
        reason: why,
        refusal,
    }
}

fn unforced(params: &Params, usual: &'static str, why: String) -> Chosen {
    match asked(params.order) {
        Some(order) => Chosen {
            order,
            reason: format!("as k3s_upgrade_order says; {why}"),
            refusal: None,
        },
        None => Chosen {
            order: usual,
            reason: why,
            refusal: None,
        },
    }
}

fn asked(order: Order) -> Option<&'static str> {
    match order {
        Order::Auto => None,
        Order::WorkersFirst => Some(WORKERS_FIRST),
        Order::ServersFirst => Some(SERVERS_FIRST),
    }
}

/// The order for people.
pub(crate) fn words(order: &str) -> &'static str {
    if order == SERVERS_FIRST {
        "controllers first"
    } else {
        "workers first"
    }
}

fn oldest<'a>(servers: impl Iterator<Item = &'a Node>) -> Option<(&'a str, &'a K3sVersion)> {
    versions(servers).min_by_key(|(_, version)| *version)
}

fn newest<'a>(servers: impl Iterator<Item = &'a Node>) -> Option<(&'a str, &'a K3sVersion)> {
    versions(servers).max_by_key(|(_, version)| *version)
}

fn versions<'a>(servers: impl Iterator<Item = &'a Node>) -> impl Iterator<Item = (&'a str, &'a K3sVersion)> {
    servers.filter_map(|node| Some((node.host.as_str(), node.version.oldest()?)))
}

fn minor(version: &K3sVersion) -> String {
    format!("v{}.{}", version.major, version.minor)
}
