//! The load balancer of a node: a door on the loopback behind which some server answers. Existing connections are
//! left alone; new ones go to the first server that takes them.

use crate::files;
use anyhow::{Context, Result};
use serde_json::json;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// A dead machine answers nothing; the next server is tried then.
const DIAL: Duration = Duration::from_secs(2);

pub struct Balancer {
    servers: Mutex<Vec<String>>,
    /// What a restart goes by when the first server is gone.
    file: PathBuf,
    url: String,
}

impl Balancer {
    /// Begins with the given server, and those of its last run if that was given the same.
    pub fn new(url: &str, file: PathBuf) -> Result<Self> {
        let first = address(url)?;
        let saved = std::fs::read_to_string(&file).ok();
        let saved: serde_json::Value = saved
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let mut servers = vec![first];
        if saved["ServerURL"] == json!(url) {
            let known = saved["ServerAddresses"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|a| a.as_str());
            servers.extend(known.map(str::to_owned));
        }
        servers.dedup();
        Ok(Self {
            servers: Mutex::new(servers),
            file,
            url: url.to_owned(),
        })
    }

    pub fn servers(&self) -> Vec<String> {
        self.servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the cluster says of itself replaces what was known.
    pub fn learn(&self, servers: &[String]) -> Result<()> {
        if servers.is_empty() || self.servers() == servers {
            return Ok(());
        }
        *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers.to_vec();
        let saved = json!({"ServerURL": self.url, "ServerAddresses": servers, "Listener": null});
        files::write(&self.file, &saved.to_string(), 0o600)
    }

    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        while let Ok((client, _)) = listener.accept().await {
            let balancer = Arc::clone(&self);
            tokio::spawn(async move {
                if let Some(server) = balancer.dial().await {
                    carry(client, server).await;
                }
            });
        }
    }

    async fn dial(&self) -> Option<TcpStream> {
        for server in self.servers() {
            if let Ok(Ok(stream)) = tokio::time::timeout(DIAL, TcpStream::connect(&server)).await {
                return Some(stream);
            }
        }
        None
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream) {
    // Small answers must not wait for each other.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // Either side may end at any time; that is not our business.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// `host:port` of a server's URL.
pub fn address(url: &str) -> Result<String> {
    let rest = url.strip_prefix("https://");
    let rest = rest.with_context(|| format!("only https:// URLs are supported, invalid scheme: {url}"))?;
    let host = rest.trim_end_matches('/');
    Ok(if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:443")
    })
}
