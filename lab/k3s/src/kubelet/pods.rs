//! The life of this node's pods. There is no container: a pod starts after a while, and ends after a while.
//! What is told to the API stays there while k3s is stopped, as real pods go on running.

use super::{Kubelet, MERGE};
use crate::clock::{self, paced};
use crate::json::{condition, is_terminating, items, name, namespace, number, text, uid};
use crate::log;
use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const START_SECONDS: f64 = 1.5;
const STOP_SECONDS: f64 = 2.0;
const JOB_SECONDS: f64 = 2.0;
const RETRY_SECONDS: f64 = 2.0;
/// Real seconds, after which the list is fetched again: a server may vanish without closing its connections.
const WATCH: u64 = 30;

/// What is being done, by the pod's uid, so that an event does not begin it twice.
#[derive(Default)]
struct Busy(Mutex<HashSet<(String, Work)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Work {
    Start,
    Recover,
    Stop,
}

impl Busy {
    fn begin(&self, pod: &Value, work: Work) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((uid(pod).to_owned(), work))
    }

    fn end(&self, pod: &Value, work: Work) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(uid(pod).to_owned(), work));
    }
}

pub async fn run(kubelet: Arc<Kubelet>) {
    let busy = Arc::new(Busy::default());
    loop {
        if let Err(error) = follow(&kubelet, &busy).await {
            log::error(&format!("Failed to watch the pods of this node: {error:#}"));
            tokio::time::sleep(paced(RETRY_SECONDS)).await;
        }
    }
}

/// Lists and watches until the watch ends.
async fn follow(kubelet: &Arc<Kubelet>, busy: &Arc<Busy>) -> Result<()> {
    let selector = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}", kubelet.name());
    let listed = kubelet.client.get(&selector).await?;
    ensure!(listed.is_ok(), "{}", listed.status_text());
    let list = listed.json();
    for pod in items(&list, "/items") {
        take(kubelet, busy, pod);
    }
    let version = text(&list, "/metadata/resourceVersion").to_owned();
    let mut lines = kubelet
        .client
        .watch(&format!(
            "{selector}&watch=true&timeoutSeconds={WATCH}&resourceVersion={version}"
        ))
        .await?;
    let silence = Duration::from_secs(WATCH + 10);
    while let Ok(Some(event)) = tokio::time::timeout(silence, lines.next()).await {
        match text(&event, "/type") {
            "ADDED" | "MODIFIED" => take(kubelet, busy, &event["object"]),
            "ERROR" => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

fn take(kubelet: &Arc<Kubelet>, busy: &Arc<Busy>, pod: &Value) {
    let Some(work) = work_for(pod) else { return };
    if !busy.begin(pod, work) {
        return;
    }
    let (kubelet, busy, pod) = (Arc::clone(kubelet), Arc::clone(busy), pod.clone());
    tokio::spawn(async move {
        while let Err(error) = do_work(&kubelet, &pod, work).await {
            log::error(&format!(
                "Error syncing pod {}/{}: {error:#}",
                namespace(&pod),
                name(&pod)
            ));
            tokio::time::sleep(paced(RETRY_SECONDS)).await;
        }
        busy.end(&pod, work);
    });
}

fn work_for(pod: &Value) -> Option<Work> {
    let running = text(pod, "/status/phase") == "Running";
    let stopped = pod
        .pointer("/status/containerStatuses/0/state/terminated")
        .is_some();
    match text(pod, "/status/phase") {
        // Terminated, and still there: a finalizer holds it, not we.
        _ if is_terminating(pod) => {
            (!stopped || number(pod, "/metadata/deletionGracePeriodSeconds") > 0).then_some(Work::Stop)
        }
        "Pending" => Some(Work::Start),
        // The node was taken for lost, and its pods for not ready.
        _ if running && condition(pod, "Ready") == "False" && !never_ready(pod) => Some(Work::Recover),
        _ => None,
    }
}

async fn do_work(kubelet: &Kubelet, pod: &Value, work: Work) -> Result<()> {
    match work {
        Work::Start => start(kubelet, pod).await,
        Work::Recover => report(kubelet, pod, &running(kubelet, pod)).await,
        Work::Stop => stop(kubelet, pod).await,
    }
}

fn annotation<'a>(pod: &'a Value, name: &str) -> &'a str {
    pod["metadata"]["annotations"][format!("lab/{name}")]
        .as_str()
        .unwrap_or_default()
}

fn never_ready(pod: &Value) -> bool {
    annotation(pod, "never-ready") == "true"
}

fn is_job(pod: &Value) -> bool {
    items(pod, "/metadata/ownerReferences")
        .iter()
        .any(|owner| text(owner, "/kind") == "Job")
}

