//! `k3s server`: certificates, datastore, API, controllers, and a kubelet beside them.

use crate::addons;
use crate::api::status::Refusal;
use crate::client::Client;
use crate::clock::paced;
use crate::cluster::{Cluster, Part};
use crate::config::Config;
use crate::controllers::{self, leader::Leader};
use crate::etcd::{self, bootstrap, metrics, migrate, process, reset, upkeep};
use crate::files;
use crate::join::{Door, fetch_identity, kubelet_client};
use crate::kinds;
use crate::kubeconfig;
use crate::kubelet::Kubelet;
use crate::log;
use crate::notify;
use crate::paths;
use crate::phase::{self, Phase};
use crate::pki::layout::{self, Pki};
use crate::pki::{self, Pair, listener};
use crate::registry::Registry;
use crate::serve::Front;
use crate::store::{self, Store};
use crate::supervisor::Supervisor;
use crate::tls::{self, ClientJudge, OnDisk};
use crate::token;
use crate::version::Version;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

/// Recorded second of a server's start at which its new Node first shows.
const REGISTERS_AT: f64 = 8.0;
const RETRY: Duration = Duration::from_millis(500);
/// The lease of the controllers is given back in this time, or it runs out by itself.
const RELEASE: Duration = Duration::from_millis(500);

pub async fn run(config: Config) -> Result<()> {
    let version = Version::current();
    log::info(&format!("Starting k3s {version} ({})", version.commit()));
    reset::check(&config)?;
    let has_etcd = etcd::is_wanted(&config);
    let phase = Phase::begin(if has_etcd { phase::ETCD } else { phase::SQLITE });
    let (front, secret) = prepare(&config, phase, has_etcd).await?;
    write_kubeconfig(&config, &front)?;
    if reset::is_asked(&config) {
        return reset::run(&config, &secret).await;
    }
    reset::forget(&config);
    phase.reach(phase.delays.listen).await;
    listen(&config, &front).await?;
    let mut child = None;
    let store = if has_etcd {
        child = Some(
            start_etcd(&config, &secret)
                .await
                .context("starting kubernetes: preparing server")?,
        );
        tokio::spawn(bootstrap::keep(config.clone(), secret.clone()));
        tokio::spawn(upkeep::promote(config.clone()));
        tokio::spawn(metrics::run());
        store::open_etcd(&config.server_dir())?
    } else {
        store::open(&config.server_dir().join("db"))?
    };
    let leader = Leader::new(&config.node_name);
    tokio::spawn(work(config, Arc::clone(&front), secret, store, leader.clone()));
    let result = tokio::select! {
        error = process::watch(child.as_mut()) => Err(error),
        result = wait_for_end() => result,
    };
    if let Some(cluster) = front.cluster.get() {
        let _ = tokio::time::timeout(RELEASE, leader.release(cluster)).await;
    }
    if let Some(child) = &mut child {
        process::stop(child).await;
    }
    result
}

/// With what was in `SQLite`, where a new cluster begins.
async fn start_etcd(config: &Config, secret: &str) -> Result<Child> {
    let begins = !etcd::is_initialized(&config.server_dir()) && config.flags.value("server").is_none();
    let child = process::start(config, secret).await?;
    if begins {
        migrate::run(config).await.context("start managed database")?;
    }
    Ok(child)
}

