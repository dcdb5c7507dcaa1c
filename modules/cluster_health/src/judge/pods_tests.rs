use crate::samples::{ago, cluster, container, node, not_ready, pod, with};
use serde_json::{Value, json};

/// The pod with other containers, not ready for so many seconds.
pub(super) fn containers(statuses: Value, seconds: u64) -> Value {
    let pod = not_ready(pod("web-1"), seconds);
    with(pod, json!({"status": {"containerStatuses": statuses}}))
}

fn waiting(reason: &str) -> Value {
    containers(
        json!([container(
            json!({"waiting": {"reason": reason, "message": "said so"}})
        )]),
        20,
    )
}

fn unscheduled(seconds: u64, reason: &str) -> Value {
    let scheduled = json!({"type": "PodScheduled", "status": "False", "reason": reason, "message": "0/3 nodes are available"});
    let pod = with(
        pod("web-1"),
        json!({"spec": {"nodeName": ""}, "metadata": {"creationTimestamp": ago(seconds)}}),
    );
    with(
        pod,
        json!({"status": {"phase": "Pending", "conditions": [scheduled], "containerStatuses": null}}),
    )
}

fn creating(seconds: u64) -> Value {
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": ago(seconds)});
    let creating = container(json!({"waiting": {"reason": "ContainerCreating"}}));
    with(
        pod("web-1"),
        json!({"status": {"phase": "Pending", "conditions": [scheduled], "containerStatuses": [creating]}}),
    )
}

fn owned(pod: Value, kind: &str, name: &str) -> Value {
    let owner = json!([{"kind": kind, "name": name, "controller": true}]);
    with(pod, json!({"metadata": {"ownerReferences": owner}}))
}

fn naked(pod: Value) -> Value {
    with(pod, json!({"metadata": {"ownerReferences": null}}))
}

fn phase(phase: &str, reason: &str) -> Value {
    let status = json!({"phase": phase, "reason": reason, "conditions": null, "containerStatuses": null});
    with(pod("web-1"), json!({"status": status}))
}

/// Judges each pod; `web:` stands for the Deployment that it is of.
pub(super) fn assert_judged(table: &[(&str, Value, &str)]) {
    for (case, pod, expected) in table {
        let expected = expected.replace("web:", "Pod demo/Deployment/web:");
        let expected: Vec<&str> = expected.lines().collect();
        assert_eq!(cluster().pod(pod.clone()).verdicts(json!({})), expected, "{case}");
    }
}

#[test]
fn a_pod_is_judged_by_its_containers() {
    let init = json!([container(json!({"waiting": {"reason": "CrashLoopBackOff"}}))]);
    let init = json!({"status": {"phase": "Pending", "initContainerStatuses": init}});
    let image = "error web: ImagePullBackOff";
    assert_judged(&[
        ("well", pod("web-1"), ""),
        (
            "crashing",
            waiting("CrashLoopBackOff"),
            "error web: CrashLoopBackOff",
        ),
        ("image", waiting("ErrImagePull"), image),
        ("image, later", waiting("ImagePullBackOff"), image),
        ("image, never", waiting("ErrImageNeverPull"), image),
        ("image's name", waiting("InvalidImageName"), image),
        ("registry", waiting("RegistryUnavailable"), image),
        (
            "secret",
            waiting("CreateContainerConfigError"),
            "error web: CreateContainerConfigError",
        ),
        (
            "command",
            waiting("RunContainerError"),
            "error web: RunContainerError",
        ),
        (
            "init",
            with(not_ready(pod("web-1"), 20), init),
            "error web: CrashLoopBackOff",
        ),
    ]);
}

#[test]
fn a_pod_is_judged_by_its_phase() {
    assert_judged(&[
        ("succeeded", phase("Succeeded", ""), ""),
        ("evicted", phase("Failed", "Evicted"), "warning web: Evicted"),
        ("replaced", phase("Failed", "NodeAffinity"), "warning web: Failed"),
        ("of a Job", owned(phase("Failed", ""), "Job", "migrate"), ""),
        (
            "nobody's",
            naked(phase("Failed", "")),
            "error Pod demo/web-1: Failed",
        ),
        ("unknown", phase("Unknown", ""), "error web: Unknown"),
    ]);
}

#[test]
fn a_pod_is_judged_by_its_age() {
    let young = |reason: &str| format!("info web: {reason} settling");
    assert_judged(&[
        (
            "not ready, young",
            not_ready(pod("web-1"), 20),
            &young("NotReady"),
        ),
        ("not ready", not_ready(pod("web-1"), 400), "error web: NotReady"),
        ("creating, young", creating(20), &young("Pending")),
        ("creating", creating(400), "error web: Pending"),
        (
            "no place, young",
            unscheduled(20, "Unschedulable"),
            &young("Unschedulable"),
        ),
        (
            "no place",
            unscheduled(400, "Unschedulable"),
            "error web: Unschedulable",
        ),
        (
            "gated",
            unscheduled(400, "SchedulingGated"),
            "warning web: SchedulingGated",
        ),
        ("of a Job, young", owned(creating(20), "Job", "migrate"), ""),
        (
            "of a Job",
            owned(creating(400), "Job", "migrate"),
            "error Pod demo/Job/migrate: Pending",
        ),
    ]);
}

