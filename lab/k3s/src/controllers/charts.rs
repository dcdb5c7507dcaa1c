//! k3s's controller of charts: for each `HelmChart` a Job, and in the Job's pod Helm. There is no container, so what Helm
//! would do is done here, when the pod has a node: it fails with Helm's words where an object of the chart is there
//! already and is another's, and else makes what is missing and writes down the release. A pod that failed is judged
//! again each time that its container is started anew.
//!
//! `lab/helm-fails: "1"` on a `HelmChart` lets the next upgrade fail half-way, so that the release is `failed`. What comes
//! then is the failure policy's: `reinstall` removes all that the release has made.

mod release;

use super::Action;
use super::world::{World, is_active, reference};
use crate::addons::{install_job, of_chart};
use crate::cluster::Part;
use crate::json::{flag, is_terminating, items, name, namespace, remove, set, text};
use crate::kinds;
use release::Release;
use serde_json::{Value, json};
use std::sync::Arc;

const FAILS: &str = "lab/helm-fails";
const REINSTALL: &str = "reinstall";
/// A release that failed is upgraded again.
const RETRY: &str = "retry";
/// A judged pod goes on running for a moment, so that it can be judged again before it ends.
const ATTEMPT_SECONDS: &str = "10";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

pub fn actions(world: &World) -> Vec<Action> {
    let all = |plural: &str| world.namespaced.get(plural).cloned().unwrap_or_default();
    let charts = all("helmcharts");
    let mut actions: Vec<Action> = charts
        .iter()
        .filter(|chart| !is_terminating(chart))
        .flat_map(|chart| one(world, chart))
        .collect();
    actions.extend(release::orphans(world, &charts));
    actions
}

fn one(world: &World, chart: &Arc<Value>) -> Vec<Action> {
    let own = format!("helm-install-{}", name(chart));
    let wanted = job(world, chart, &own);
    let Some(found) = world.find("jobs", namespace(chart), &own) else {
        return vec![Action::Create(kinds::of("jobs"), wanted)];
    };
    if text(chart, "/status/jobName") != own {
        return Action::status("helmcharts", chart, json!({"jobName": own}))
            .into_iter()
            .collect();
    }
    if is_terminating(found) {
        return Vec::new();
    }
    // A Job cannot be changed: it is made anew for what is new.
    if policy(found) != policy(&wanted) || values(found) != values(&wanted) {
        return vec![Action::delete("jobs", found)];
    }
    world
        .pods_of(found)
        .iter()
        .filter(|pod| is_active(pod) && !text(pod, "/spec/nodeName").is_empty())
        .flat_map(|pod| attempt(world, chart, found, pod))
        .collect()
}

fn job(world: &World, chart: &Value, own: &str) -> Value {
    let config = world.find("helmchartconfigs", namespace(chart), name(chart));
    let of =
        |object: Option<&Arc<Value>>, field: &str| object.map_or("", |object| text(object, field)).to_owned();
    let mut policy = of(config, "/spec/failurePolicy");
    if policy.is_empty() {
        text(chart, "/spec/failurePolicy").clone_into(&mut policy);
    }
    if policy.is_empty() {
        REINSTALL.clone_into(&mut policy);
    }
    let values = format!(
        "{}\n{}",
        text(chart, "/spec/valuesContent"),
        of(config, "/spec/valuesContent")
    );
    let mut job = install_job(own, name(chart));
    set(&mut job, &["metadata", "namespace"], json!(namespace(chart)));
    set(&mut job, &["metadata", "ownerReferences"], reference(chart));
    let template = &mut job["spec"]["template"];
    set(
        template,
        &["metadata", "annotations", "helmcharts.helm.cattle.io/configHash"],
        json!(super::world::hash(&json!(values))),
    );
    let env = json!([
        {"name": "NAME", "value": name(chart)},
        {"name": "CHART_NAMESPACE", "value": namespace(chart)},
        {"name": "FAILURE_POLICY", "value": policy},
    ]);
    set(&mut template["spec"]["containers"][0], &["env"], env);
    job
}

fn policy(job: &Value) -> &str {
    let env = items(job, "/spec/template/spec/containers/0/env").iter();
    let mut policy = env.filter(|one| text(one, "/name") == "FAILURE_POLICY");
    policy.next().map_or("", |one| text(one, "/value"))
}

fn values(job: &Value) -> &Value {
    &job["spec"]["template"]["metadata"]["annotations"]
}

