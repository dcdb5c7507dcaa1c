//! How far Helm is: its Job, and the newest revision of the release.

use crate::job::{HelmJob, restarts, runs};
use crate::params::{Params, ReleaseId};
use crate::release::{self, Release};
use crate::state::{REVISIONS, RevisionLine, newest, revisions};
use anyhow::{Context, Result, bail};
use cluster::{Chart, Job, Kubectl, List, Pod, Questions, unless_passing};
use host::{Waited, wait_until};
use serde_json::Value;
use std::time::Duration;

pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);

pub(crate) fn read_release(kubectl: &Kubectl, line: &RevisionLine) -> Result<Release> {
    let ReleaseId { namespace, name } = &line.id;
    let secret = format!("sh.helm.release.v1.{name}.v{}", line.revision);
    let path = format!("/api/v1/namespaces/{namespace}/secrets/{secret}");
    let read: Value = kubectl.read(&[path])?.one()?;
    release::parse(&read).with_context(|| format!("reading the release in the Secret {namespace}/{secret}"))
}

/// The Job with what its pods report; Helm's container is started anew in the same pod when it has failed.
pub(crate) fn read_job(kubectl: &Kubectl, chart: &Chart) -> Result<Option<HelmJob>> {
    let namespace = &chart.metadata.namespace;
    let own = chart.job_name();
    let paths = [
        format!("/apis/batch/v1/namespaces/{namespace}/jobs?fieldSelector=metadata.name%3D{own}"),
        format!("/api/v1/namespaces/{namespace}/pods?labelSelector=job-name%3D{own}"),
    ];
    let mut read = kubectl.read(&paths)?;
    let jobs: List<Job> = read.one()?;
    let pods: List<Pod> = read.one()?;
    let Some(job) = jobs.items.into_iter().next() else {
        return Ok(None);
    };
    // Those of a Job of that name before it are not its own.
    let mine = |pod: &&Pod| {
        let owner = pod.metadata.controller();
        pod.metadata.deletion_timestamp.is_none() && owner.is_some_and(|owner| owner.name == own)
    };
    let pods: Vec<&Pod> = pods.items.iter().filter(mine).collect();
    Ok(Some(HelmJob {
        restarts: pods.iter().map(|pod| restarts(pod)).sum(),
        busy: pods.iter().any(|pod| runs(pod)),
        pod: pods
            .iter()
            .max_by_key(|pod| pod.metadata.creation_timestamp)
            .map(|pod| pod.metadata.name.clone()),
        job,
    }))
}

/// What a wait looks at: the Job, and the newest revision.
pub(crate) fn progress(
    params: &Params,
    kubectl: &Kubectl,
    chart: &Chart,
) -> Result<(Option<HelmJob>, Option<Release>)> {
    let job = read_job(kubectl, chart)?;
    let answers = Questions::new(kubectl)
        .command("the releases of Helm", REVISIONS)
        .ask("asking for the releases of Helm")?;
    let answer = answers.get(0).filter(cluster::Answer::ok);
    let lines = answer.map(|answer| revisions(&answer.text())).unwrap_or_default();
    let release = newest(&lines, &params.release)
        .map(|line| read_release(kubectl, line))
        .transpose()?;
    Ok((job, release))
}

/// The Job at a moment when Helm is not at work in it. Nothing that is failing works for long.
pub(crate) fn idle(kubectl: &Kubectl, chart: &Chart, limit: Duration) -> Result<Option<HelmJob>> {
    let waited = wait_until(kubectl.host, limit, LOOK_EVERY, || {
        Ok(match unless_passing(read_job(kubectl, chart))? {
            Ok(Some(job)) if job.busy && !job.is_complete() => Err("Helm is running".to_owned()),
            other => other,
        })
    })?;
    match waited {
        Waited::Done(job) => Ok(job),
        Waited::GaveUp { missing, after } => bail!(
            "{}: {missing} on the chart {} for more than {} s, and ended half-way it would leave a release that nobody finishes: run the same again later",
            kubectl.host.location(),
            ReleaseId::of(&chart.metadata),
            after.as_secs()
        ),
    }
}