#[test]
fn limits_move_what_counts_as_trouble() {
    let table = [
        (
            not_ready(pod("web-1"), 20),
            json!({"not_ready_limit": 10}),
            "error Pod demo/Deployment/web: NotReady",
        ),
        (
            creating(400),
            json!({"pending_limit": 500}),
            "info Pod demo/Deployment/web: Pending settling",
        ),
        (
            unscheduled(20, "Unschedulable"),
            json!({"pending_limit": 10}),
            "error Pod demo/Deployment/web: Unschedulable",
        ),
    ];
    for (pod, limits, expected) in table {
        assert_eq!(
            cluster().pod(pod).verdicts(limits.clone()),
            [expected],
            "{limits}"
        );
    }
}

#[test]
fn reports_why_a_terminating_pod_is_stuck() {
    let terminating = |seconds| {
        let metadata = json!({"deletionTimestamp": ago(seconds), "finalizers": ["example.org/keep"]});
        with(pod("web-1"), json!({"metadata": metadata}))
    };
    assert!(cluster().pod(terminating(20)).verdicts(json!({})).is_empty());
    let stuck = cluster().pod(terminating(400));
    assert_eq!(
        stuck.verdicts(json!({})),
        ["error Pod demo/Deployment/web: Terminating"]
    );
    let message = &stuck.judged(json!({})).verdicts[0].message;
    assert_eq!(
        message,
        "web-1: it should have been gone 6 min ago, on n1; it waits for its finalizers: example.org/keep"
    );
    assert!(stuck.verdicts(json!({"terminating_limit": 500})).is_empty());
}

#[test]
fn the_pods_of_a_lost_node_are_a_consequence_of_it() {
    let lost = json!([{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}]);
    let lost = with(node("n1"), json!({"status": {"conditions": lost}}));
    let leaving = with(pod("web-2"), json!({"metadata": {"deletionTimestamp": ago(400)}}));
    let seen = cluster()
        .node(lost)
        .pod(not_ready(pod("web-1"), 400))
        .pod(leaving);
    assert_eq!(
        seen.verdicts(json!({})),
        [
            "error Node n1: NotReady",
            "warning Pod demo/Deployment/web: OnLostNode x2"
        ]
    );
}

/// A container that runs for `runs` seconds after one that lived `lived` and ended with `status`.
fn restarted(runs: u64, lived: u64, status: i32, reason: &str, restarts: u32) -> Value {
    let (started, ended) = (ago(runs + lived + 1), ago(runs + 1));
    let last = json!({"terminated": {"exitCode": status, "reason": reason, "startedAt": started, "finishedAt": ended}});
    let container = json!({"name": "app", "restartCount": restarts, "state": {"running": {"startedAt": ago(runs)}}, "lastState": last});
    with(
        pod("web-1"),
        json!({"status": {"containerStatuses": [container]}}),
    )
}

#[test]
fn a_ready_pod_may_be_between_two_crashes() {
    let (looping, once) = (
        "error Pod demo/Deployment/web: CrashLoopBackOff",
        "warning Pod demo/Deployment/web: Restarted",
    );
    let table: Vec<(&str, Value, Option<&str>)> = vec![
        (
            "just started again",
            restarted(3, 5, 1, "Error", 4),
            Some(looping),
        ),
        (
            "not yet longer than before",
            restarted(100, 80, 1, "Error", 4),
            Some(looping),
        ),
        (
            "longer than before: it is back",
            restarted(200, 80, 1, "Error", 4),
            Some(once),
        ),
        ("the first crash", restarted(3, 5, 1, "Error", 1), Some(once)),
        ("after a long life", restarted(3, 7000, 1, "Error", 4), Some(once)),
        (
            "out of memory, again and again",
            restarted(3, 90, 137, "OOMKilled", 4),
            Some("error Pod demo/Deployment/web: OOMKilled"),
        ),
        (
            "out of memory, once",
            restarted(30, 7000, 137, "OOMKilled", 4),
            Some(once),
        ),
        ("long ago", restarted(700, 5, 1, "Error", 4), None),
        ("its node went away", restarted(3, 5, 255, "Unknown", 4), None),
        (
            "it was done, again and again",
            restarted(3, 5, 0, "Completed", 4),
            Some(looping),
        ),
        ("it was done, once", restarted(3, 5, 0, "Completed", 1), None),
        (
            "its kubelet has lost it",
            restarted(3, 5, 137, "ContainerStatusUnknown", 4),
            None,
        ),
    ];
    for (case, pod, expected) in table {
        let expected: Vec<&str> = expected.into_iter().collect();
        assert_eq!(cluster().pod(pod).verdicts(json!({})), expected, "{case}");
    }
    let seen = cluster().pod(restarted(400, 5, 1, "Error", 4));
    assert!(seen.verdicts(json!({"restart_window": 300})).is_empty());
}

