//! This node's pods: which of them needs what done. What the API has stays there while k3s is stopped, as real
//! pods go on running.

use super::Kubelet;
use super::life::Life;
use super::picture::Picture;
use super::status::{path, report};
use super::trouble::{Behaviour, is_job};
use crate::clock::paced;
use crate::json::{condition, is_terminating, items, name, namespace, number, text, uid};
use crate::log;
use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const STOP_SECONDS: f64 = 2.0;
const RETRY_SECONDS: f64 = 2.0;
/// Real seconds, after which the list is fetched again: a server may vanish without closing its connections.
const WATCH: u64 = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Live,
    Recover,
    Stop,
}

/// What is being done for a pod.
struct Task {
    work: Work,
    behaviour: String,
    handle: JoinHandle<()>,
}

/// By the pod's uid, so that an event does not begin it twice.
type Tasks = HashMap<String, Task>;

pub(super) async fn run(kubelet: Arc<Kubelet>) {
    let mut tasks = Tasks::new();
    loop {
        if let Err(error) = follow(&kubelet, &mut tasks).await {
            log::error(&format!("Failed to watch the pods of this node: {error:#}"));
            tokio::time::sleep(paced(RETRY_SECONDS)).await;
        }
    }
}

/// Lists and watches until the watch ends.
async fn follow(kubelet: &Arc<Kubelet>, tasks: &mut Tasks) -> Result<()> {
    let selector = format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{}", kubelet.name());
    let listed = kubelet.client.get(&selector).await?;
    ensure!(listed.is_ok(), "{}", listed.status_text());
    let list = listed.json();
    for pod in items(&list, "/items") {
        take(kubelet, tasks, pod);
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
        let pod = &event["object"];
        match text(&event, "/type") {
            "ADDED" | "MODIFIED" => take(kubelet, tasks, pod),
            "DELETED" => forget(tasks, uid(pod)),
            "ERROR" => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

fn forget(tasks: &mut Tasks, uid: &str) {
    if let Some(task) = tasks.remove(uid) {
        task.handle.abort();
    }
}

fn take(kubelet: &Arc<Kubelet>, tasks: &mut Tasks, pod: &Value) {
    let behaviour = Behaviour::key(pod);
    let wanted = work_for(pod);
    if let Some(task) = tasks.get(uid(pod)).filter(|task| !task.handle.is_finished()) {
        let same = task.behaviour == behaviour;
        let goes_on = match wanted {
            Some(work) => work == task.work && (same || work == Work::Stop),
            None => same,
        };
        if goes_on {
            return;
        }
    }
    forget(tasks, uid(pod));
    let Some(work) = wanted else { return };
    let (kubelet, pod) = (Arc::clone(kubelet), pod.clone());
    let key = uid(&pod).to_owned();
    let handle = tokio::spawn(async move {
        while let Err(error) = begin(&kubelet, &pod, work).await {
            let (space, own) = (namespace(&pod), name(&pod));
            log::error(&format!("Error syncing pod {space}/{own}: {error:#}"));
            tokio::time::sleep(paced(RETRY_SECONDS)).await;
        }
    });
    let task = Task {
        work,
        behaviour,
        handle,
    };
    tasks.insert(key, task);
}

fn work_for(pod: &Value) -> Option<Work> {
    let stopped = pod
        .pointer("/status/containerStatuses/0/state/terminated")
        .is_some();
    let behaviour = Behaviour::of(pod);
    match text(pod, "/status/phase") {
        // Terminated, and still there: a finalizer holds it, not we.
        _ if is_terminating(pod) => {
            (!stopped || number(pod, "/metadata/deletionGracePeriodSeconds") > 0).then_some(Work::Stop)
        }
        "Succeeded" | "Failed" => None,
        "Pending" => Some(Work::Live),
        _ if behaviour.fails(pod) || is_job(pod) => Some(Work::Live),
        // The node was taken for lost, and its pods for not ready; or what was wrong with the pod is over.
        _ if condition(pod, "Ready") == "False" => Some(Work::Recover),
        _ => None,
    }
}

/// Looks again first: an event may be older than what was done since.
async fn begin(kubelet: &Kubelet, pod: &Value, work: Work) -> Result<()> {
    let found = kubelet.client.get(&path(pod)).await?;
    if found.status == 404 {
        return Ok(());
    }
    ensure!(found.is_ok(), "{}", found.status_text());
    let fresh = found.json();
    if uid(&fresh) != uid(pod) || work_for(&fresh) != Some(work) {
        return Ok(());
    }
    match work {
        Work::Live => Life::of(kubelet, &fresh).live().await,
        Work::Recover => Life::of(kubelet, &fresh).recover().await,
        Work::Stop => stop(kubelet, &fresh).await,
    }
}

async fn stop(kubelet: &Kubelet, pod: &Value) -> Result<()> {
    let grace = number(pod, "/metadata/deletionGracePeriodSeconds");
    let grace = f64::from(i32::try_from(grace).unwrap_or(i32::MAX));
    tokio::time::sleep(paced(STOP_SECONDS.min(grace))).await;
    let mut picture = Picture::of(pod, &kubelet.config.node_ip);
    for one in &mut picture.mains {
        one.end(0, "Completed", "");
    }
    let mut status = picture.status();
    status["phase"] = pod["status"]["phase"].clone();
    report(kubelet, pod, &status).await?;
    let options = json!({
        "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": {"uid": uid(pod)},
    });
    let deleted = kubelet
        .client
        .send(Method::DELETE, &path(pod), Some(("application/json", &options)))
        .await?;
    // Gone already, or another pod of that name: ours is gone.
    ensure!(
        deleted.is_ok() || [404, 409].contains(&deleted.status.as_u16()),
        "{}",
        deleted.status_text()
    );
    Ok(())
}
