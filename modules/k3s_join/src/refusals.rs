//! Why a node must not join, each with its evidence and what to do about it. Pure.

use crate::former::{is_foreign, stale};
use crate::node::{Node, Reach, host_of};
use crate::params::Joining;
use crate::server::{Datastore, password};
use ansible_module::Refusal;
use k3s_node::Role;
use k3s_types::K3sVersion;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Certificates that a server has just made are not valid yet for a clock that is behind, and k3s takes files that are
/// newer than the datastore for a danger to it.
const SKEW: u64 = 30;

pub(crate) fn all(role: Role, joining: &Joining, node: &Node) -> Vec<Refusal> {
    if joining.server.url.is_empty() || joining.server.ca.trim().is_empty() {
        let advice = "run state=read on a live server, and give what it has answered as server";
        let evidence = "server has no url or no ca";
        return vec![Refusal::new("server", evidence, advice)];
    }
    let checks = [
        systemd(node),
        other_role(role, node),
        unit(node),
        config(node),
        name(joining, node),
        datastore(role, joining, node),
        newer(joining, node),
        token(joining),
        other_token(joining, node),
        foreign(joining, node),
        healthy(role, joining, node),
        unreachable(joining, node),
        clock(node),
    ];
    let settings = if role == Role::Server {
        settings(joining, node)
    } else {
        Vec::new()
    };
    checks.into_iter().flatten().chain(settings).collect()
}

fn systemd(node: &Node) -> Option<Refusal> {
    let advice = "k3s runs under systemd here; start the container with it";
    (!node.systemd).then(|| Refusal::new("no_systemd", "systemd is not the init system there", advice))
}

fn other_role(role: Role, node: &Node) -> Option<Refusal> {
    let is = node.role()?;
    (is != role).then(|| {
        let advice =
            "check pct_id and the group in the inventory; to make it another node, uninstall k3s first";
        Refusal::new(
            "role",
            format!("a k3s {is} is installed there, and a {role} is to join"),
            advice,
        )
    })
}

fn unit(node: &Node) -> Option<Refusal> {
    if let Some(name) = node.units.more.first() {
        let evidence = format!("the unit {} starts a k3s too", k3s_node::unit::path(name));
        let advice = "a machine is one node: stop and remove the unit that is not to be, or let its ExecStart run k3s itself where a shell does";
        return Some(Refusal::new("other_unit", evidence, advice));
    }
    let (role, why) = node.setup.as_ref().err()?;
    let evidence = format!("the unit {} cannot be read: {why}", node.units[role].name);
    Some(Refusal::new(
        "unit",
        evidence,
        "correct it, or uninstall k3s there",
    ))
}

fn config(node: &Node) -> Option<Refusal> {
    let evidence = format!("{} is not a YAML dictionary", node.config.fault.as_ref()?);
    let advice = "k3s would not start with it: correct it first";
    Some(Refusal::new("config", evidence, advice))
}

/// A node without a name is named by our file.
fn name(joining: &Joining, node: &Node) -> Option<Refusal> {
    (node.named && node.name != joining.node_name).then(|| {
        let evidence = format!(
            "it would register as {}, and {} is expected",
            node.name, joining.node_name
        );
        Refusal::new(
            "node_name",
            evidence,
            "check pct_id and node_name in the inventory, or node-name there",
        )
    })
}

fn datastore(role: Role, joining: &Joining, node: &Node) -> Option<Refusal> {
    if role == Role::Agent {
        return None;
    }
    if let Some(own) = node.given(&["datastore-endpoint"], "K3S_DATASTORE_ENDPOINT") {
        let evidence = format!("{} configures a datastore of its own for it", own.location);
        let advice = "a server that joins etcd has none: take that setting away";
        return Some(Refusal::new("external", evidence, advice));
    }
    let what = match joining.server.datastore {
        Datastore::Etcd => return None,
        Datastore::Sqlite => "SQLite, which no other server can join",
        Datastore::External => "neither etcd nor SQLite of its own",
    };
    let evidence = format!("the server {} has {what}", joining.server.url);
    let advice = "ansible-playbook k3s/playbook-bootstrap-k3s-ha.yaml moves SQLite to embedded etcd";
    Some(Refusal::new("no_etcd", evidence, advice))
}

/// A kubelet may not be newer than its API server, and a datastore is never written by two versions for long.
fn newer(joining: &Joining, node: &Node) -> Option<Refusal> {
    let there: K3sVersion = joining.server.version.parse().ok()?;
    let installed = node.version.as_ref().filter(|version| **version > there);
    let version = installed
        .or(Some(&joining.version))
        .filter(|version| **version > there)?;
    let evidence = format!("{version} is newer than the server's {there}");
    let advice = "join at the server's version, and upgrade all nodes then; a newer k3s that is installed has to be uninstalled";
    Some(Refusal::new("newer", evidence, advice))
}

