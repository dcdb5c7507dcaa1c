//! The options of the deprecated module.

use crate::servers::Given;
use ansible_module::defaults::number;
use cluster::{check_program, k3s_kubectl};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// The options; see `ha_report.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub given: Given,
    pub kubectl: Vec<String>,
    pub request_timeout: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    servers: Vec<Value>,
    #[serde(default)]
    snapshot: Map<String, Value>,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
    #[serde(default = "number::<5, _>")]
    request_timeout: u32,
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let given = Given::read(options.servers, options.snapshot)?;
        if given.servers.is_empty() {
            return Err("servers: there is none".to_owned());
        }
        check_program(&options.kubectl)?;
        if options.request_timeout == 0 {
            return Err("request_timeout: must be at least 1 second".to_owned());
        }
        Ok(Self {
            vmid: options.vmid,
            given,
            kubectl: options.kubectl,
            request_timeout: Duration::from_secs(options.request_timeout.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let good = json!({"host": "c1", "node_name": "c1"});
        let table = [
            (json!({"servers": []}), "servers: there is none"),
            (
                json!({"servers": [good, {"node_name": "c2"}]}),
                "servers: number 2: missing field `host`",
            ),
            (json!({"servers": [{"host": "c1"}]}), "servers: number 1 (c1): "),
            (
                json!({"servers": [good, ["c2", "c2"]]}),
                "servers: number 2: a dictionary was expected, a list was given",
            ),
            (
                json!({"servers": [{"host": "c1", "node_name": "c1", "etcd": {"quorum": "two"}}]}),
                "servers: number 1 (c1): etcd: invalid type",
            ),
            (
                json!({"servers": [good], "snapshot": {"bytes": "x"}}),
                "snapshot: ",
            ),
            (json!({"servers": [good], "kubectl": []}), "kubectl: "),
            (
                json!({"servers": [good], "request_timeout": 0}),
                "request_timeout: ",
            ),
        ];
        for (options, start) in table {
            let error = serde_json::from_value::<Params>(options.clone()).unwrap_err();
            assert!(error.to_string().starts_with(start), "{options}: {error}");
        }
    }
}
