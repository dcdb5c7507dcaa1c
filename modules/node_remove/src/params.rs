//! What the user asks for.

pub use answers::etcd::Member;

use answers::given;
use cluster::Kubectl;
use host::Host;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// A request that takes longer has no server to answer it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The options; see `node_remove.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub node: String,
    pub uid: Option<String>,
    pub members: Option<Vec<Member>>,
    pub with_pods: bool,
    pub wait: Duration,
    pub timeout: Duration,
    pub kubectl: Vec<String>,
    pub lock_timeout: u64,
}

impl Params {
    pub(crate) fn kubectl<'a>(&'a self, host: &'a dyn Host) -> Kubectl<'a> {
        Kubectl {
            host,
            program: &self.kubectl,
            request_timeout: REQUEST_TIMEOUT,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    node: String,
    uid: Option<String>,
    members: Option<Vec<Value>>,
    #[serde(default)]
    with_pods: bool,
    #[serde(default)]
    wait: u32,
    #[serde(default = "two_minutes")]
    timeout: u32,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
    #[serde(default = "ten_minutes")]
    lock_timeout: u64,
}

/// A finalizer's controller works within seconds, and again every so often where it failed.
fn two_minutes() -> u32 {
    120
}

fn ten_minutes() -> u64 {
    600
}

fn k3s_kubectl() -> Vec<String> {
    vec!["k3s".to_owned(), "kubectl".to_owned()]
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        if options.node.is_empty() || !options.node.chars().all(letter) {
            return Err(format!(
                "node: {:?} is not a name of a node: lower-case letters, digits, - and .",
                options.node
            ));
        }
        if options.kubectl.is_empty() {
            return Err("kubectl: an empty list cannot be run".to_owned());
        }
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Ok(Self {
            vmid: options.vmid,
            node: options.node,
            uid: options.uid.filter(|uid| !uid.is_empty()),
            members: options
                .members
                .map(|given| given::list("members", given))
                .transpose()?,
            with_pods: options.with_pods,
            wait: seconds(options.wait),
            timeout: seconds(options.timeout),
            kubectl: options.kubectl,
            lock_timeout: options.lock_timeout,
        })
    }
}
