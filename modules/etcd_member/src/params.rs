//! What the user asks for.

use ansible_module::defaults::number;
use cluster::{check_program, k3s_kubectl};
use serde::Deserialize;

/// The options; see `etcd_member.yml` for their words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub want: Want,
    /// Node names of the inventory; empty: nobody says.
    pub expected: Vec<String>,
    /// The server's own settings say it, where it is not given.
    pub data_dir: Option<String>,
    /// None: the loopback on which etcd listens.
    pub endpoint: Option<String>,
    pub kubectl: Vec<String>,
    pub timeout: u64,
    pub lock_timeout: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    Query {
        require: Option<Require>,
        /// The node whose member is to be stopped.
        can_lose: Option<String>,
        wait: u64,
        /// How long to wait, after that, until the Nodes say what etcd says.
        nodes_wait: Option<u64>,
    },
    Absent {
        which: Which,
        force: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    Healthy,
    AllVoters,
    AsExpected,
}

/// How the member to remove is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    Name(String),
    Node { name: String, address: Option<String> },
    PeerUrl(String),
    Id(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Query,
    Absent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    #[serde(default = "query")]
    state: Wanted,
    name: Option<String>,
    node: Option<String>,
    address: Option<String>,
    peer_url: Option<String>,
    id: Option<String>,
    #[serde(default)]
    force: bool,
    require: Option<Require>,
    can_lose: Option<String>,
    #[serde(default)]
    wait: u64,
    nodes_wait: Option<u64>,
    #[serde(default)]
    expected: Vec<String>,
    data_dir: Option<String>,
    endpoint: Option<String>,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
    #[serde(default = "number::<60, _>")]
    timeout: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
}

fn query() -> Wanted {
    Wanted::Query
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        if let Some(path) = options.data_dir.iter().find(|path| !path.starts_with('/')) {
            return Err(format!("data_dir: {path} is not an absolute path"));
        }
        let given = options.endpoint.as_ref();
        if let Some(endpoint) = given.filter(|endpoint| !endpoint.starts_with("https://")) {
            return Err(format!(
                "endpoint: {endpoint} does not begin with https://; k3s's etcd accepts nothing else"
            ));
        }
        check_program(&options.kubectl)?;
        let want = match options.state {
            Wanted::Query => options.query()?,
            Wanted::Absent => options.absent()?,
        };
        Ok(Self {
            vmid: options.vmid,
            want,
            expected: options.expected.iter().map(|name| name.to_lowercase()).collect(),
            data_dir: options.data_dir,
            endpoint: options.endpoint,
            kubectl: options.kubectl,
            timeout: options.timeout,
            lock_timeout: options.lock_timeout,
        })
    }
}

impl Options {
    fn query(&self) -> Result<Want, String> {
        let to_remove = [
            ("name", self.name.is_some()),
            ("node", self.node.is_some()),
            ("address", self.address.is_some()),
            ("peer_url", self.peer_url.is_some()),
            ("id", self.id.is_some()),
            ("force", self.force),
        ];
        if let Some((option, _)) = to_remove.iter().find(|(_, given)| *given) {
            return Err(format!("{option}: applies only with state=absent"));
        }
        if self.wait > 0 && self.require.is_none() && self.can_lose.is_none() {
            return Err("wait: there is nothing to wait for without require or can_lose".to_owned());
        }
        if self.require == Some(Require::AsExpected) && self.expected.is_empty() {
            return Err("require: as_expected needs the names in expected".to_owned());
        }
        Ok(Want::Query {
            require: self.require,
            can_lose: self.can_lose.as_deref().map(str::to_lowercase),
            wait: self.wait,
            nodes_wait: self.nodes_wait,
        })
    }

    fn absent(&self) -> Result<Want, String> {
        if self.require.is_some() || self.can_lose.is_some() || self.wait > 0 || self.nodes_wait.is_some() {
            return Err("require, can_lose, wait and nodes_wait: apply only with state=query".to_owned());
        }
        if self.address.is_some() && self.node.is_none() {
            return Err("address: applies only with node".to_owned());
        }
        let named = self.node.as_deref().map(|name| Which::Node {
            name: name.to_lowercase(),
            address: self.address.clone(),
        });
        let given = [
            self.name.clone().map(Which::Name),
            named,
            self.peer_url.clone().map(Which::PeerUrl),
            self.id.clone().map(Which::Id),
        ];
        let mut given: Vec<Which> = given.into_iter().flatten().collect();
        match given.pop() {
            Some(which) if given.is_empty() => Ok(Want::Absent {
                which,
                force: self.force,
            }),
            _ => Err("state=absent needs exactly one of name, node, peer_url and id".to_owned()),
        }
    }
}
