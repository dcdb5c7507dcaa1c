//! Taking the steps. Each looks once more at what it is about to change.

use crate::export;
use crate::guard::{SETTLES, chart_of, follows, guard, policy, unguard};
use crate::job::HelmJob;
use crate::journal::Journal;
use crate::kind::Wanted;
use crate::observe;
use crate::params::{Params, ReleaseId};
use crate::plan::Step;
use crate::progress::{self, LOOK_EVERY};
use crate::release::Release;
use crate::requests::{one, patch, send};
use crate::state::{MANAGED_BY, Marks, RELEASE_NAME, RELEASE_NAMESPACE};
use anyhow::{Context, Result, bail, ensure};
use cluster::{Kubectl, Meta, unless_passing};
use host::{Command, Host, quote, wait_until};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

pub(crate) fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
    let kubectl = params.kubectl(host);
    match step {
        Step::Export { saved, .. } => {
            journal.export = Some(export::export(params, &kubectl, saved)?);
            Ok(())
        }
        Step::Guard { chart, policy } => guard(&kubectl, chart, policy, journal),
        Step::Adopt { wanted, before, .. } => adopt(params, &kubectl, wanted, before, journal),
        Step::Retrigger { chart, .. } => retrigger(params, &kubectl, chart, journal),
        Step::Await { chart, counts } => deployed(params, &kubectl, chart, counts, journal),
        Step::Unguard { chart } => unguard(&kubectl, chart, journal),
        Step::Settle { chart, counts } => {
            follows(&kubectl, chart, SETTLES, &policy(&kubectl, chart)?)?;
            deployed(params, &kubectl, chart, counts, journal)
        }
    }
}

#[derive(Deserialize)]
struct Object {
    metadata: Meta,
}

fn adopt(
    params: &Params,
    kubectl: &Kubectl,
    wanted: &Wanted,
    before: &Marks,
    journal: &mut Journal,
) -> Result<()> {
    let namespace = &params.release.namespace;
    let location = kubectl.host.location();
    let list = wanted.kind.list(namespace);
    let found: Option<Object> = one(kubectl, &list, &wanted.name)?;
    // One that has gone meanwhile is made by the chart.
    let Some(object) = found else { return Ok(()) };
    let marks = Marks::of(&object.metadata);
    let aim = Marks::wanted(&params.release);
    if marks == aim {
        return Ok(());
    }
    ensure!(
        marks == *before,
        "{location}: {wanted} was changed by somebody else meanwhile; run the same again to see what it is now"
    );
    let body = json!({"metadata": {
        "resourceVersion": object.metadata.resource_version,
        "labels": {MANAGED_BY: aim.managed_by},
        "annotations": {RELEASE_NAME: aim.name, RELEASE_NAMESPACE: aim.namespace},
    }});
    journal.touched = true;
    let namespaced = list.contains("/namespaces/").then_some(namespace.as_str());
    let answer = patch(kubectl, &wanted.kind.argument(), namespaced, &wanted.name, &body)?;
    let written: Object = serde_json::from_slice(&answer).context("reading the patched object")?;
    ensure!(
        Marks::of(&written.metadata) == aim,
        "{location}: the API server took the patch of {wanted}, but did not keep it"
    );
    Ok(())
}

/// The controller makes it anew at once, where its pod would wait for minutes.
fn retrigger(params: &Params, kubectl: &Kubectl, chart: &ReleaseId, journal: &mut Journal) -> Result<()> {
    let chart = chart_of(kubectl, chart)?;
    let Some(job) = progress::idle(kubectl, &chart, params.timeout)? else {
        return Ok(());
    };
    // Its last try came after the marks were right.
    if job.is_complete()
        && let Some(release) = progress::progress(params, kubectl, &chart)?.1
        && job.has_deployed(&release)
    {
        return Ok(());
    }
    journal.touched = true;
    // Without a policy the pods of a Job stay.
    let body = json!({
        "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
        "preconditions": {"uid": job.job.uid},
    });
    let namespace = &chart.metadata.namespace;
    let path = format!("/apis/batch/v1/namespaces/{namespace}/jobs/{}", chart.job_name());
    send(
        kubectl,
        "delete",
        &path,
        &body,
        "removing the Job so that it is recreated",
    )
    .map(|_| ())
}

