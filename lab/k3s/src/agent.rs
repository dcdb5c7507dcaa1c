//! `k3s agent`: finds its way in, then is a kubelet.

use crate::balancer::Balancer;
use crate::clock::paced;
use crate::config::Config;
use crate::faults;
use crate::join::{Door, fetch_identity, kubelet_client};
use crate::kubelet::Kubelet;
use crate::log;
use crate::notify;
use crate::phase::{AGENT_KUBELET, AGENT_READY, Delays, Phase};
use crate::version::Version;
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Recorded between two attempts to get in; not imitated faster, as the log shows it.
const RETRY: Duration = Duration::from_secs(5);
const LEARN_SECONDS: f64 = 20.0;
/// Recorded second of an agent's start at which a new node first shows.
const REGISTERS_AT: f64 = 2.0;

pub async fn run(config: Config) -> Result<()> {
    let Some(token) = config.token() else {
        bail!("--token is required")
    };
    let Some(url) = config.flags.value("server").map(str::to_owned) else {
        bail!("--server is required")
    };
    let version = Version::current();
    log::info(&format!("Starting k3s agent {version} ({})", version.commit()));
    let phase = Phase::begin(Delays {
        listen: 0.0,
        serve: 0.0,
        ready: AGENT_READY,
        kubelet: AGENT_KUBELET,
    });
    let file = config.agent_dir().join("etc/k3s-agent-load-balancer.json");
    let balancer = Arc::new(Balancer::new(&url, file)?);
    let listener = bind(&config).await?;
    let door_url = format!("https://{}", listener.local_addr()?);
    log::info(&format!(
        "Running load balancer {} -> [{}]",
        listener.local_addr()?,
        balancer.servers().join(" ")
    ));
    tokio::spawn(Arc::clone(&balancer).run(listener));
    enter(&config, &door_url, &token).await;
    tokio::spawn(learn(balancer, config.clone(), door_url.clone(), token));
    let client = kubelet_client(&config, &door_url)?;
    let kubelet = Arc::new(Kubelet {
        client,
        config,
        phase,
        has_etcd: false,
        registers_at: REGISTERS_AT,
    });
    tokio::spawn(kubelet.run());
    phase.reach(AGENT_READY).await;
    tokio::time::sleep(faults::agent_ready_delay()).await;
    notify::ready();
    log::info("k3s agent is up and running");
    std::future::pending().await
}

/// The port that is one above the supervisor's, as newer versions have it.
async fn bind(config: &Config) -> Result<TcpListener> {
    let port = config.flags.value("lb-server-port").unwrap_or("6444");
    let bound = TcpListener::bind(format!("127.0.0.1:{port}")).await;
    bound.with_context(|| format!("opening the load balancer's port 127.0.0.1:{port}"))
}

/// Tries until a server lets this node in.
async fn enter(config: &Config, url: &str, token: &str) {
    while let Err(error) = try_to_enter(config, url, token).await {
        log::error(&format!("Failed to retrieve agent config: {error:#}"));
        tokio::time::sleep(RETRY).await;
    }
}

async fn try_to_enter(config: &Config, url: &str, token: &str) -> Result<()> {
    let door = Door::open(url, token).await?;
    door.check().await?;
    fetch_identity(config, &door, url).await
}

/// The cluster's servers come and go.
async fn learn(balancer: Arc<Balancer>, config: Config, url: String, token: String) {
    loop {
        let learnt = async { Door::open(&url, &token).await?.servers().await };
        match learnt.await {
            Ok(servers) => {
                if let Err(error) = balancer.learn(&servers) {
                    log::warn(&format!("Saving the servers of {}: {error:#}", config.node_name));
                }
            }
            Err(error) => log::warn(&format!("Asking for the cluster's servers: {error:#}")),
        }
        tokio::time::sleep(paced(LEARN_SECONDS)).await;
    }
}
