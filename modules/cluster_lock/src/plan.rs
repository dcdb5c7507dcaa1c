//! Who may have the cluster. Pure.

use crate::params::{Controller, Params, Wanted};
use crate::state::{BOOT_ID, HOST, Lease, Metadata, PROCESS, PURPOSE, Spec, State, USER, micro_time};
use ansible_module::Plan;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Fails where somebody else was quicker.
    Create(Lease),
    /// Guarded by the resource version: fails where somebody else was quicker.
    Replace {
        lease: Lease,
        why: &'static str,
    },
    Delete {
        resource_version: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(_) => f.write_str("take the lock of the cluster"),
            Self::Replace { why, .. } => f.write_str(why),
            Self::Delete { .. } => f.write_str("release the lock of the cluster"),
        }
    }
}

/// What keeps another run from taking the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Nobody,
    Us,
    /// A run that cannot come back, and how we know.
    Gone(&'static str),
    Other,
}

pub(crate) fn holder(params: &Params, state: &State) -> Holder {
    let Some(lease) = &state.lease else {
        return Holder::Nobody;
    };
    match lease.spec.holder_identity.as_deref() {
        None | Some("") => Holder::Gone("it names no holder"),
        Some(run_id) if run_id == params.run_id => Holder::Us,
        _ if lease.ends() <= state.now => Holder::Gone("it was not renewed in time"),
        _ if params
            .controller
            .as_ref()
            .is_some_and(|here| died_here(lease, here)) =>
        {
            Holder::Gone("the process that held it, on this control node, is gone")
        }
        Some(_) => Holder::Other,
    }
}

fn died_here(lease: &Lease, here: &Controller) -> bool {
    let process = lease.annotation(PROCESS);
    lease.annotation(BOOT_ID) == here.boot_id && !here.alive.iter().any(|alive| alive == process)
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let holder = holder(params, state);
    match params.state {
        Wanted::Held => hold(params, state, &holder),
        Wanted::Released => Ok(release(state, &holder)),
    }
}

fn hold(params: &Params, state: &State, holder: &Holder) -> Result<Plan<Step>> {
    let now = micro_time(state.now)?;
    let fresh = |state: &State| wanted(params, state.lease.as_ref(), &now, &now);
    let Some(lease) = &state.lease else {
        return Ok(Plan::of(vec![Step::Create(fresh(state))]));
    };
    match holder {
        Holder::Us => {
            let since = lease.spec.acquire_time.clone().unwrap_or_else(|| now.clone());
            let renewed = wanted(params, Some(lease), &since, &now);
            Ok(Plan::of(vec![Step::Replace {
                lease: renewed,
                why: "renew the lock of the cluster",
            }]))
        }
        Holder::Gone(how) => Ok(take_over(
            fresh(state),
            format!("took over the lock of {}: {how}", lease.holder()),
        )),
        _ if params.break_lock => Ok(take_over(
            fresh(state),
            format!("broke the lock of {}, as break_lock asks", lease.holder()),
        )),
        _ => bail!(
            "the cluster is held by {}: wait until that run has ended; if it is dead, its lock ends by itself in {} min, or run again with -e k3s_break_lock=true",
            lease.holder(),
            minutes_left(lease, state.now)
        ),
    }
}

fn take_over(lease: Lease, warning: String) -> Plan<Step> {
    let step = Step::Replace {
        lease,
        why: "take over the lock of the cluster",
    };
    Plan {
        warnings: vec![warning],
        ..Plan::of(vec![step])
    }
}

fn minutes_left(lease: &Lease, now: SystemTime) -> u64 {
    lease
        .ends()
        .duration_since(now)
        .unwrap_or_default()
        .as_secs()
        .div_ceil(60)
}

/// Also the lock that a dead run has left: where nothing is to be done, no run takes it over.
fn release(state: &State, holder: &Holder) -> Plan<Step> {
    let Some(lease) = &state.lease else {
        return Plan::default();
    };
    let delete = |warnings| Plan {
        warnings,
        ..Plan::of(vec![Step::Delete {
            resource_version: lease.metadata.resource_version.clone(),
        }])
    };
    let whose = lease.holder();
    match holder {
        Holder::Nobody | Holder::Us => delete(Vec::new()),
        Holder::Gone(how) => delete(vec![format!("released the lock of {whose}: {how}")]),
        Holder::Other => Plan {
            warnings: vec![format!("the lock was left alone: {whose} holds it")],
            ..Plan::default()
        },
    }
}

