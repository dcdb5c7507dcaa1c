//! What the user asks for.

use ansible_module::defaults::{number, yes};
use k3s_node::Role;
use serde::Deserialize;
use std::time::Duration;

/// The options; see `k3s_service.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub unit: Option<Unit>,
    pub disabled: bool,
    pub pods: Pods,
    pub timeout: Duration,
    pub lock_timeout: u64,
}

/// A role, by the install script's usual name of its unit. The unit itself may have another.
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

impl From<Unit> for Role {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Server => Self::Server,
            Unit::Agent => Self::Agent,
        }
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
    #[serde(default = "number::<120, _>")]
    timeout: u32,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u32,
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        if options.timeout == 0 {
            return Err("timeout: must be at least 1 second".to_owned());
        }
        Ok(Self {
            vmid: options.vmid,
            unit: options.unit,
            disabled: options.disabled,
            pods: options.pods,
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
        let params = read(json!({})).unwrap();
        assert_eq!(
            (params.unit, params.disabled, params.pods),
            (None, true, Pods::Ended)
        );
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        for (options, start) in [
            (json!({"unit": "kubelet"}), "unknown variant `kubelet`"),
            (json!({"timeout": 0}), "timeout: "),
        ] {
            let error = read(options.clone()).unwrap_err();
            assert!(error.starts_with(start), "{options}: {error}");
        }
    }
}
