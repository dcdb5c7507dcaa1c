//! The Lease as the API server has it.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Keys of the annotations that say who holds the lock.
pub(crate) const USER: &str = "homelab.k3s/user";
pub(crate) const HOST: &str = "homelab.k3s/host";
pub(crate) const BOOT_ID: &str = "homelab.k3s/boot-id";
pub(crate) const PROCESS: &str = "homelab.k3s/process";
pub(crate) const PURPOSE: &str = "homelab.k3s/purpose";

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub lease: Option<Lease>,
    pub now: SystemTime,
}

/// `coordination.k8s.io/v1`, with the fields that we use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    #[serde(rename = "apiVersion", default)]
    pub api_version: String,
    #[serde(default)]
    pub kind: String,
    pub metadata: Metadata,
    #[serde(default)]
    pub spec: Spec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    pub holder_identity: Option<String>,
    pub lease_duration_seconds: Option<u64>,
    pub acquire_time: Option<String>,
    pub renew_time: Option<String>,
}

impl Lease {
    pub fn parse(json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).context("reading the Lease: what kubectl printed is none")
    }

    pub fn annotation(&self, key: &str) -> &str {
        self.metadata.annotations.get(key).map_or("", String::as_str)
    }

    /// When it ends unless it is renewed; a Lease without times has ended.
    pub fn ends(&self) -> SystemTime {
        let renewed = self
            .spec
            .renew_time
            .as_deref()
            .and_then(parse_time)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        renewed + Duration::from_secs(self.spec.lease_duration_seconds.unwrap_or(0))
    }

    /// For messages: `operator@laptop (process 4242, an upgrade, since 2026-01-01T00:00:00Z)`.
    pub fn holder(&self) -> String {
        let process = self.annotation(PROCESS).split(':').next().unwrap_or_default();
        format!(
            "{}@{} (process {process}, {}, since {})",
            self.annotation(USER),
            self.annotation(HOST),
            self.annotation(PURPOSE),
            self.spec.acquire_time.as_deref().unwrap_or("an unknown time")
        )
    }
}

fn parse_time(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

/// Kubernetes' `MicroTime` wants a fraction of six digits.
pub(crate) fn micro_time(at: SystemTime) -> Result<String> {
    let at = OffsetDateTime::from(at);
    let seconds_only = at.replace_nanosecond(0)?.format(&Rfc3339)?;
    Ok(seconds_only.replace('Z', &format!(".{:06}Z", at.microsecond())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_kubernetes_reads_them() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_767_225_600_000_042);
        assert_eq!(micro_time(at).unwrap(), "2026-01-01T00:00:00.000042Z");
        assert_eq!(parse_time("2026-01-01T00:00:00.000042Z"), Some(at));
    }

    #[test]
    fn a_lease_without_times_has_ended() {
        assert_eq!(Lease::default().ends(), SystemTime::UNIX_EPOCH);
    }
}