async fn start(kubelet: &Kubelet, pod: &Value) -> Result<()> {
    let seconds: f64 = annotation(pod, "start-seconds").parse().unwrap_or(START_SECONDS);
    report(kubelet, pod, &creating(kubelet, pod)).await?;
    tokio::time::sleep(paced(seconds)).await;
    report(kubelet, pod, &running(kubelet, pod)).await?;
    if is_job(pod) {
        tokio::time::sleep(paced(JOB_SECONDS)).await;
        report(kubelet, pod, &ended(pod, "Succeeded")).await?;
    }
    Ok(())
}

async fn stop(kubelet: &Kubelet, pod: &Value) -> Result<()> {
    let wanted: f64 = annotation(pod, "stop-seconds").parse().unwrap_or(STOP_SECONDS);
    let grace = number(pod, "/metadata/deletionGracePeriodSeconds");
    let grace = f64::from(i32::try_from(grace).unwrap_or(i32::MAX));
    tokio::time::sleep(paced(wanted.min(grace))).await;
    report(kubelet, pod, &ended(pod, text(pod, "/status/phase"))).await?;
    let options = json!({
        "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": {"uid": uid(pod)},
    });
    let deleted = kubelet
        .client
        .send(Method::DELETE, &path(pod), Some(("application/json", &options)))
        .await?;
    // Gone already, or another pod of that name: ours is no more.
    ensure!(
        deleted.is_ok() || [404, 409].contains(&deleted.status.as_u16()),
        "{}",
        deleted.status_text()
    );
    Ok(())
}

fn path(pod: &Value) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", namespace(pod), name(pod))
}

async fn report(kubelet: &Kubelet, pod: &Value, status: &Value) -> Result<()> {
    let patch = json!({"metadata": {"uid": uid(pod)}, "status": status});
    let status_path = format!("{}/status", path(pod));
    let patched = kubelet
        .client
        .send(Method::PATCH, &status_path, Some((MERGE, &patch)))
        .await?;
    ensure!(
        patched.is_ok() || [404, 409].contains(&patched.status.as_u16()),
        "{}",
        patched.status_text()
    );
    Ok(())
}

fn conditions(initialized: bool, ready: bool) -> Value {
    let now = clock::seconds();
    let condition = |kind: &str, is: bool| json!({"type": kind, "status": if is { "True" } else { "False" }, "lastTransitionTime": now, "lastProbeTime": null});
    json!([
        condition("Initialized", initialized),
        condition("Ready", ready),
        condition("ContainersReady", ready),
        condition("PodScheduled", true),
    ])
}

fn containers(pod: &Value, ready: bool, state: &Value) -> Value {
    let status = |container: &Value| {
        json!({
            "name": container["name"], "image": container["image"], "imageID": "", "ready": ready, "started": ready,
            "restartCount": 0, "state": state, "lastState": {},
        })
    };
    items(pod, "/spec/containers").iter().map(status).collect()
}

fn creating(kubelet: &Kubelet, pod: &Value) -> Value {
    json!({
        "phase": "Pending", "hostIP": kubelet.config.node_ip, "startTime": clock::seconds(),
        "conditions": conditions(true, false),
        "containerStatuses": containers(pod, false, &json!({"waiting": {"reason": "ContainerCreating"}})),
    })
}

fn running(kubelet: &Kubelet, pod: &Value) -> Value {
    let ready = !never_ready(pod);
    let state = json!({"running": {"startedAt": clock::seconds()}});
    let own = text(pod, "/status/podIP");
    let address = if own.is_empty() {
        pod_address(&kubelet.config.node_ip, uid(pod))
    } else {
        own.to_owned()
    };
    json!({
        "phase": "Running", "hostIP": kubelet.config.node_ip, "podIP": address, "podIPs": [{"ip": address}],
        "conditions": conditions(true, ready), "containerStatuses": containers(pod, ready, &state),
    })
}

/// Pods answer nowhere; the address only has to look right and differ.
fn pod_address(node: &str, uid: &str) -> String {
    let host = node.rsplit('.').next().unwrap_or_default();
    let last = uid
        .bytes()
        .fold(0u32, |sum, b| sum.wrapping_mul(31).wrapping_add(u32::from(b)))
        % 250
        + 2;
    format!("10.42.{host}.{last}")
}

fn ended(pod: &Value, phase: &str) -> Value {
    let now = clock::seconds();
    let state =
        json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}});
    json!({
        "phase": phase, "conditions": conditions(true, false), "containerStatuses": containers(pod, false, &state),
    })
}
