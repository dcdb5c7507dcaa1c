//! What kubectl's table says of a pod: READY, STATUS, RESTARTS.

use crate::api::age::age;
use crate::json::{flag, is_terminating, items, number, text};
use serde_json::{Value, json};

pub(super) fn ready(pod: &Value) -> String {
    let ready = items(pod, "/status/containerStatuses")
        .iter()
        .filter(|c| flag(c, "/ready"))
        .count();
    format!("{ready}/{}", items(pod, "/spec/containers").len())
}

/// kubectl's STATUS: the most telling of what the containers say.
pub(super) fn pod_status(pod: &Value) -> String {
    if is_terminating(pod) {
        return "Terminating".to_owned();
    }
    let own = text(pod, "/status/reason");
    let phase = text(pod, "/status/phase");
    let basic = if own.is_empty() { phase } else { own };
    let inits = items(pod, "/status/initContainerStatuses");
    let open = inits.iter().position(|one| {
        !one.pointer("/state/terminated/exitCode")
            .is_some_and(|code| code == 0)
    });
    if let Some(at) = open {
        let told = state_word(&inits[at]).filter(|word| word != "PodInitializing");
        let count = items(pod, "/spec/initContainers").len();
        return told.map_or_else(|| format!("Init:{at}/{count}"), |word| format!("Init:{word}"));
    }
    let statuses = items(pod, "/status/containerStatuses");
    // The first one that waits or has ended has the last word.
    let word = statuses
        .iter()
        .find_map(state_word)
        .unwrap_or_else(|| basic.to_owned());
    let runs = statuses
        .iter()
        .any(|one| flag(one, "/ready") && one.pointer("/state/running").is_some());
    if word == "Completed" && runs {
        "NotReady".to_owned()
    } else {
        word
    }
}

fn state_word(status: &Value) -> Option<String> {
    let waiting = text(status, "/state/waiting/reason");
    let ended = text(status, "/state/terminated/reason");
    if !waiting.is_empty() {
        return Some(waiting.to_owned());
    }
    if !ended.is_empty() {
        return Some(ended.to_owned());
    }
    let code = status.pointer("/state/terminated/exitCode")?;
    Some(format!("ExitCode:{code}"))
}

/// With the time of the last one.
pub(super) fn restarts(pod: &Value) -> Value {
    let inits = items(pod, "/status/initContainerStatuses");
    let starting = inits.iter().any(|one| {
        !one.pointer("/state/terminated/exitCode")
            .is_some_and(|code| code == 0)
    });
    let counted = if starting {
        inits
    } else {
        items(pod, "/status/containerStatuses")
    };
    let count: i64 = counted.iter().map(|one| number(one, "/restartCount")).sum();
    let times = counted
        .iter()
        .map(|one| text(one, "/lastState/terminated/finishedAt"));
    match times.max().filter(|time| !time.is_empty()) {
        Some(time) if count > 0 => json!(format!("{count} ({} ago)", age(time))),
        _ => json!(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_status_is_what_its_containers_say() {
        let waiting = |reason: &str| json!({"state": {"waiting": {"reason": reason}}});
        let ended =
            |code: i64, reason: &str| json!({"state": {"terminated": {"exitCode": code, "reason": reason}}});
        let running = json!({"ready": true, "state": {"running": {}}});
        let cases = [
            (
                json!({"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff"), running]}),
                "CrashLoopBackOff",
            ),
            (
                json!({"phase": "Failed", "containerStatuses": [ended(1, "Error")]}),
                "Error",
            ),
            (
                json!({"phase": "Succeeded", "containerStatuses": [ended(0, "Completed")]}),
                "Completed",
            ),
            (json!({"phase": "Failed", "reason": "Evicted"}), "Evicted"),
            (
                json!({"phase": "Pending", "initContainerStatuses": [waiting("CrashLoopBackOff")]}),
                "Init:CrashLoopBackOff",
            ),
            (
                json!({"phase": "Pending", "initContainerStatuses": [running]}),
                "Init:0/1",
            ),
            (
                json!({"phase": "Running", "containerStatuses": [running, ended(0, "Completed")]}),
                "NotReady",
            ),
            (json!({"phase": "Pending"}), "Pending"),
        ];
        for (status, wanted) in cases {
            let pod = json!({"spec": {"initContainers": [{}]}, "status": status});
            assert_eq!(pod_status(&pod), wanted, "{pod}");
        }
    }
}
