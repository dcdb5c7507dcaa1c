//! Which of several servers runs the controllers: whoever holds the lease. A holder that cannot renew it ends its
//! process, as the real one does.

use crate::clock::{self, paced};
use crate::cluster::{Cluster, Part};
use crate::json::{set, text};
use crate::kinds;
use crate::log;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const SPACE: &str = "kube-system";
const LEASE: &str = "kube-controller-manager";
const RENEW_SECONDS: f64 = 2.0;
const RENEW_DEADLINE: f64 = 10.0;
const LEASE_SECONDS: f64 = 15.0;
/// A write that waits for an election of etcd must not keep us from the next try.
const TRY_SECONDS: f64 = 5.0;
/// Writes to etcd are not free, and several servers share the machine.
const LEAST_RENEWAL: Duration = Duration::from_secs(1);
const LEAST_TRY: Duration = Duration::from_secs(1);
/// At any pace more than an election of etcd takes, which is up to twice its timeout.
const LEAST_DEADLINE: Duration = Duration::from_secs(10);
const TIMED_OUT: &str = "timed out waiting for the condition";

#[derive(Clone)]
pub struct Leader {
    leads: Arc<AtomicBool>,
    identity: String,
}

impl Leader {
    pub fn new(node: &str) -> Self {
        Self {
            leads: Arc::default(),
            identity: node.to_owned(),
        }
    }

    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    /// Ends the process when the datastore has been silent for too long. In a real k3s each server leads something
    /// and ends by losing that; here every server does, whether it leads or not.
    pub async fn run(self, cluster: Cluster) {
        let mut answered = Instant::now();
        // Other holders are judged by when we saw them move, not by their clock.
        let mut seen = (String::new(), Instant::now());
        loop {
            let campaign = tokio::time::timeout(
                paced(TRY_SECONDS).max(LEAST_TRY),
                self.campaign(&cluster, &mut seen),
            );
            match campaign.await.unwrap_or_else(|_| Err(TIMED_OUT.to_owned())) {
                Ok(leads) => {
                    answered = Instant::now();
                    self.leads.store(leads, Ordering::Relaxed);
                }
                Err(error) if answered.elapsed() > paced(RENEW_DEADLINE).max(LEAST_DEADLINE) => {
                    log::fatal(&format!("leaderelection lost: {error}"));
                    std::process::exit(255);
                }
                Err(_) => {}
            }
            tokio::time::sleep(paced(RENEW_SECONDS).max(LEAST_RENEWAL)).await;
        }
    }

    async fn campaign(&self, cluster: &Cluster, seen: &mut (String, Instant)) -> Result<bool, String> {
        cluster.registry.sync().await.map_err(|error| error.to_string())?;
        let kind = kinds::of("leases");
        let lease = cluster.get(&kind, SPACE, LEASE);
        let Some(lease) = lease else {
            let new = json!({"metadata": {"name": LEASE, "namespace": SPACE}, "spec": self.spec()});
            return cluster
                .create(&kind, new)
                .await
                .map(|_| true)
                .map_err(|e| e.message().to_owned());
        };
        let stamp = format!(
            "{} {}",
            text(&lease, "/spec/holderIdentity"),
            text(&lease, "/spec/renewTime")
        );
        if stamp != seen.0 {
            *seen = (stamp, Instant::now());
        }
        let holder = text(&lease, "/spec/holderIdentity");
        let free = holder.is_empty()
            || holder == self.identity
            || seen.1.elapsed() > paced(LEASE_SECONDS).max(3 * LEAST_RENEWAL);
        if !free {
            return Ok(false);
        }
        let mut mine: Value = lease.as_ref().clone();
        set(&mut mine, &["spec"], self.spec());
        match cluster.replace(&kind, &lease, mine, Part::Main).await {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.is_conflict() => Ok(false),
            Err(refusal) => Err(refusal.message().to_owned()),
        }
    }

    fn spec(&self) -> Value {
        json!({"holderIdentity": self.identity, "leaseDurationSeconds": 15, "renewTime": clock::microseconds()})
    }

    /// A server that stops in order lets the others go on at once.
    pub async fn release(&self, cluster: &Cluster) {
        if !self.leads() {
            return;
        }
        let freed = |lease: &Value| {
            let mut freed = lease.clone();
            set(&mut freed, &["spec", "holderIdentity"], json!(""));
            Ok(Some(freed))
        };
        // It runs out by itself otherwise.
        let _ = cluster
            .modify(&kinds::of("leases"), (SPACE, LEASE), Part::Main, freed)
            .await;
    }
}