/// A full token holds the hash of the authority, as k3s checks it. A bundle of several is hashed otherwise.
fn token(joining: &Joining) -> Option<Refusal> {
    let full = joining.token.expose().trim().strip_prefix("K10")?;
    let (hash, _) = full.split_once("::")?;
    if joining.server.ca.matches("BEGIN CERTIFICATE").count() != 1 {
        return None;
    }
    let mut found = String::new();
    for byte in Sha256::digest(&joining.server.ca) {
        let _ = write!(found, "{byte:02x}");
    }
    (hash != found).then(|| {
        let evidence =
            format!("the token is for an authority with the hash {hash}, and the cluster's has {found}");
        let advice = "take the token from server/token of a server of this cluster";
        Refusal::new("token", evidence, advice)
    })
}

/// An argument stands above our file.
fn other_token(joining: &Joining, node: &Node) -> Option<Refusal> {
    let own = node.argued(&["token", "t"])?;
    (password(&own) != password(joining.token.expose())).then(|| {
        let advice =
            "take --token out of its unit; the right one is written into a file that only root reads";
        Refusal::new(
            "other_token",
            "its unit has a --token of another cluster, or an old one",
            advice,
        )
    })
}

fn foreign(joining: &Joining, node: &Node) -> Option<Refusal> {
    (is_foreign(joining, node) && !joining.discard).then(|| {
        let evidence = format!("{} holds the data of another cluster, or of one of its own", node.data_dir);
        let advice = "check pct_id; where that cluster is not wanted any more, run again with -e k3s_join_discard=true: its data is set aside, not deleted";
        Refusal::new("other_cluster", evidence, advice)
    })
}

fn healthy(role: Role, joining: &Joining, node: &Node) -> Option<Refusal> {
    let stale = stale(role, joining, node);
    let alive = stale.iter().find(|member| member.healthy)?;
    let evidence = format!(
        "the member {} of etcd has this node's name or address, lives, and is not of this container",
        alive.name.as_deref().unwrap_or(&alive.id)
    );
    Some(Refusal::new(
        "duplicate",
        evidence,
        "two nodes cannot have one name or address: check the inventory",
    ))
}

fn unreachable(joining: &Joining, node: &Node) -> Option<Refusal> {
    let url = node.url(joining);
    let (rule, evidence, advice) = match &node.reach {
        Reach::Answers => return None,
        Reach::NoProgram => (
            "no_program",
            "there is neither curl nor wget, and the install script needs one of them".to_owned(),
            "install curl there".to_owned(),
        ),
        Reach::NotThere(why) => (
            "unreachable",
            format!("{url} was not reached from there: {why}"),
            "see that it is the right address, and that nothing between closes the port; an argument --server of the unit stands above all"
                .to_owned(),
        ),
        Reach::Untrusted { of_cluster: true } => {
            let host = host_of(&url);
            (
                "not_in_certificate",
                format!("the certificate at {url} is not valid for that name or address, or not now"),
                format!("add `tls-san: [{host:?}]` to /etc/rancher/k3s/config.yaml of each server and restart it, and see that the clocks agree"),
            )
        }
        Reach::Untrusted { of_cluster: false } => (
            "not_the_cluster",
            format!("who answers at {url} is not of this cluster"),
            "check the address; k3s_api_url is for this cluster only".to_owned(),
        ),
    };
    Some(Refusal::new(rule, evidence, advice))
}

fn clock(node: &Node) -> Option<Refusal> {
    let ahead = node.ahead.filter(|ahead| ahead.unsigned_abs() > SKEW)?;
    let evidence = format!("the clock there is {ahead} s ahead of the server's");
    let advice =
        "a container has its Proxmox host's clock: let both hosts follow the same time servers (chrony)";
    Some(Refusal::new("clock", evidence, advice))
}

fn settings(joining: &Joining, node: &Node) -> Vec<Refusal> {
    let differing = node.said().differing(&joining.server.settings);
    let refusal = |(name, configured, other): (String, k3s_node::shared::Configured, Vec<String>)| {
        let evidence = format!(
            "{name} is {:?} there ({}), and {:?} on the server",
            configured.values.join(","),
            configured.location,
            other.join(",")
        );
        Refusal::new(
            "setting",
            evidence,
            "it must be the same on all servers: take it away there, and the server's is written",
        )
    };
    differing.into_iter().map(refusal).collect()
}