/// What Helm does in this pod.
fn attempt(world: &World, chart: &Arc<Value>, job: &Value, pod: &Arc<Value>) -> Vec<Action> {
    let failing = !text(pod, "/metadata/annotations/lab~1fails").is_empty();
    let runs = pod.pointer("/status/containerStatuses/0/state/running").is_some();
    // It has failed, and its next try is yet to come.
    if failing && !runs {
        return Vec::new();
    }
    let release = Release::newest(world, chart);
    if release.as_ref().is_some_and(|release| release.made_by(pod)) {
        return Vec::new();
    }
    if release
        .as_ref()
        .is_some_and(|release| release.status() == "failed")
    {
        match policy(job) {
            REINSTALL => return uninstall(world, chart),
            RETRY => {}
            policy => return fail(pod, &waits(chart, policy)),
        }
    }
    if let Some(fault) = conflict(world, chart, release.as_ref()) {
        return fail(pod, &fault);
    }
    let fails = !text(chart, "/metadata/annotations/lab~1helm-fails").is_empty();
    let mut actions = release::written(
        chart,
        release.as_ref(),
        pod,
        if fails { "failed" } else { "deployed" },
    );
    if fails {
        let mut spent = chart.as_ref().clone();
        remove(&mut spent, &["metadata", "annotations", FAILS]);
        actions.push(Action::Replace(
            kinds::of("helmcharts"),
            Arc::clone(chart),
            spent,
            Part::Main,
        ));
        actions.extend(fail(
            pod,
            "Error: UPGRADE FAILED: timed out waiting for the condition",
        ));
        return actions;
    }
    let missing = of_chart(name(chart))
        .into_iter()
        .filter(|(plural, object)| world.find(plural, namespace(object), name(object)).is_none());
    actions.extend(missing.map(|(plural, object)| Action::Create(kinds::of(plural), object)));
    if failing {
        actions.push(annotated(pod, None));
    }
    actions
}

fn annotated(pod: &Arc<Value>, message: Option<&str>) -> Action {
    let mut new = pod.as_ref().clone();
    for (key, value) in [
        ("lab/fails", message.map(|_| "crash")),
        ("lab/run-seconds", message.map(|_| ATTEMPT_SECONDS)),
        ("lab/message", message),
    ] {
        match value {
            Some(value) => set(&mut new, &["metadata", "annotations", key], json!(value)),
            None => remove(&mut new, &["metadata", "annotations", key]),
        }
    }
    Action::Replace(kinds::of("pods"), Arc::clone(pod), new, Part::Main)
}

fn fail(pod: &Arc<Value>, message: &str) -> Vec<Action> {
    if text(pod, "/metadata/annotations/lab~1message") == message {
        return Vec::new();
    }
    vec![annotated(pod, Some(message))]
}

fn waits(chart: &Value, policy: &str) -> String {
    format!(
        "Release {} is in state 'failed', and failurePolicy is '{policy}', not 'reinstall': waiting for operator intervention",
        name(chart)
    )
}

/// All that the release has made, and the release itself.
fn uninstall(world: &World, chart: &Value) -> Vec<Action> {
    let made = of_chart(name(chart));
    let objects = made.iter().filter_map(|(plural, object)| {
        let found = world.find(plural, namespace(object), name(object))?;
        Some(Action::delete(plural, found))
    });
    objects.chain(release::removed(world, chart)).collect()
}

/// Helm looks only at what the release does not have yet.
fn conflict(world: &World, chart: &Value, release: Option<&Release>) -> Option<String> {
    if flag(chart, "/spec/takeOwnership") {
        return None;
    }
    of_chart(name(chart)).into_iter().find_map(|(plural, object)| {
        let found = world.find(plural, namespace(&object), name(&object))?;
        if release.is_some_and(|release| release.has(found)) {
            return None;
        }
        let faults = faults(found, name(chart), namespace(chart));
        let beginning = if release.is_some() {
            "UPGRADE FAILED: rendered manifests contain a resource that already exists. Unable to continue with update"
        } else {
            "INSTALLATION FAILED: rendered manifests contain a resource that already exists. Unable to continue with install"
        };
        (!faults.is_empty()).then(|| format!(
            "Error: {beginning}: {} \"{}\" in namespace \"{}\" exists and cannot be imported into the current release: invalid ownership metadata; {}",
            text(found, "/kind"),
            name(found),
            namespace(found),
            faults.join("; ")
        ))
    })
}

fn faults(object: &Value, release: &str, space: &str) -> Vec<String> {
    let checks = [
        ("label", "labels", MANAGED_BY, "Helm"),
        ("annotation", "annotations", RELEASE_NAME, release),
        ("annotation", "annotations", RELEASE_NAMESPACE, space),
    ];
    let fault = |(what, field, key, wanted): (&str, &str, &str, &str)| {
        let found = object["metadata"][field][key].as_str();
        let fault = match found {
            Some(found) if found == wanted => return None,
            Some(found) => format!("key \"{key}\" must equal \"{wanted}\": current value is \"{found}\""),
            None => format!("missing key \"{key}\": must be set to \"{wanted}\""),
        };
        Some(format!("{what} validation error: {fault}"))
    };
    checks.into_iter().filter_map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_a_wrong_owner_in_helms_words() {
        let object =
            json!({"metadata": {"labels": {MANAGED_BY: "Helm"}, "annotations": {RELEASE_NAME: "other"}}});
        assert_eq!(
            faults(&object, "traefik-crd", "kube-system"),
            [
                "annotation validation error: key \"meta.helm.sh/release-name\" must equal \"traefik-crd\": current value is \"other\"",
                "annotation validation error: missing key \"meta.helm.sh/release-namespace\": must be set to \"kube-system\"",
            ]
        );
    }

    #[test]
    fn what_the_chart_makes_is_its_own() {
        for chart in ["traefik-crd", "traefik"] {
            for (_, object) in of_chart(chart) {
                assert!(faults(&object, chart, "kube-system").is_empty(), "{object}");
            }
        }
    }
}