/// Done is what the release says, and that nothing is missing; a Job may be complete and have done nothing.
fn deployed(
    params: &Params,
    kubectl: &Kubectl,
    chart: &ReleaseId,
    counts: &BTreeMap<String, u64>,
    journal: &Journal,
) -> Result<()> {
    let chart = chart_of(kubectl, chart)?;
    let mut pod = None;
    let waited = wait_until(kubectl.host, params.timeout, LOOK_EVERY, || {
        let (job, release) = match unless_passing(progress::progress(params, kubectl, &chart))? {
            Ok(seen) => seen,
            Err(missing) => return Ok(Err(missing)),
        };
        pod = job.as_ref().and_then(|job| job.pod.clone());
        if let (Some(job), Some(release)) = (&job, &release)
            && job.has_deployed(release)
        {
            return Ok(Ok(()));
        }
        let failed = release.as_ref().is_some_and(|release| release.status == "failed");
        let ended = |job: &HelmJob| job.is_complete() || job.is_failing();
        if failed
            && job
                .as_ref()
                .is_some_and(|job| ended(job) && job.policy() == "abort")
        {
            bail!(
                "{}: the release of the chart {} is failed, and its Job was set to leave it, since a reinstallation would delete definitions with all their resources",
                kubectl.host.location(),
                ReleaseId::of(&chart.metadata)
            );
        }
        Ok(Err(so_far(job.as_ref(), release.as_ref())))
    })?;
    let waiting = format!("the chart {} to be deployed", ReleaseId::of(&chart.metadata));
    if let Err(error) = waited.or_fail(kubectl.host, &waiting) {
        let said = pod
            .map(|pod| said(kubectl, &chart.metadata.namespace, &pod))
            .unwrap_or_default();
        return Err(error.context(format!("Helm has not succeeded{said}")));
    }
    let after = observe::count_again(kubectl, counts)?;
    let lost: Vec<String> = counts
        .iter()
        .map(|(name, before)| (name, before, after.get(name).copied().unwrap_or(0)))
        .filter(|(_, before, now)| now < before)
        .map(|(name, before, now)| format!("{name}: {now} of {before}"))
        .collect();
    let export = journal
        .export
        .as_ref()
        .map_or("", |export| export.folder.as_str());
    ensure!(
        lost.is_empty(),
        "{}: resources are missing ({}). They are in {export}/resources.json on {}; `kubectl create -f` of that file brings back what is not there",
        kubectl.host.location(),
        lost.join(", "),
        kubectl.host.outside().location()
    );
    Ok(())
}

fn so_far(job: Option<&HelmJob>, release: Option<&Release>) -> String {
    let seen = format!(
        "the Job is {}, the release is {}",
        job.map_or("not there", HelmJob::word),
        release.map_or("not there", |release| &release.status)
    );
    let both_done = job.is_some_and(HelmJob::is_complete) && release.is_some_and(Release::is_deployed);
    if both_done {
        format!("{seen}, and not by this Job: its configuration hash is another one")
    } else {
        seen
    }
}

/// What Helm said last. It is for people: nothing is decided by it.
fn said(kubectl: &Kubectl, namespace: &str, pod: &str) -> String {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?tailLines=5&limitBytes=1500");
    let script = format!("{}k get --raw {} </dev/null\n", kubectl.prelude(), quote(&path));
    let output = kubectl
        .host
        .run(&Command::script(script).within(kubectl.limit(1)));
    let text = output.map(|output| output.text()).unwrap_or_default();
    let shown: String = text
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .take(1500)
        .collect();
    let shown = shown.trim();
    if shown.is_empty() {
        String::new()
    } else {
        format!("; it said: {shown}")
    }
}

/// After a failure: what stays, and why that is safe.
pub(crate) fn left(host: &dyn Host, journal: &Journal) -> Option<String> {
    let export = journal.export.as_ref().map(|export| {
        format!(
            "What could have been lost is in {} on {}",
            export.folder,
            host.outside().location()
        )
    });
    let guard = journal.guarded.as_ref().map(|chart| {
        format!(
            "The HelmChartConfig {chart} keeps our failurePolicy, so that k3s deletes nothing meanwhile. Fix what failed (a release that is failed: helm rollback, or failure_policy: retry where k3s supports it), and run the same again, which puts it back"
        )
    });
    let left: Vec<String> = export.into_iter().chain(guard).collect();
    (!left.is_empty()).then(|| left.join(". "))
}
