//! What the user asks for.

use ansible_module::defaults::number;
use k3s_node::Role;
use serde::Deserialize;

/// The options; see `k3s_uninstall.yml` for their words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub role: Role,
    pub timeout: u64,
    pub lock_timeout: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    role: Role,
    // Pods get the time that they ask for, and volumes are unmounted one by one.
    #[serde(default = "number::<300, _>")]
    timeout: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        if options.timeout == 0 {
            return Err("timeout: must be at least 1 second".to_owned());
        }
        Ok(Self {
            vmid: options.vmid,
            role: options.role,
            timeout: options.timeout,
            lock_timeout: options.lock_timeout,
        })
    }
}
