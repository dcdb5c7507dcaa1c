//! A node's own agent: registers the node, renews its lease, and lets its pods live and die on time.
//!
//! It talks to the API like any client, with the node's certificate, through the agent's load balancer.
//! A pod's annotations set what it does wrong; `lab/k3s/README.md` lists them.

mod container;
mod life;
pub mod node;
mod picture;
mod pods;
mod shim;
mod status;
mod trouble;

use crate::client::Client;
use crate::clock::{self, paced};
use crate::config::Config;
use crate::json::text;
use crate::log;
use crate::phase::Phase;
use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::Instant;

pub const MERGE: &str = "application/strategic-merge-patch+json";
const JSON: &str = "application/json";

const LEASE_SECONDS: f64 = 10.0;
const HEARTBEAT_SECONDS: f64 = 300.0;
const RETRY_SECONDS: f64 = 2.0;

pub struct Kubelet {
    pub client: Client,
    pub config: Config,
    pub phase: Phase,
    /// Whether the datastore is this server's own etcd.
    pub has_etcd: bool,
    /// Recorded second of the start at which a new node first shows, not ready yet.
    pub registers_at: f64,
}

impl Kubelet {
    fn name(&self) -> &str {
        &self.config.node_name
    }

    fn path(&self) -> String {
        format!("/api/v1/nodes/{}", self.name())
    }

    fn lease_path(&self) -> String {
        format!(
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{}",
            self.name()
        )
    }

    /// Never ends while the process lives.
    pub async fn run(self: Arc<Self>) {
        self.phase.reach(self.registers_at).await;
        while let Err(error) = self.register().await {
            log::error(&format!("Unable to register node with API server: {error:#}"));
            tokio::time::sleep(paced(RETRY_SECONDS)).await;
        }
        self.phase.reach(self.phase.delays.kubelet).await;
        shim::ensure(&self.config);
        tokio::join!(self.beat(), pods::run(Arc::clone(&self)));
    }

    async fn register(&self) -> Result<()> {
        let known = self.client.get(&self.path()).await?;
        if known.status == 404 {
            let node = node::new(&self.config, self.has_etcd);
            let made = self
                .client
                .send(Method::POST, "/api/v1/nodes", Some((JSON, &node)))
                .await?;
            ensure!(made.is_ok(), "{}", text(&made.json(), "/message"));
            return Ok(());
        }
        ensure!(known.is_ok(), "{}", known.status_text());
        Ok(())
    }

    /// Lease and status.
    async fn beat(&self) {
        let mut posted: Option<Instant> = None;
        loop {
            let due = posted.is_none_or(|then| then.elapsed() > paced(HEARTBEAT_SECONDS));
            match self.beat_once(due).await {
                Ok(true) => posted = Some(Instant::now()),
                Ok(false) => {}
                Err(error) => log::error(&format!("Error updating node status, will retry: {error:#}")),
            }
            // A first beat that failed is repeated soon: until then the node is not what it says.
            let pause = if posted.is_some() {
                LEASE_SECONDS
            } else {
                RETRY_SECONDS
            };
            tokio::time::sleep(paced(pause)).await;
        }
    }

    /// Whether the status was posted.
    async fn beat_once(&self, due: bool) -> Result<bool> {
        let known = self.client.get(&self.path()).await?;
        // A node that was deleted does not come back by itself.
        if known.status == 404 && !due {
            return Ok(false);
        }
        ensure!(known.is_ok(), "{}", known.status_text());
        let node = known.json();
        let posts = due || node::is_behind(&node);
        if posts {
            self.post_status(&node).await?;
        }
        self.renew_lease(&node).await?;
        Ok(posts)
    }

    async fn post_status(&self, node: &Value) -> Result<()> {
        let metadata = json!({"metadata": node::metadata(&self.config, self.has_etcd)});
        let patched = self
            .client
            .send(Method::PATCH, &self.path(), Some((MERGE, &metadata)))
            .await?;
        ensure!(patched.is_ok(), "{}", text(&patched.json(), "/message"));
        let status = json!({"status": node::status(&self.config, node, true)});
        let path = format!("{}/status", self.path());
        let patched = self
            .client
            .send(Method::PATCH, &path, Some((MERGE, &status)))
            .await?;
        ensure!(patched.is_ok(), "{}", text(&patched.json(), "/message"));
        Ok(())
    }

    async fn renew_lease(&self, node: &Value) -> Result<()> {
        let spec = json!({
            "holderIdentity": self.name(), "leaseDurationSeconds": 40, "renewTime": clock::microseconds(),
        });
        let renewed = self
            .client
            .send(
                Method::PATCH,
                &self.lease_path(),
                Some((MERGE, &json!({"spec": spec}))),
            )
            .await?;
        if renewed.status == 404 {
            let owner = json!({
                "apiVersion": "v1", "kind": "Node", "name": self.name(), "uid": node["metadata"]["uid"],
            });
            let lease = json!({
                "metadata": {"name": self.name(), "namespace": "kube-node-lease", "ownerReferences": [owner]},
                "spec": spec,
            });
            let (folder, _) = self
                .lease_path()
                .rsplit_once('/')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .unwrap_or_default();
            let made = self
                .client
                .send(Method::POST, &folder, Some((JSON, &lease)))
                .await?;
            ensure!(made.is_ok(), "{}", text(&made.json(), "/message"));
            return Ok(());
        }
        ensure!(renewed.is_ok(), "{}", text(&renewed.json(), "/message"));
        Ok(())
    }
}