fn wanted(params: &Params, found: Option<&Lease>, since: &str, now: &str) -> Lease {
    let mut annotations = BTreeMap::from([(PURPOSE.to_owned(), params.purpose.clone())]);
    if let Some(controller) = &params.controller {
        annotations.insert(USER.to_owned(), controller.user.clone());
        annotations.insert(HOST.to_owned(), controller.host.clone());
        annotations.insert(BOOT_ID.to_owned(), controller.boot_id.clone());
        annotations.insert(PROCESS.to_owned(), controller.process());
    }
    Lease {
        api_version: "coordination.k8s.io/v1".to_owned(),
        kind: "Lease".to_owned(),
        metadata: Metadata {
            name: params.name.clone(),
            namespace: params.namespace.clone(),
            resource_version: found
                .map(|lease| lease.metadata.resource_version.clone())
                .unwrap_or_default(),
            annotations,
        },
        spec: Spec {
            holder_identity: Some(params.run_id.clone()),
            lease_duration_seconds: Some(params.ttl),
            acquire_time: Some(since.to_owned()),
            renew_time: Some(now.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    const NOW: Duration = Duration::from_hours(490_896);

    fn params(more: serde_json::Value) -> Params {
        let mut all = json!({
            "vmid": 101,
            "controller": {"user": "operator", "host": "laptop", "boot_id": "b1", "pid": 7, "start": "70", "alive": ["7:70"]},
        });
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    /// A lock taken by `process` on the machine `boot_id`, renewed `ago` seconds ago.
    fn held_by(run_id: &str, boot_id: &str, process: &str, ago: u64) -> State {
        let now = SystemTime::UNIX_EPOCH + NOW;
        let mut lease = wanted(
            &params(json!({})),
            None,
            "2025-12-31T23:00:00.000000Z",
            &micro_time(now - Duration::from_secs(ago)).unwrap(),
        );
        lease.metadata.resource_version = "42".to_owned();
        lease
            .metadata
            .annotations
            .insert(BOOT_ID.to_owned(), boot_id.to_owned());
        lease
            .metadata
            .annotations
            .insert(PROCESS.to_owned(), process.to_owned());
        lease.spec.holder_identity = Some(run_id.to_owned());
        State {
            lease: Some(lease),
            now,
        }
    }

    fn free() -> State {
        State {
            lease: None,
            now: SystemTime::UNIX_EPOCH + NOW,
        }
    }

    fn steps(more: serde_json::Value, state: &State) -> Vec<String> {
        plan(&params(more), state)
            .unwrap()
            .steps
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_free_cluster_is_taken() {
        assert_eq!(steps(json!({}), &free()), ["take the lock of the cluster"]);
    }

    #[test]
    fn our_own_lock_is_renewed_and_keeps_its_beginning() {
        let plan = plan(&params(json!({})), &held_by("laptop-7-70", "b1", "7:70", 60)).unwrap();
        let Step::Replace { lease, .. } = &plan.steps[0] else {
            panic!()
        };
        assert_eq!(
            lease.spec.acquire_time.as_deref(),
            Some("2025-12-31T23:00:00.000000Z")
        );
        assert_eq!(lease.metadata.resource_version, "42");
    }

    #[test]
    fn a_living_holder_is_named_and_not_disturbed() {
        for (boot_id, process) in [("b2", "9:90"), ("b1", "7:70")] {
            let state = held_by("other", boot_id, process, 60);
            let error = plan(&params(json!({})), &state).unwrap_err().to_string();
            assert!(
                error.starts_with("the cluster is held by operator@laptop (process "),
                "{error}"
            );
            assert!(error.contains("in 119 min"), "{error}");
        }
    }

    #[test]
    fn a_holder_that_died_on_this_control_node_is_followed_at_once() {
        let state = held_by("other", "b1", "9:90", 1);
        let plan = plan(&params(json!({})), &state).unwrap();
        assert_eq!(plan.steps.len(), 1);
        assert!(plan.warnings[0].contains("is gone"), "{:?}", plan.warnings);
    }

    #[test]
    fn a_process_id_that_is_used_again_is_not_the_holder() {
        let state = held_by("other", "b1", "7:60", 1);
        assert_eq!(
            holder(&params(json!({})), &state),
            Holder::Gone("the process that held it, on this control node, is gone")
        );
    }

    #[test]
    fn a_lock_that_was_not_renewed_has_ended() {
        assert_eq!(
            steps(json!({}), &held_by("other", "b2", "9:90", 7200)),
            ["take over the lock of the cluster"]
        );
        assert!(plan(&params(json!({})), &held_by("other", "b2", "9:90", 7199)).is_err());
    }

    #[test]
    fn takes_a_living_holders_lock_only_with_break_lock() {
        let plan = plan(
            &params(json!({"break_lock": true})),
            &held_by("other", "b2", "9:90", 1),
        )
        .unwrap();
        assert!(
            plan.warnings[0].starts_with("broke the lock of operator@laptop"),
            "{:?}",
            plan.warnings
        );
    }

    #[test]
    fn only_our_own_lock_is_released() {
        let release = json!({"state": "released"});
        assert_eq!(
            steps(release.clone(), &held_by("laptop-7-70", "b1", "7:70", 1)),
            ["release the lock of the cluster"]
        );
        assert_eq!(
            steps(release.clone(), &held_by("other", "b2", "9:90", 1)),
            Vec::<String>::new()
        );
        assert_eq!(steps(release, &free()), Vec::<String>::new());
    }

    #[test]
    fn warns_of_a_release_after_another_run_took_the_lock() {
        let plan = |more, state: &State| plan(&params(more), state).unwrap();
        let other = held_by("other", "b2", "9:90", 1);
        assert_eq!(
            plan(json!({"state": "released"}), &other).warnings,
            [format!(
                "the lock was left alone: {} holds it",
                other.lease.as_ref().unwrap().holder()
            )]
        );
        assert!(plan(json!({"state": "released"}), &free()).warnings.is_empty());
    }

    #[test]
    fn releases_the_lock_of_a_run_that_has_died() {
        let cases = [
            (held_by("other", "b1", "9:90", 1), "is gone"),
            (held_by("other", "b2", "9:90", 7200), "it was not renewed in time"),
        ];
        for (state, how) in cases {
            let plan = plan(&params(json!({"state": "released"})), &state).unwrap();
            assert_eq!(plan.steps[0].to_string(), "release the lock of the cluster");
            let warning = &plan.warnings[0];
            assert!(
                warning.starts_with("released the lock of operator@laptop") && warning.ends_with(how),
                "{warning}"
            );
        }
    }
}