/// Everything above the datastore, as soon as that answers.
async fn work(config: Config, front: Arc<Front>, secret: String, store: Arc<dyn Store>, leader: Leader) {
    let phase = front.phase;
    let cluster = open(store).await;
    phase.reach(phase.delays.serve).await;
    while let Err(refusal) = addons::install(&cluster, &config).await {
        log::warn(&format!("Preparing the cluster: {}", refusal.message()));
        tokio::time::sleep(RETRY).await;
    }
    if let Err(refusal) = show_listener(&cluster, &front.supervisor.pki.folder).await {
        log::warn(&format!(
            "Showing the listener's certificate: {}",
            refusal.message()
        ));
    }
    // Unused if set already, which nobody does.
    let _ = front.cluster.set(cluster.clone());
    tokio::spawn(leader.clone().run(cluster.clone()));
    let balances = !config.disables("servicelb");
    tokio::spawn(controllers::run(cluster.clone(), leader.clone(), balances));
    let has_etcd = front.supervisor.has_etcd;
    if has_etcd {
        tokio::spawn(upkeep::run(cluster, config.clone(), leader));
    }
    tokio::spawn(ready(phase));
    if !config.flags.is_set("disable-agent") {
        kubelet(config, phase, secret, has_etcd).await;
    }
}

/// The Secret that shows this server's certificate; of several servers, that of the one that started last.
async fn show_listener(cluster: &Cluster, folder: &Path) -> Result<(), Refusal> {
    let Ok(text) = files::read(&listener::file(folder)) else {
        return Ok(());
    };
    let secret: Value = serde_json::from_str(&text).unwrap_or_default();
    let kind = kinds::of("secrets");
    let key = ("kube-system", listener::SECRET);
    if cluster.get(&kind, key.0, key.1).is_none() {
        return cluster.create(&kind, secret).await.map(drop);
    }
    let shown = |old: &Value| {
        let mut new = old.clone();
        new["data"] = secret["data"].clone();
        new["metadata"]["annotations"] = secret["metadata"]["annotations"].clone();
        Ok(Some(new))
    };
    cluster.modify(&kind, key, Part::Main, shown).await.map(drop)
}

/// Certificates, token, and what answers on the port.
async fn prepare(config: &Config, phase: Phase, has_etcd: bool) -> Result<(Arc<Front>, String)> {
    files::folder_with_mode(&config.server_dir(), 0o700)?;
    files::folder_with_mode(&config.server_dir().join("db"), 0o700)?;
    let folder = config.server_dir().join("tls");
    join(config, &folder)
        .await
        .context("starting kubernetes: preparing server")?;
    let secret = token::secret_of(config)?;
    let pki = Arc::new(Pki::prepare(&folder, &config.node_name, &hosts(config))?);
    token::write(config, &pki.server_ca.hash(), &secret)?;
    let token_file = config.server_dir().join("token");
    log::info(&format!("Node token is available at {}", token_file.display()));
    log::info(&format!(
        "To join node to cluster: k3s agent -s https://{}:{} -t ${{NODE_TOKEN}}",
        config.node_ip, config.port
    ));
    let judge = ClientJudge::new(pki.client_ca.pem())?;
    let agent_password = config
        .flags
        .value("agent-token")
        .map_or_else(|| secret.clone(), str::to_owned);
    let listener = {
        let folder = folder.clone();
        OnDisk::new(listener::file(&folder), move || listener::read(&folder))?
    };
    let stem = folder.join("serving-kube-apiserver");
    let inner = OnDisk::new(pki::with(&stem, "crt"), move || Pair::read(&stem))?;
    let front = Front {
        tls: tls::server(listener, &judge)?,
        inner_tls: tls::server(inner, &judge)?,
        judge,
        supervisor: Supervisor {
            pki,
            password: secret.clone(),
            agent_password,
            server_dir: config.server_dir(),
            node_name: config.node_name.clone(),
            has_etcd,
        },
        phase,
        address: format!("{}:{}", config.node_ip, config.port),
        cluster: OnceLock::new(),
    };
    Ok((Arc::new(front), secret))
}

/// A server that joins takes over the cluster's CAs, once.
async fn join(config: &Config, folder: &Path) -> Result<()> {
    let Some(url) = config.flags.value("server") else {
        return Ok(());
    };
    if folder.join("server-ca.crt").exists() {
        return Ok(());
    }
    let token = config
        .token()
        .context("K3S_TOKEN is required to join a cluster")?;
    let door = Door::open(url, &token).await?;
    layout::adopt(folder, &door.bootstrap().await?)
}

