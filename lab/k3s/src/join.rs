//! Joining a cluster: the CA by the token's hash, then what the token allows.

use crate::balancer::address;
use crate::client::{Answer, Client};
use crate::config::{Config, kept};
use crate::files;
use crate::kubeconfig;
use crate::log;
use crate::paths;
use crate::pki;
use crate::random;
use crate::supervisor::{NODE_IP, NODE_NAME, NODE_PASSWORD};
use crate::tls;
use crate::token::Token;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::PathBuf;

const NO_HASH: &str = "Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA \
                       hash. Use the full token from the server's node-token file to enable Cluster CA validation.";

/// A server that is joined, with its CA known.
pub struct Door {
    /// `https://10.99.0.101:6443`
    url: String,
    ca: String,
    token: Token,
}

impl Door {
    /// Reads the CA, which anybody may, and compares it with the hash in the token.
    pub async fn open(url: &str, token: &str) -> Result<Self> {
        let token = Token::parse(token)?;
        let answer = Client::new(&address(url)?, tls::trusting_client()?)
            .get("/cacerts")
            .await;
        let answer = answer.context("failed to get CA certs")?;
        ensure!(
            answer.is_ok(),
            "failed to get CA certs: {url}/cacerts: {}",
            answer.status_text()
        );
        let ca = String::from_utf8(answer.body.to_vec()).context("reading the cluster's CA")?;
        let found = pki::hash(&ca);
        if token.ca_hash.is_empty() {
            log::warn(NO_HASH);
        } else if token.ca_hash != found {
            bail!(
                "token CA hash does not match the Cluster CA certificate hash: {} != {found}",
                token.ca_hash
            );
        }
        Ok(Self {
            url: url.to_owned(),
            ca,
            token,
        })
    }

    fn client(&self, user: &str) -> Result<Client> {
        let client = Client::new(&address(&self.url)?, tls::client(&self.ca, None)?);
        Ok(client.with_login(user, &self.token.secret))
    }

    async fn ask(&self, user: &str, path: &str) -> Result<Answer> {
        let answer = self.client(user)?.get(path).await?;
        ensure!(answer.is_ok(), "{}{path}: {}", self.url, answer.status_text());
        Ok(answer)
    }

    /// The CAs, for a joining server.
    pub async fn bootstrap(&self) -> Result<Value> {
        Ok(self.ask("server", "/v1-k3s/server-bootstrap").await?.json())
    }

    /// All servers of the cluster, for the load balancer.
    pub async fn servers(&self) -> Result<Vec<String>> {
        let list = self.ask("node", "/v1-k3s/apiservers").await?.json();
        Ok(list
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|s| Some(s.as_str()?.to_owned()))
            .collect())
    }

    /// The members of etcd, for a joining server.
    pub async fn members(&self) -> Result<Value> {
        Ok(self.ask("server", "/db/info").await?.json())
    }

    pub async fn check(&self) -> Result<()> {
        self.ask("node", "/v1-k3s/config").await.map(drop)
    }
}

/// Gets this node's certificates and lays them down with the kubeconfigs that use them.
pub async fn fetch_identity(config: &Config, door: &Door, server: &str) -> Result<()> {
    let password = kept(&paths::etc("rancher/node/password"), random::secret, 0o600)?;
    let client = door.client("node")?.with_header(NODE_NAME, &config.node_name);
    let client = client
        .with_header(NODE_PASSWORD, &password)
        .with_header(NODE_IP, &config.node_ip);
    let folder = config.agent_dir();
    let at = |name: &str| -> PathBuf { folder.join(name) };
    files::write(&at("server-ca.crt"), &door.ca, 0o600)?;
    let client_ca = client.get("/v1-k3s/client-ca.crt").await?;
    files::write(
        &at("client-ca.crt"),
        &String::from_utf8_lossy(&client_ca.body),
        0o600,
    )?;
    for name in [
        "client-kubelet",
        "serving-kubelet",
        "client-kube-proxy",
        "client-k3s-controller",
    ] {
        let path = format!("/v1-k3s/{name}.crt");
        let answer = client.get(&path).await?;
        if !answer.is_ok() {
            bail!("{}{path}: {}", door.url, refusal(&answer));
        }
        let pem = String::from_utf8(answer.body.to_vec()).with_context(|| format!("reading {path}"))?;
        let (chain, key) = pem.split_at(pem.find("-----BEGIN EC PRIVATE KEY").unwrap_or(pem.len()));
        files::write(&at(&format!("{name}.crt")), chain, 0o600)?;
        files::write(&at(&format!("{name}.key")), key, 0o600)?;
    }
    let configs = [
        ("kubelet", "client-kubelet"),
        ("kubeproxy", "client-kube-proxy"),
        ("k3scontroller", "client-k3s-controller"),
    ];
    for (name, pair) in configs {
        let (chain, key) = (at(&format!("{pair}.crt")), at(&format!("{pair}.key")));
        let text = kubeconfig::by_path(server, &at("server-ca.crt"), &chain, &key);
        files::write(&at(&format!("{name}.kubeconfig")), &text, 0o644)?;
    }
    Ok(())
}

/// A client with the kubelet's identity, as it lies in the node's folder.
pub fn kubelet_client(config: &Config, server: &str) -> Result<Client> {
    let folder = config.agent_dir();
    let (ca, pair) = (folder.join("server-ca.crt"), folder.join("client-kubelet"));
    Ok(Client::by_files(&address(server)?, ca, pair))
}

fn refusal(answer: &Answer) -> String {
    let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    if message.is_empty() {
        answer.status_text()
    } else {
        message
    }
}
