//! Containers: what their states say that a pod's phase does not.

use super::span;
use crate::params::Params;
use crate::state::{Container, Pod, Seen, Terminated};
use crate::verdict::{Reason, Trouble};
use std::time::{Duration, SystemTime};

/// A container that crashed must have run this long before it counts as back.
const PROVEN: Duration = Duration::from_secs(30);
/// The status of a container whose node went away; not the container's doing.
const LOST: i32 = 255;

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

fn of_container(params: &Params, seen: &Seen, pod: &Pod, container: &Container) -> Option<Trouble> {
    let Container {
        name,
        state,
        last_state,
        ..
    } = container;
    if let Some(waiting) = &state.waiting {
        let said = format!("container {name}: {}: {}", waiting.reason, waiting.message);
        return match waiting.reason.as_str() {
            "CrashLoopBackOff" => Some(crash(container, last_state.terminated.as_ref(), seen.now)),
            "CreateContainerConfigError" | "CreateContainerError" => {
                Some(Trouble::error(Reason::CreateContainerConfigError, said))
            }
            "RunContainerError" | "PostStartHookError" | "PreStartHookError" => {
                Some(Trouble::error(Reason::RunContainerError, said))
            }
            // ErrImagePull, ImagePullBackOff, ErrImageNeverPull, InvalidImageName, ImageInspectError …
            reason if reason.contains("Image") || reason == "RegistryUnavailable" => {
                Some(Trouble::error(Reason::ImagePullBackOff, said))
            }
            // ContainerCreating, PodInitializing, and what a newer kubelet may call it: a matter of time.
            _ => None,
        };
    }
    if let Some(ended) = state.terminated.as_ref().filter(|ended| ended.exit_code != 0) {
        // Between a crash and the next start.
        return pod
            .starts_again(name)
            .then(|| crash(container, Some(ended), seen.now));
    }
    running(params, seen, container)
}

/// A container that runs now, and crashed a while ago.
fn running(params: &Params, seen: &Seen, container: &Container) -> Option<Trouble> {
    let last = container.last_state.terminated.as_ref()?;
    let recent = last
        .finished_at
        .is_some_and(|at| at.until(seen.now) <= params.limits.restart_window);
    if !recent || last.exit_code == 0 || last.exit_code == LOST {
        return None;
    }
    if is_looping(params, seen.now, container, last) {
        return Some(crash(container, Some(last), seen.now));
    }
    let message = format!(
        "container {}: it runs again after a crash{}",
        container.name,
        ended(last, container, seen.now)
    );
    Some(Trouble::warning(Reason::Restarted, message).since(last.finished_at.map(SystemTime::from)))
}

/// Whether it only runs because it is between two crashes: it has crashed before, soon after its start, and has not
/// yet run longer this time.
fn is_looping(params: &Params, now: SystemTime, container: &Container, last: &Terminated) -> bool {
    let (Some(started), Some(finished)) = (last.started_at, last.finished_at) else {
        return false;
    };
    let lived = started.until(finished.into());
    let runs = container
        .state
        .running
        .as_ref()
        .and_then(|running| running.started_at);
    let runs_for = runs.map_or(Duration::ZERO, |started| started.until(now));
    container.restart_count >= 2 && lived < params.limits.restart_window && runs_for < (lived * 2).max(PROVEN)
}

fn crash(container: &Container, last: Option<&Terminated>, now: SystemTime) -> Trouble {
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
    Trouble::error(reason, format!("container {}: {what}{how}", container.name))
        .since(last.and_then(|last| last.finished_at).map(SystemTime::from))
}

fn ended(last: &Terminated, container: &Container, now: SystemTime) -> String {
    let ago = last
        .finished_at
        .map(|at| format!(" {} ago", span(at.until(now))))
        .unwrap_or_default();
    format!(
        "; it ended with status {} ({}){ago}, {} restarts",
        last.exit_code, last.reason, container.restart_count
    )
}
