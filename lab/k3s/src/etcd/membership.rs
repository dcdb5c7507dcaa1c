//! Joining and leaving: members by name and address.

use super::client;
use crate::clock::paced;
use crate::config::Config;
use crate::join::Door;
use crate::json::{flag, items, text};
use crate::log;
use anyhow::{Result, bail};
use etcd_api::Member;
use serde_json::{Value, json};

const RETRY_SECONDS: f64 = 5.0;
/// etcd says so while another member is joining; newer versions of k3s wait for it.
const BUSY: &[&str] = &["too many learner members in cluster", "unhealthy cluster"];

/// Registers this server as a learner and returns the others as `name=peer URL`.
pub async fn join(config: &Config, url: &str, secret: &str, name: &str) -> Result<Vec<String>> {
    let ca = crate::files::read(&config.server_dir().join("tls/server-ca.crt"))?;
    let door = Door::open(url, &format!("K10{}::server:{secret}", crate::pki::hash(&ca))).await?;
    loop {
        // Asked again each time: who joined in the meantime belongs to the cluster that this one starts with.
        let known = door.members().await?;
        let members = items(&known, "/members");
        match register(config, members, name).await {
            Ok(()) => return Ok(initial(members)),
            Err(refused) if !BUSY.iter().any(|busy| refused.to_string().contains(busy)) => {
                return Err(refused);
            }
            Err(_) => log::info("Waiting for other members to finish joining etcd cluster"),
        }
        tokio::time::sleep(paced(RETRY_SECONDS)).await;
    }
}

async fn register(config: &Config, members: &[Value], name: &str) -> Result<()> {
    let own = super::peer_url(config);
    let is_here = |member: &Value| items(member, "/peerURLs").contains(&json!(own));
    // Without a name it was added and never started: that was us, at an earlier try.
    if members
        .iter()
        .any(|member| is_here(member) && ["", name].contains(&text(member, "/name")))
    {
        return Ok(());
    }
    if members.iter().any(|member| text(member, "/name") == name) {
        bail!("etcd cluster join failed: duplicate node name found, please use a unique name for this node");
    }
    let mut refused = "no member has an address for clients".to_owned();
    // A learner answers nothing, and one that only starts keeps us waiting.
    let voters = members.iter().filter(|member| !flag(member, "/isLearner"));
    for endpoint in voters
        .flat_map(|member| items(member, "/clientURLs"))
        .filter_map(as_text)
    {
        match client(&config.server_dir(), &endpoint)?.add_learner(&own).await {
            Ok(_) => return Ok(()),
            Err(error) => refused = error.to_string(),
        }
        if BUSY.iter().any(|busy| refused.contains(busy)) {
            break;
        }
    }
    bail!("etcd cluster join failed: {refused}")
}

fn as_text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn initial(members: &[Value]) -> Vec<String> {
    let of = |m: &Value| {
        items(m, "/peerURLs")
            .iter()
            .filter_map(as_text)
            .map(|url| format!("{}={url}", text(m, "/name")))
            .collect::<Vec<_>>()
    };
    members
        .iter()
        .filter(|member| !text(member, "/name").is_empty())
        .flat_map(of)
        .collect()
}

/// `/db/info`
pub fn info(members: &[Member]) -> Value {
    let of = |member: &Member| {
        json!({
            "ID": member.id, "name": member.name, "peerURLs": member.peer_urls, "clientURLs": member.client_urls,
            "isLearner": member.is_learner,
        })
    };
    json!({"members": members.iter().map(of).collect::<Vec<_>>()})
}
