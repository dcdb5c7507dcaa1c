//! What a new cluster has without being asked: namespaces, the API's own service, and the packaged components
//! that a drain meets.

mod components;
mod definitions;

pub(crate) use components::{install_job, of_chart};

use crate::api::status::Refusal;
use crate::cluster::{Cluster, DeleteOptions, Part};
use crate::config::Config;
use crate::json::{name, namespace, set, text};
use crate::kinds;
use crate::log;
use serde_json::{Value, json};

pub(crate) const SYSTEM: &str = "kube-system";

/// Makes what is missing. Components that are disabled are removed, as k3s does.
pub async fn install(cluster: &Cluster, config: &Config) -> Result<(), Refusal> {
    for space in ["default", SYSTEM, "kube-public", "kube-node-lease"] {
        ensure(cluster, "namespaces", json!({"metadata": {"name": space}})).await?;
    }
    announce(cluster, config).await?;
    for (component, objects) in components::all() {
        let disabled = config.disables(component);
        for (plural, object) in objects {
            if disabled {
                remove(cluster, plural, &object).await?;
            } else {
                ensure(cluster, plural, object).await?;
            }
        }
    }
    Ok(())
}

async fn ensure(cluster: &Cluster, plural: &str, object: Value) -> Result<(), Refusal> {
    let kind = kinds::of(plural);
    if cluster.get(&kind, namespace(&object), name(&object)).is_some() {
        return Ok(());
    }
    match cluster.create(&kind, object).await {
        // Another server was faster.
        Err(refusal) if refusal.is_conflict() || refusal.message().ends_with("already exists") => Ok(()),
        other => other.map(drop),
    }
}

async fn remove(cluster: &Cluster, plural: &str, object: &Value) -> Result<(), Refusal> {
    let kind = kinds::of(plural);
    let key = (namespace(object), name(object));
    if cluster.get(&kind, key.0, key.1).is_none() {
        return Ok(());
    }
    log::info(&format!("Removing disabled component {plural}/{}", key.1));
    match cluster.delete(&kind, key, &DeleteOptions::default()).await {
        Err(refusal) if refusal.is_missing() => Ok(()),
        other => other.map(drop),
    }
}

/// This server among the addresses of the API.
async fn announce(cluster: &Cluster, config: &Config) -> Result<(), Refusal> {
    let metadata = json!({"name": "kubernetes", "namespace": "default"});
    let service = json!({
        "metadata": metadata,
        "spec": {"clusterIP": "10.43.0.1", "ports": [{"name": "https", "port": 443, "targetPort": config.port}]},
    });
    ensure(cluster, "services", service).await?;
    ensure(cluster, "endpoints", json!({"metadata": metadata, "subsets": []})).await?;
    let own = config.node_ip.clone();
    let port = config.port;
    let joined = move |endpoints: &Value| {
        let subset = &endpoints["subsets"][0];
        let mut addresses: Vec<String> = crate::json::items(subset, "/addresses")
            .iter()
            .map(|a| text(a, "/ip").to_owned())
            .collect();
        if addresses.contains(&own) && subset["ports"][0]["port"] == json!(port) {
            return Ok(None);
        }
        addresses.push(own.clone());
        addresses.sort();
        addresses.dedup();
        let addresses: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
        let mut new = endpoints.clone();
        let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
        set(
            &mut new,
            &["subsets"],
            json!([{"addresses": addresses, "ports": ports}]),
        );
        Ok(Some(new))
    };
    cluster
        .modify(
            &kinds::of("endpoints"),
            ("default", "kubernetes"),
            Part::Main,
            joined,
        )
        .await
        .map(drop)
}
