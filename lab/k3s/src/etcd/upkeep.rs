//! What a server does about etcd as it runs: learners become voters, the Node says what its member is, and a
//! deleted Node takes its member along.

use super::own_client;
use crate::clock::{self, paced};
use crate::cluster::{Cluster, Part};
use crate::config::Config;
use crate::controllers::leader::Leader;
use crate::controllers::scheduler::set_condition;
use crate::json::{condition, is_terminating, items, name, set};
use crate::kinds;
use crate::log;
use anyhow::Result;
use etcd_api::{Client, Member};
use serde_json::{Value, json};
use std::time::Duration;

const PROMOTE_SECONDS: f64 = 15.0;
const UPKEEP_SECONDS: f64 = 5.0;
/// At any pace: each look is a new connection.
const LEAST: Duration = Duration::from_secs(1);
const ADDRESS: &str = "etcd.k3s.cattle.io/node-address";
const NAME: &str = "etcd.k3s.cattle.io/node-name";
const REMOVE: &str = "etcd.k3s.cattle.io/remove";
const REMOVED: &str = "etcd.k3s.cattle.io/removed-node-name";
const FINALIZER: &str = "wrangler.cattle.io/managed-etcd-controller";

/// Only etcd's leader has the progress of a learner.
pub async fn promote(config: Config) {
    loop {
        if let Err(error) = promote_once(&config).await {
            log::warn(&format!("Looking for learners: {error:#}"));
        }
        tokio::time::sleep(paced(PROMOTE_SECONDS).max(LEAST)).await;
    }
}

async fn promote_once(config: &Config) -> Result<()> {
    let etcd = own_client(&config.server_dir())?;
    let status = etcd.status().await?;
    if status.leader != status.member_id {
        return Ok(());
    }
    for member in etcd.members().await?.iter().filter(|member| member.is_learner) {
        match etcd.promote(member.id).await {
            Ok(_) => log::info(&format!("Promoted learner {}", member.name)),
            Err(error) => log::info(&format!("Waiting to promote learner {}: {error}", member.name)),
        }
    }
    Ok(())
}

pub async fn run(cluster: Cluster, config: Config, leader: Leader) {
    loop {
        if let Err(error) = look(&cluster, &config, &leader).await {
            log::warn(&format!("Looking at etcd's members: {error:#}"));
        }
        tokio::time::sleep(paced(UPKEEP_SECONDS).max(LEAST)).await;
    }
}

async fn look(cluster: &Cluster, config: &Config, leader: &Leader) -> Result<()> {
    let etcd = own_client(&config.server_dir())?;
    let members = etcd.members().await?;
    let own = std::fs::read_to_string(super::folder(config).join("name")).unwrap_or_default();
    if let Some(member) = members.iter().find(|member| member.name == own) {
        describe(cluster, config, member).await?;
    }
    if leader.leads() {
        remove_unwanted(cluster, &etcd, &members).await?;
    }
    Ok(())
}

/// The own Node: annotations, finalizer, and the condition that says whether the member votes.
async fn describe(cluster: &Cluster, config: &Config, member: &Member) -> Result<()> {
    let nodes = kinds::of("nodes");
    let Some(node) = cluster.get(&nodes, "", &config.node_name) else {
        return Ok(());
    };
    if is_terminating(&node) || !text_of(&node, REMOVED).is_empty() {
        return Ok(());
    }
    let described = |node: &Value| {
        let mut new = node.clone();
        set(
            &mut new,
            &["metadata", "annotations", ADDRESS],
            json!(config.node_ip),
        );
        set(&mut new, &["metadata", "annotations", NAME], json!(member.name));
        if !items(node, "/metadata/finalizers").contains(&json!(FINALIZER)) {
            let finalizers = [&[json!(FINALIZER)], items(node, "/metadata/finalizers")].concat();
            set(&mut new, &["metadata", "finalizers"], json!(finalizers));
        }
        let voter = if member.is_learner { "False" } else { "True" };
        if condition(node, "EtcdIsVoter") != voter {
            set_condition(&mut new, voter_condition(voter));
        }
        Ok((new != *node).then_some(new))
    };
    cluster
        .modify(&nodes, ("", &config.node_name), Part::SpecAndStatus, described)
        .await
        .map_err(refused)?;
    Ok(())
}

fn voter_condition(voter: &str) -> Value {
    let (reason, message) = match voter {
        "True" => ("MemberNotLearner", "Node is a voting member of the etcd cluster"),
        _ => (
            "MemberIsLearner",
            "Node has not been promoted to voting member of the etcd cluster",
        ),
    };
    let now = clock::seconds();
    json!({
        "type": "EtcdIsVoter", "status": voter, "reason": reason, "message": message,
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    })
}

fn text_of<'a>(node: &'a Value, annotation: &str) -> &'a str {
    node["metadata"]["annotations"][annotation]
        .as_str()
        .unwrap_or_default()
}

fn refused(refusal: crate::api::status::Refusal) -> anyhow::Error {
    anyhow::anyhow!("{}", refusal.message())
}

/// Members whose Node is being deleted, or is annotated for it.
async fn remove_unwanted(cluster: &Cluster, etcd: &Client, members: &[Member]) -> Result<()> {
    let nodes = cluster.all("nodes");
    let held = |node: &Value| items(node, "/metadata/finalizers").contains(&json!(FINALIZER));
    for node in nodes.iter().filter(|node| held(node)) {
        let annotated = text_of(node, REMOVE) == "true" && text_of(node, REMOVED).is_empty();
        if !is_terminating(node) && !annotated {
            continue;
        }
        let member = members
            .iter()
            .find(|member| member.name == text_of(node, NAME) && !member.name.is_empty());
        if let Some(member) = member {
            etcd.remove(member.id).await?;
            log::info(&format!(
                "Removed member {} of node {} from etcd",
                member.name,
                name(node)
            ));
        }
        release(cluster, node).await?;
    }
    Ok(())
}

async fn release(cluster: &Cluster, node: &Value) -> Result<()> {
    let released = |node: &Value| {
        let mut new = node.clone();
        let kept: Vec<Value> = items(node, "/metadata/finalizers")
            .iter()
            .filter(|f| **f != json!(FINALIZER))
            .cloned()
            .collect();
        set(&mut new, &["metadata", "finalizers"], json!(kept));
        set(
            &mut new,
            &["metadata", "annotations", REMOVED],
            json!(text_of(node, NAME)),
        );
        for annotation in [NAME, ADDRESS, REMOVE] {
            crate::json::remove(&mut new, &["metadata", "annotations", annotation]);
        }
        Ok(Some(new))
    };
    match cluster
        .modify(
            &kinds::of("nodes"),
            ("", name(node)),
            Part::SpecAndStatus,
            released,
        )
        .await
    {
        Err(refusal) if refusal.is_missing() => Ok(()),
        other => other.map(drop).map_err(refused),
    }
}