/// The names and addresses that a server's certificate answers for.
fn hosts(config: &Config) -> Vec<String> {
    let fixed = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let mut hosts: Vec<String> = fixed.iter().map(|host| (*host).to_owned()).collect();
    hosts.extend(["localhost", "127.0.0.1", "::1", "10.43.0.1"].map(str::to_owned));
    hosts.extend([config.node_name.clone(), config.node_ip.clone()]);
    hosts.extend(config.flags.list("node-external-ip"));
    hosts.extend(config.flags.list("tls-san"));
    hosts.dedup();
    hosts
}

fn write_kubeconfig(config: &Config, front: &Front) -> Result<()> {
    let pki = &front.supervisor.pki;
    let server = format!("https://127.0.0.1:{}", config.port);
    let text = kubeconfig::inline(&server, pki.server_ca.pem(), &pki.admin.chain, &pki.admin.key);
    let mode = config
        .flags
        .value("write-kubeconfig-mode")
        .and_then(|mode| u32::from_str_radix(mode, 8).ok());
    let own = paths::kubeconfig();
    let file = config
        .flags
        .value("write-kubeconfig")
        .map_or_else(|| own.clone(), PathBuf::from);
    files::write(&file, &text, mode.unwrap_or(0o600))?;
    if file != own {
        files::link(&own, &file)?;
    }
    log::info(&format!("Wrote kubeconfig {}", file.display()));
    log::info("Run: k3s kubectl");
    Ok(())
}

async fn listen(config: &Config, front: &Arc<Front>) -> Result<()> {
    let address = config.flags.value("bind-address").unwrap_or("0.0.0.0");
    let main = TcpListener::bind((address, config.port)).await;
    let main = main.with_context(|| format!("opening {address}:{}", config.port))?;
    tokio::spawn(Arc::clone(front).run(main, Arc::clone(&front.tls)));
    // The API server's own port. An agent on the same machine holds it already: both cannot live, as recorded.
    let inner = TcpListener::bind(("127.0.0.1", config.port + 1)).await;
    let inner = inner.with_context(|| format!("opening 127.0.0.1:{}", config.port + 1))?;
    tokio::spawn(Arc::clone(front).run(inner, Arc::clone(&front.inner_tls)));
    Ok(())
}

async fn open(store: Arc<dyn Store>) -> Cluster {
    loop {
        match Registry::open(Arc::clone(&store)).await {
            Ok(registry) => return Cluster { registry },
            Err(error) => log::info(&format!("Failed to test data store connection: {error}")),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn ready(phase: Phase) {
    phase.reach(phase.delays.ready).await;
    log::info("Kube API server is now running");
    log::info("k3s is up and running");
    notify::ready();
}

/// The server's own node. Its certificates come the same way as an agent's.
async fn kubelet(config: Config, phase: Phase, secret: String, has_etcd: bool) {
    let url = format!("https://127.0.0.1:{}", config.port);
    loop {
        match own_client(&config, &url, &secret).await {
            Ok(client) => {
                let kubelet = Kubelet {
                    client,
                    config,
                    phase,
                    has_etcd,
                    registers_at: REGISTERS_AT,
                };
                return Arc::new(kubelet).run().await;
            }
            Err(error) => log::error(&format!("Failed to retrieve agent config: {error:#}")),
        }
        tokio::time::sleep(paced(2.0)).await;
    }
}

async fn own_client(config: &Config, url: &str, secret: &str) -> Result<Client> {
    let ca = files::read(&config.server_dir().join("tls/server-ca.crt"))?;
    let full = format!("K10{}::server:{secret}", pki::hash(&ca));
    let door = Door::open(url, &full).await?;
    fetch_identity(config, &door, url).await?;
    kubelet_client(config, url)
}

async fn wait_for_end() -> Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(())
}
