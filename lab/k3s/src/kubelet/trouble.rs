//! What a pod is to do wrong, as its annotations say. They may be set on a pod that already runs, and taken off again.

use crate::clock::{self, paced};
use crate::json::{items, text};
use serde_json::Value;

const START_SECONDS: f64 = 1.5;
const RUN_SECONDS: f64 = 1.0;
const OUT_OF_MEMORY: i64 = 137;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A container ends, with this code and reason. What follows is the pod's restart policy.
    Crash { code: i64, reason: &'static str },
    /// Its image cannot be had.
    Image,
    /// Something that its environment refers to is missing.
    Config,
    /// An init container ends with a failure.
    Init { code: i64 },
    /// The node throws the pod out.
    Evicted,
}

#[derive(Clone, Debug)]
pub(super) struct Behaviour {
    pub(super) trouble: Option<Trouble>,
    /// The container that fails; empty: the first.
    pub(super) container: String,
    pub(super) message: String,
    pub(super) start_seconds: f64,
    /// How long a failing container runs.
    pub(super) run_seconds: f64,
    pub(super) never_ready: bool,
    recovers_seconds: Option<f64>,
}

pub(super) fn annotation<'a>(pod: &'a Value, name: &str) -> &'a str {
    pod["metadata"]["annotations"][format!("lab/{name}")]
        .as_str()
        .unwrap_or_default()
}

impl Behaviour {
    pub(super) fn of(pod: &Value) -> Self {
        let seconds = |name: &str| annotation(pod, name).parse::<f64>().ok();
        let code = annotation(pod, "exit-code").parse().ok();
        let trouble = match annotation(pod, "fails") {
            "crash" => Some(Trouble::Crash {
                code: code.unwrap_or(1),
                reason: if code == Some(0) { "Completed" } else { "Error" },
            }),
            "oom" => Some(Trouble::Crash {
                code: OUT_OF_MEMORY,
                reason: "OOMKilled",
            }),
            "image" => Some(Trouble::Image),
            "config" => Some(Trouble::Config),
            "init" => Some(Trouble::Init {
                code: code.unwrap_or(1),
            }),
            "evicted" => Some(Trouble::Evicted),
            _ => None,
        };
        Self {
            trouble,
            container: annotation(pod, "container").to_owned(),
            message: annotation(pod, "message").to_owned(),
            start_seconds: seconds("start-seconds").unwrap_or(START_SECONDS),
            run_seconds: seconds("run-seconds").unwrap_or(RUN_SECONDS),
            never_ready: annotation(pod, "never-ready") == "true",
            recovers_seconds: seconds("recovers-seconds"),
        }
    }

    /// Tells one behaviour from another: a pod's is followed anew when it changes.
    pub(super) fn key(pod: &Value) -> String {
        let names = [
            "fails",
            "exit-code",
            "container",
            "message",
            "never-ready",
            "recovers-seconds",
        ];
        names.map(|name| annotation(pod, name)).join("\n")
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

    fn behaviour(annotations: Value) -> Behaviour {
        Behaviour::of(&json!({"metadata": {"annotations": annotations}}))
    }

    #[test]
    fn annotations_say_what_goes_wrong() {
        let crash = |code, reason| Some(Trouble::Crash { code, reason });
        let cases = [
            (json!({"lab/fails": "crash"}), crash(1, "Error")),
            (
                json!({"lab/fails": "crash", "lab/exit-code": "3"}),
                crash(3, "Error"),
            ),
            (
                json!({"lab/fails": "crash", "lab/exit-code": "0"}),
                crash(0, "Completed"),
            ),
            (json!({"lab/fails": "oom"}), crash(137, "OOMKilled")),
            (
                json!({"lab/fails": "init", "lab/exit-code": "2"}),
                Some(Trouble::Init { code: 2 }),
            ),
            (json!({"lab/fails": "nonsense"}), None),
            (json!({}), None),
        ];
        for (annotations, wanted) in cases {
            assert_eq!(behaviour(annotations.clone()).trouble, wanted, "{annotations}");
        }
    }

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
