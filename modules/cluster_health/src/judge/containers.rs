//! Containers: what their states say that a pod's phase does not.

use super::span;
use crate::params::Params;
use crate::state::Seen;
use crate::verdict::{Reason, Trouble};
use cluster::{ContainerStatus, Pod, Terminated};
use std::time::{Duration, SystemTime};

/// A container that crashed must have run this long before it counts as back.
const PROVEN: Duration = Duration::from_secs(30);
/// The status of a container whose node went away; not the container's doing.
const LOST: i32 = 255;
/// What the kubelet says of a container that it does not find any more, as after a restart of its node.
const GONE: &str = "ContainerStatusUnknown";

/// The worst trouble among the pod's containers.
pub(super) fn judge(params: &Params, seen: &Seen, pod: &Pod) -> Option<Trouble> {
    let troubles = pod
        .containers()
        .filter_map(|container| of_container(params, seen, pod, container));
    // Of equals the first: an init container's, if there is one.
    troubles.reduce(|worst, next| {
        if next.severity > worst.severity {
            next
        } else {
            worst
        }
    })
}

fn of_container(params: &Params, seen: &Seen, pod: &Pod, container: &ContainerStatus) -> Option<Trouble> {
    let ContainerStatus {
        name,
        state,
        last_state,
        ..
    } = container;
    if let Some(waiting) = &state.waiting {
        let said = format!("container {name}: {}: {}", waiting.reason, waiting.message);
        match waiting.reason.as_str() {
            "CrashLoopBackOff" => return Some(crash(container, last_state.terminated.as_ref(), seen.now)),
            "CreateContainerConfigError" | "CreateContainerError" => {
                return Some(Trouble::error(Reason::CreateContainerConfigError, said));
            }
            "RunContainerError" | "PostStartHookError" | "PreStartHookError" => {
                return Some(Trouble::error(Reason::RunContainerError, said));
            }
            // ErrImagePull, ImagePullBackOff, ErrImageNeverPull, InvalidImageName, ImageInspectError …
            reason if reason.contains("Image") || reason == "RegistryUnavailable" => {
                return Some(Trouble::error(Reason::ImagePullBackOff, said));
            }
            // ContainerCreating, PodInitializing, RestartingAllContainers, no word at all where the container is made and not
            // started yet, and what a newer kubelet may say: a matter of time, unless it crashes again and again.
            _ => {}
        }
    }
    if let Some(ended) = state.terminated.as_ref().filter(|ended| ended.exit_code != 0) {
        // Between a crash and the next start.
        return pod
            .starts_again(name, ended.exit_code)
            .then(|| crash(container, Some(ended), seen.now));
    }
    crashed(params, seen, pod, container)
}

/// A container that crashed a while ago, and runs now or is about to.
fn crashed(params: &Params, seen: &Seen, pod: &Pod, container: &ContainerStatus) -> Option<Trouble> {
    let last = last_crash(params, seen.now, pod, container)?;
    if container.restart_count >= 2 && is_unproven(params, seen.now, container, last) {
        return Some(crash(container, Some(last), seen.now));
    }
    if container.state.running.is_none() || last.exit_code == 0 {
        return None;
    }
    let message = format!(
        "container {}: it runs again after a crash{}",
        container.name,
        ended(last, container, seen.now)
    );
    Some(Trouble::warning(Reason::Restarted, message).since(last.finished_at.map(SystemTime::from)))
}

/// That it has crashed, once or again, and has not shown yet that it can run: the next look may find a crash loop.
pub(super) fn first_sign(params: &Params, seen: &Seen, pod: &Pod) -> Option<Trouble> {
    let unproven = |container: &&ContainerStatus| {
        let last = last_crash(params, seen.now, pod, container);
        last.is_some_and(|last| is_unproven(params, seen.now, container, last))
    };
    let found = pod.containers().find(unproven);
    found.map(|_| Trouble::suspected(Reason::CrashLoopBackOff))
}

/// How it ended last, where that was its own doing, lately, and no end that it may have.
fn last_crash<'c>(
    params: &Params,
    now: SystemTime,
    pod: &Pod,
    container: &'c ContainerStatus,
) -> Option<&'c Terminated> {
    let ContainerStatus {
        state, last_state, ..
    } = container;
    let last = state.terminated.as_ref().or(last_state.terminated.as_ref())?;
    if last.exit_code == LOST || last.reason == GONE || !pod.starts_again(&container.name, last.exit_code) {
        return None;
    }
    // Where the runtime has forgotten it, the next start shows it.
    let started = state.running.as_ref().and_then(|running| running.started_at);
    let recent = last
        .finished_at
        .or(started)
        .is_none_or(|at| at.until(now) <= params.limits.restart_window);
    recent.then_some(last)
}

/// Whether it only runs because it is between two crashes: the last came soon after its start, and it has not run longer
/// since then.
fn is_unproven(params: &Params, now: SystemTime, container: &ContainerStatus, last: &Terminated) -> bool {
    let lived = last.started_at.zip(last.finished_at);
    let lived = lived.map_or(Duration::ZERO, |(started, finished)| {
        started.until(finished.into())
    });
    let runs = container
        .state
        .running
        .as_ref()
        .and_then(|running| running.started_at);
    let runs_for = runs.map_or(Duration::ZERO, |started| started.until(now));
    lived < params.limits.restart_window && runs_for < (lived * 2).max(PROVEN)
}

fn crash(container: &ContainerStatus, last: Option<&Terminated>, now: SystemTime) -> Trouble {
    let out_of_memory = last.is_some_and(|last| last.reason == "OOMKilled");
    let (reason, what) = if out_of_memory {
        (
            Reason::OOMKilled,
            "it is killed for using more memory than it may",
        )
    } else {
        (Reason::CrashLoopBackOff, "it crashes again and again")
    };
    let how = last.map(|last| ended(last, container, now)).unwrap_or_default();
    // Since the last crash; when the first one was, nobody says.
    Trouble::error(reason, format!("container {}: {what}{how}", container.name))
        .since(last.and_then(|last| last.finished_at).map(SystemTime::from))
        .began(None)
}

fn ended(last: &Terminated, container: &ContainerStatus, now: SystemTime) -> String {
    let ago = last
        .finished_at
        .map(|at| format!(" {} ago", span(at.until(now))))
        .unwrap_or_default();
    format!(
        "; it ended with status {} ({}){ago}, {} restarts",
        last.exit_code, last.reason, container.restart_count
    )
}

#[cfg(test)]
#[path = "containers_tests.rs"]
mod tests;
