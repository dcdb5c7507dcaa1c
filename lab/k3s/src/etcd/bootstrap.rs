//! What k3s keeps in the datastore for servers that join, encrypted with the token. Only the key's name matters here: it
//! shows whether a datastore was written with this token.

use super::own_client;
use crate::config::Config;
use crate::log;
use crate::version::hex;
use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};
use std::time::Duration;

const PREFIX: &str = "/bootstrap/";
const RETRY: Duration = Duration::from_millis(500);

fn key(secret: &str) -> String {
    format!("{PREFIX}{}", &hex(&Sha256::digest(secret))[..12])
}

/// An error: the datastore belongs to another token.
pub async fn check(config: &Config, secret: &str) -> Result<()> {
    let found = own_client(&config.server_dir())?.list(PREFIX).await?;
    let own = key(secret);
    ensure!(
        found.entries.is_empty() || found.entries.iter().any(|item| item.key == own.as_bytes()),
        "bootstrap data already found and encrypted with different token"
    );
    Ok(())
}

/// Writes it as soon as etcd answers; a server whose token is another one does not live.
pub async fn keep(config: Config, secret: String) {
    loop {
        match keep_once(&config, &secret).await {
            Ok(Ok(())) => return,
            Ok(Err(refusal)) => {
                log::fatal(&format!("starting kubernetes: preparing server: {refusal:#}"));
                std::process::exit(1);
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// The outer error: etcd has no answer yet.
async fn keep_once(config: &Config, secret: &str) -> Result<Result<()>> {
    let client = own_client(&config.server_dir())?;
    client.list(PREFIX).await?;
    if let Err(refusal) = check(config, secret).await {
        return Ok(Err(refusal));
    }
    client.put(key(secret), "encrypted").await?;
    Ok(Ok(()))
}
