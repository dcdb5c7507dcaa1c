//! What the user asks for.

pub use answers::etcd::Member;

use ansible_module::defaults::number;
use answers::given;
use cluster::{Kubectl, check_program, k3s_kubectl};
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
    members: Option<Vec<Value>>,
    #[serde(default)]
    with_pods: bool,
    #[serde(default)]
    wait: u32,
    // A finalizer's controller works within seconds, and again every so often where it failed.
    #[serde(default = "number::<120, _>")]
    timeout: u32,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
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
        check_program(&options.kubectl)?;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Ok(Self {
            vmid: options.vmid,
            node: options.node,
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
