//! The present state of the server that is joined: what a joining node needs of it.

use anyhow::{Context, Result, bail};
use host::{Host, Secret};
use k3s_node::facts::Facts;
use k3s_node::probe::Is;
use k3s_node::settings::Datastore as Kept;
use k3s_node::shared::{Said, Shared};
use k3s_node::{NodeSettings, Probe, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const PORT: &str = "6443";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Datastore {
    Etcd,
    Sqlite,
    /// By its settings, whatever is on its disk.
    #[default]
    External,
}

/// What `state=read` answers and `state=prepared` is given. No secret is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    pub url: String,
    pub version: String,
    pub datastore: Datastore,
    /// The certificate of the cluster's authority.
    pub ca: String,
    /// What all servers must share, if it is configured.
    pub settings: Shared,
}

/// With what lets a node in.
pub struct Read {
    pub(crate) server: Server,
    pub(crate) token: Secret,
    /// The password of agents, where they have one of their own.
    pub(crate) agent_token: Option<Secret>,
}

impl Read {
    pub(crate) fn look(host: &dyn Host, role: Role, url: Option<&str>) -> Result<Self> {
        let installed = NodeSettings::look_for(host, Role::Server)?;
        let settings = installed.settings();
        let questions = questions(&installed, &settings.data_dir());
        let output = host
            .run(&questions.command(&installed.binary))?
            .succeed(&host.location(), "reading what a node needs to join")?;
        let facts = Facts::parse(&output.stdout).with_context(|| host.location())?;
        Self::of(&installed, &facts, role, url).with_context(|| host.location())
    }

    pub(crate) fn of(installed: &NodeSettings, facts: &Facts, role: Role, url: Option<&str>) -> Result<Self> {
        let settings = installed.settings();
        let text = |name: &str| {
            let text = facts.lossy(name);
            text.with_context(|| format!("it has no server/{name} yet: it has never served"))
        };
        let own_agent_token = settings.given(&["agent-token"], "K3S_AGENT_TOKEN").is_some()
            || settings
                .given(&["agent-token-file"], "K3S_AGENT_TOKEN_FILE")
                .is_some();
        let agent_token = facts.lossy("agent-token").filter(|_| own_agent_token);
        let token = match (role, &agent_token) {
            (Role::Agent, Some(token)) => token.clone(),
            _ => text("token")?,
        };
        let ca = text("ca").context("its authority (server/tls/server-ca.crt) cannot be read")?;
        let port = settings.given(&["https-listen-port"], "");
        let port = port.map_or_else(|| PORT.to_owned(), |given| given.value);
        let said = Said {
            args: &installed.launch.args,
            config: &installed.config,
        };
        Ok(Self {
            server: Server {
                url: url.map_or_else(|| own_url(facts, &port), |url| Ok(url.to_owned()))?,
                version: installed
                    .version
                    .as_ref()
                    .map(ToString::to_string)
                    .context("its k3s does not report its version")?,
                datastore: match settings.datastore(facts.lossy("wal").is_some()) {
                    Kept::Etcd | Kept::OfOtherServers => Datastore::Etcd,
                    Kept::Sqlite => Datastore::Sqlite,
                    Kept::External => Datastore::External,
                },
                ca: ca + "\n",
                settings: said.shared(),
            },
            token: Secret::new(token),
            agent_token: agent_token.map(|token| Secret::new(password(&token))),
        })
    }
}

fn questions(installed: &NodeSettings, data: &str) -> Probe {
    let server = format!("{data}/server");
    let node = format!("/api/v1/nodes/{}", installed.node_name());
    let get = [
        &installed.binary,
        "kubectl",
        "--request-timeout=10s",
        "get",
        "--raw",
        &node,
    ];
    Probe::new()
        .is("wal", Is::Folder, &format!("{server}/db/etcd/member/wal"))
        .file("token", &format!("{server}/token"))
        .file("agent-token", &format!("{server}/agent-token"))
        .file("ca", &format!("{server}/tls/server-ca.crt"))
        .print("node", &get)
}

/// Of a full token (`K10<hash>::<user>:<password>`), the password; a short one is that alone.
pub(crate) fn password(token: &str) -> &str {
    let login = token.trim().split_once("::").map(|(_, login)| login);
    login.map_or(token.trim(), |login| {
        login.split_once(':').map_or(login, |(_, password)| password)
    })
}

/// The address of the server in the cluster.
fn own_url(facts: &Facts, port: &str) -> Result<String> {
    let node = facts.lossy("node");
    let Some(node) = node else {
        bail!(
            "its API does not return its Node: it is not up, or runs without a kubelet (then set url, in the playbooks k3s_api_url)"
        )
    };
    let node: Value = serde_json::from_str(&node).context("reading its Node as kubectl printed it")?;
    let addresses = node["status"]["addresses"].as_array();
    let internal = addresses
        .into_iter()
        .flatten()
        .find(|address| address["type"] == "InternalIP");
    let address = internal
        .and_then(|address| address["address"].as_str())
        .context("its Node has no InternalIP: give url")?;
    Ok(if address.contains(':') {
        format!("https://[{address}]:{port}")
    } else {
        format!("https://{address}:{port}")
    })
}
