//! What the user asks for.

use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// The options; see `k3s_service.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub unit: Option<Unit>,
    pub disabled: bool,
    pub pods: Pods,
    pub data_dir: String,
    pub timeout: Duration,
    pub lock_timeout: u64,
}

/// The units that the install script knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Unit {
    #[serde(rename = "k3s")]
    Server,
    #[serde(rename = "k3s-agent")]
    Agent,
}

impl Unit {
    pub const ALL: [Self; 2] = [Self::Server, Self::Agent];

    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Server => Self::Agent,
            Self::Agent => Self::Server,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "k3s",
            Self::Agent => "k3s-agent",
        })
    }
}

/// What becomes of the pods that a stopped k3s leaves running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pods {
    #[default]
    Ended,
    Left,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    unit: Option<Unit>,
    #[serde(default = "yes")]
    disabled: bool,
    #[serde(default)]
    pods: Pods,
    #[serde(default = "usual_data_dir")]
    data_dir: String,
    #[serde(default = "two_minutes")]
    timeout: u32,
    #[serde(default = "ten_minutes")]
    lock_timeout: u32,
}

fn yes() -> bool {
    true
}

fn usual_data_dir() -> String {
    "/var/lib/rancher/k3s".to_owned()
}

fn two_minutes() -> u32 {
    120
}

fn ten_minutes() -> u32 {
    600
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let data_dir = options.data_dir.trim_end_matches('/');
        // The script removes what is mounted below it.
        if !data_dir.starts_with('/') {
            return Err(format!(
                "data_dir: {} is no folder's whole path",
                options.data_dir
            ));
        }
        if options.timeout == 0 {
            return Err("timeout: must be at least 1 second: nothing here waits for ever".to_owned());
        }
        Ok(Self {
            vmid: options.vmid,
            unit: options.unit,
            disabled: options.disabled,
            pods: options.pods,
            data_dir: data_dir.to_owned(),
            timeout: Duration::from_secs(options.timeout.into()),
            lock_timeout: options.lock_timeout.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(options: Value) -> Result<Params, String> {
        serde_json::from_value(options).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_has_to_be_said() {
        let params = read(json!({"data_dir": "/srv/k3s/"})).unwrap();
        assert_eq!(
            (
                params.unit,
                params.disabled,
                params.pods,
                params.data_dir.as_str()
            ),
            (None, true, Pods::Ended, "/srv/k3s")
        );
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        for (options, start) in [
            (json!({"unit": "kubelet"}), "unknown variant `kubelet`"),
            (json!({"data_dir": "k3s"}), "data_dir: k3s is no folder's"),
            (json!({"data_dir": "/"}), "data_dir: / is no folder's"),
            (json!({"timeout": 0}), "timeout: "),
        ] {
            let error = read(options.clone()).unwrap_err();
            assert!(error.starts_with(start), "{options}: {error}");
        }
    }
}
