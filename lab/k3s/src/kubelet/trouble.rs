//! What a pod is to do wrong, as its annotations say. They may be set on a pod that already runs, and taken off again.

use crate::clock::{self, paced};
use crate::json::{items, text};
use serde_json::Value;

const RUN_SECONDS: f64 = 1.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The first container ends, with this code and reason. What follows is the pod's restart policy.
    Crash { code: i64, reason: &'static str },
    /// Its image cannot be had.
    Image,
    /// Something that its environment refers to is missing.
    Config,
    /// The first init container ends with a failure.
    Init,
}

#[derive(Clone, Debug)]
pub(super) struct Behaviour {
    pub(super) trouble: Option<Trouble>,
    /// What a container that ended says at last.
    pub(super) message: String,
    /// How long a failing container runs.
    pub(super) run_seconds: f64,
    recovers_seconds: Option<f64>,
}

fn annotation<'a>(pod: &'a Value, name: &str) -> &'a str {
    pod["metadata"]["annotations"][format!("lab/{name}")]
        .as_str()
        .unwrap_or_default()
}

impl Behaviour {
    pub(super) fn of(pod: &Value) -> Self {
        let seconds = |name: &str| annotation(pod, name).parse::<f64>().ok();
        let crash = |code, reason| Some(Trouble::Crash { code, reason });
        Self {
            trouble: match annotation(pod, "fails") {
                "crash" => crash(1, "Error"),
                "oom" => crash(137, "OOMKilled"),
                "image" => Some(Trouble::Image),
                "config" => Some(Trouble::Config),
                "init" => Some(Trouble::Init),
                _ => None,
            },
            message: annotation(pod, "message").to_owned(),
            run_seconds: seconds("run-seconds").unwrap_or(RUN_SECONDS),
            recovers_seconds: seconds("recovers-seconds"),
        }
    }

    /// Differs between two behaviours: a pod's is followed anew when it changes.
    pub(super) fn key(pod: &Value) -> String {
        ["fails", "message", "recovers-seconds"]
            .map(|name| annotation(pod, name))
            .join("\n")
    }

    /// Seconds of the lab until a pod that began at this time is well again; nothing: never.
    pub(super) fn left(&self, since: &str) -> Option<f64> {
        let all = paced(self.recovers_seconds?).as_secs_f64();
        let gone = f64::from(i32::try_from(clock::age(since)).unwrap_or(i32::MAX));
        Some((all - gone).max(0.0))
    }

    /// Whether the pod does wrong now.
    pub(super) fn fails(&self, pod: &Value) -> bool {
        let since = text(pod, "/status/startTime");
        self.trouble.is_some() && (since.is_empty() || self.left(since) != Some(0.0))
    }
}

pub(super) fn is_job(pod: &Value) -> bool {
    items(pod, "/metadata/ownerReferences")
        .iter()
        .any(|owner| text(owner, "/kind") == "Job")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_recovers_after_its_time_and_no_other_does() {
        let pod = |seconds: &str| {
            json!({
                "metadata": {"annotations": {"lab/fails": "crash", "lab/recovers-seconds": seconds}},
                "status": {"startTime": clock::seconds_from_now(-60)},
            })
        };
        let fails = |seconds: &str| Behaviour::of(&pod(seconds)).fails(&pod(seconds));
        assert!(fails("1000000") && !fails("0.1") && fails(""));
    }
}
