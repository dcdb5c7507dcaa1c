//! What the user asks for.

use crate::known_bad;
use ansible_module::defaults::number;
use serde::Deserialize;

/// The options; see `k3s_datastore.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub dest: String,
    pub allow_known_bad: Vec<String>,
    pub min_free_mb: u64,
    /// None: the loopback on which etcd listens.
    pub etcd_endpoint: Option<String>,
    pub timeout: u64,
    pub lock_timeout: u64,
    pub run_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    #[serde(default = "own_folder")]
    dest: String,
    #[serde(default)]
    allow_known_bad: Vec<String>,
    #[serde(default = "number::<256, _>")]
    min_free_mb: u64,
    etcd_endpoint: Option<String>,
    // A migration writes about a thousand objects a second; k3s itself needs 10 to 20 s.
    #[serde(default = "number::<600, _>")]
    timeout: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
    run_id: Option<String>,
}

fn own_folder() -> String {
    "/var/lib/homelab-k3s/backups".to_owned()
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        if !options.dest.starts_with('/') {
            return Err(format!("dest: {} is not an absolute path", options.dest));
        }
        if options.timeout == 0 {
            return Err("timeout: must be at least 1 second".to_owned());
        }
        let given = options.etcd_endpoint.as_ref();
        if let Some(endpoint) = given.filter(|endpoint| !endpoint.starts_with("https://")) {
            return Err(format!(
                "etcd_endpoint: {endpoint} does not begin with https://, and k3s's etcd accepts nothing else"
            ));
        }
        known_bad::check_names(&options.allow_known_bad)?;
        Ok(Self {
            vmid: options.vmid,
            dest: options.dest.trim_end_matches('/').to_owned(),
            allow_known_bad: options.allow_known_bad,
            min_free_mb: options.min_free_mb,
            etcd_endpoint: options.etcd_endpoint,
            timeout: options.timeout,
            lock_timeout: options.lock_timeout,
            run_id: options.run_id,
        })
    }
}
