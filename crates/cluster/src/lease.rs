//! A kubelet's Lease: of all that the cluster has on a node, the only thing that is seconds old. The Node itself is called
//! Ready for forty seconds after its machine has died.

use crate::object::{Meta, Time};
use serde::Deserialize;
use std::time::{Duration, SystemTime};

#[derive(Deserialize)]
struct LeaseObject {
    #[serde(default)]
    metadata: Meta,
    #[serde(default)]
    spec: LeaseSpec,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LeaseSpec {
    renew_time: Option<Time>,
    lease_duration_seconds: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(from = "LeaseObject")]
pub struct Lease {
    pub node: String,
    /// A kubelet does it every ten seconds.
    pub renewed: Option<Time>,
    /// How long it holds.
    pub duration: Duration,
}

impl From<LeaseObject> for Lease {
    fn from(object: LeaseObject) -> Self {
        let seconds = object.spec.lease_duration_seconds.unwrap_or(Lease::SECONDS);
        Self {
            node: object.metadata.name,
            renewed: object.spec.renew_time,
            duration: Duration::from_secs(seconds.into()),
        }
    }
}

impl Lease {
    /// The seconds that a kubelet of k3s asks for; also the default.
    pub const SECONDS: u32 = 40;

    /// How long the kubelet has not been heard of; none: it never was.
    pub fn silence(&self, now: SystemTime) -> Option<Duration> {
        self.renewed.map(|renewed| renewed.until(now))
    }

    /// Whether the kubelet counts as alive: it has renewed the Lease before that ended.
    pub fn is_alive(&self, now: SystemTime) -> bool {
        self.silence(now).is_some_and(|silence| silence <= self.duration)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_kubelet_is_alive_as_long_as_its_lease_holds() {
        let renewed = Time::try_from("2026-01-01T00:00:00Z".to_owned()).unwrap();
        let after = |seconds| SystemTime::from(renewed) + Duration::from_secs(seconds);
        let time = json!("2026-01-01T00:00:00.000000Z");
        // (spec, seconds later, alive)
        let table = [
            (json!({"renewTime": time}), 0, true),
            (json!({"renewTime": time}), 40, true),
            (json!({"renewTime": time}), 41, false),
            (json!({"renewTime": time, "leaseDurationSeconds": 60}), 60, true),
            (json!({"renewTime": null}), 0, false),
            (json!({}), 0, false),
        ];
        for (spec, seconds, alive) in table {
            let lease: Lease = serde_json::from_value(json!({"spec": spec})).unwrap();
            assert_eq!(lease.is_alive(after(seconds)), alive, "{spec} {seconds}");
        }
        // Clocks of machines differ.
        let lease: Lease = serde_json::from_value(json!({"spec": {"renewTime": time}})).unwrap();
        let early = SystemTime::from(renewed) - Duration::from_secs(5);
        assert_eq!(lease.silence(early), Some(Duration::ZERO));
    }
}