#[test]
fn reports_a_crash_with_its_exit() {
    let ended = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ago(12)}});
    let waits = json!({"name": "app", "restartCount": 12, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended});
    let seen = cluster().pod(containers(json!([waits]), 20));
    let verdict = &seen.judged(json!({})).verdicts[0];
    assert_eq!(
        verdict.message,
        "web-1: container app: it is killed for using more memory than it may; it ended with status 137 (OOMKilled) 12 s ago, 12 restarts"
    );
    let crashed = container(json!({"terminated": {"exitCode": 1, "reason": "Error"}}));
    let never = with(
        containers(json!([crashed.clone()]), 20),
        json!({"spec": {"restartPolicy": "Never"}}),
    );
    assert_eq!(
        cluster().pod(never).verdicts(json!({})),
        ["info Pod demo/Deployment/web: NotReady settling"]
    );
    assert_eq!(
        cluster()
            .pod(containers(json!([crashed]), 20))
            .verdicts(json!({})),
        ["error Pod demo/Deployment/web: CrashLoopBackOff"]
    );
}

#[test]
fn a_pod_that_crashed_and_is_not_ready_is_waited_for() {
    let pod = not_ready(restarted(3, 5, 1, "Error", 1), 3);
    assert_eq!(
        cluster().pod(pod).verdicts(json!({})),
        ["info Pod demo/Deployment/web: NotReady settling"]
    );
}

#[test]
fn the_owner_is_what_makes_the_next_pod() {
    let job = json!({"metadata": {"name": "backup-29", "namespace": "demo", "ownerReferences": [{"kind": "CronJob", "name": "backup", "controller": true}]}});
    let mirror = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}});
    let unhashed = json!({"metadata": {"labels": {"pod-template-hash": "other"}}});
    let table = [
        (waiting("CrashLoopBackOff"), "Deployment/web"),
        (
            with(waiting("CrashLoopBackOff"), unhashed),
            "ReplicaSet/web-5448b494b7",
        ),
        (
            owned(waiting("CrashLoopBackOff"), "StatefulSet", "db"),
            "StatefulSet/db",
        ),
        (
            owned(waiting("CrashLoopBackOff"), "Job", "backup-29"),
            "CronJob/backup",
        ),
        (
            owned(waiting("CrashLoopBackOff"), "Job", "migrate"),
            "Job/migrate",
        ),
        (owned(waiting("CrashLoopBackOff"), "Cluster", "pg"), "Cluster/pg"),
        (
            with(owned(waiting("CrashLoopBackOff"), "Node", "n1"), mirror),
            "web-1",
        ),
        (naked(waiting("CrashLoopBackOff")), "web-1"),
    ];
    for (pod, owner) in table {
        let expected = format!("error Pod demo/{owner}: CrashLoopBackOff");
        assert_eq!(
            cluster().job(job.clone()).pod(pod).verdicts(json!({})),
            [expected]
        );
    }
}

#[test]
fn a_pod_that_waits_for_a_node_of_ours_is_planned() {
    let record = |pinned: u32| {
        let owner =
            json!({"namespace": "demo", "kind": "StatefulSet", "name": "db", "ready": 1, "pinned": pinned});
        json!({"run": "r1", "owners": [owner]}).to_string()
    };
    let cordoned = |record: String| {
        let annotations = json!({"homelab.k3s/cordon": record});
        with(
            node("n1"),
            json!({"metadata": {"annotations": annotations}, "spec": {"unschedulable": true}}),
        )
    };
    let db = || owned(unscheduled(400, "Unschedulable"), "StatefulSet", "db");
    let planned = cluster().node(cordoned(record(1))).pod(db());
    assert_eq!(
        planned.verdicts(json!({})),
        [
            "info Node n1: Cordoned",
            "info Pod demo/StatefulSet/db: Unschedulable"
        ]
    );
    assert!(planned.judged(json!({})).is_healthy() && planned.judged(json!({})).settling() == 0);
    let by_others = cluster().node(cordoned(record(0))).pod(db());
    assert_eq!(
        by_others.verdicts(json!({})),
        [
            "error Pod demo/StatefulSet/db: Unschedulable",
            "info Node n1: Cordoned"
        ]
    );
}
