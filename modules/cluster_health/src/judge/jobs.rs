//! Jobs that have failed, and the charts that a Job was to install.

use super::{about, age, span};
use crate::params::Params;
use crate::state::Seen;
use crate::verdict::{Finding, Kind, Owner, Reason, Trouble};
use cluster::{Chart, Job, Meta};
use std::collections::BTreeSet;
use std::time::SystemTime;

pub(super) fn judge(params: &Params, seen: &Seen) -> Vec<Finding> {
    if seen.unread.contains_key("jobs") {
        return Vec::new();
    }
    let of_charts: BTreeSet<(String, String)> = seen
        .charts
        .iter()
        .map(|chart| (chart.metadata.namespace.clone(), chart.job_name()))
        .collect();
    let charts = seen
        .charts
        .iter()
        .filter_map(|chart| not_installed(params, seen, chart));
    let jobs = seen
        .jobs
        .iter()
        .filter(|job| !of_charts.contains(&(job.namespace.clone(), job.name.clone())))
        .filter_map(|job| failed(seen, job).or_else(|| first_sign(job)));
    charts.chain(jobs).collect()
}

fn failed(seen: &Seen, job: &Job) -> Option<Finding> {
    let failure = job.is("Failed")?;
    let made_good = |other: &&Job| {
        other.namespace == job.namespace
            && other.cron_job == job.cron_job
            && other.started > job.started
            && other.is("Complete").is_some()
    };
    if job.cron_job.is_some() && seen.jobs.iter().any(|other| made_good(&other)) {
        return None;
    }
    let trouble = Trouble::warning(
        Reason::Failed,
        format!("it has failed: {} ({})", failure.message, failure.reason),
    );
    let since = failure.last_transition_time.map(SystemTime::from);
    Some(about_job(job, trouble.since(since).began(None)))
}

/// Some of its pods have failed, and it tries on.
fn first_sign(job: &Job) -> Option<Finding> {
    let tries = job.failures > 0 && job.is("Failed").is_none() && job.is("Complete").is_none();
    tries.then(|| about_job(job, Trouble::suspected(Reason::Failed)))
}

fn about_job(job: &Job, trouble: Trouble) -> Finding {
    let owner = Owner {
        kind: job.cron_job.as_ref().map_or("", |_| "CronJob").to_owned(),
        name: job.cron_job.clone().unwrap_or_else(|| job.name.clone()),
    };
    Finding {
        kind: Kind::Job,
        namespace: job.namespace.clone(),
        owner,
        name: job.name.clone(),
        labels: job.labels.clone(),
        trouble,
    }
}

/// The Job of a chart tries a thousand times, so it seldom fails: it goes on for ever.
fn not_installed(params: &Params, seen: &Seen, chart: &Chart) -> Option<Finding> {
    let Meta { namespace, name, .. } = &chart.metadata;
    let own = chart.job_name();
    let job = seen
        .jobs
        .iter()
        .find(|job| job.namespace == *namespace && job.name == own);
    let failed = chart
        .status
        .conditions
        .iter()
        .find(|condition| condition.r#type == "Failed" && condition.status == "True");
    let trouble = match (failed.or_else(|| job?.is("Failed")), job) {
        (Some(failed), _) => Trouble::error(
            Reason::NotInstalled,
            format!("its chart is not installed: {}", failed.message),
        )
        .since(failed.last_transition_time.map(SystemTime::from)),
        (None, Some(job)) if job.is("Complete").is_none() => {
            let tried = age(job.started, seen.now);
            let message = format!(
                "its chart is not installed: the Job {} has been at it for {}, {} of its pods have failed",
                job.name,
                tried.map_or_else(|| "a while".to_owned(), span),
                job.failures
            );
            let young = tried.is_some_and(|age| age <= params.limits.pending);
            Trouble::error(Reason::NotInstalled, message)
                .since(job.started.map(SystemTime::from))
                .failing(job.failures > 0)
                .settling(young)
        }
        (None, Some(job)) => not_deployed(params, seen, chart, job)?,
        (None, None) => return None,
    };
    Some(about(Kind::Addon, namespace, name, trouble))
}

/// Since mid-2026 the Job ends well without having done anything where the release is not at the revision that k3s expects.
/// So the release decides, which has the hash of the Job that deployed it for a label.
fn not_deployed(params: &Params, seen: &Seen, chart: &Chart, job: &Job) -> Option<Trouble> {
    if seen.unread.contains_key("releases") || !chart.keeps_secrets() {
        return None;
    }
    let id = (chart.target_namespace().to_owned(), chart.metadata.name.clone());
    let what = match seen.releases.get(&id) {
        None => "Helm has no release of it".to_owned(),
        Some(release) if release.status != "deployed" => {
            format!(
                "revision {} of its release is {}",
                release.revision, release.status
            )
        }
        Some(release) if !job.config_hash.is_empty() && job.config_hash != release.config_hash => {
            format!(
                "revision {} of its release is not that Job's work",
                release.revision
            )
        }
        Some(_) => return None,
    };
    let message = format!(
        "its chart is not installed: the Job {} ended well, but {what}",
        job.name
    );
    let ended = job
        .is("Complete")
        .and_then(|complete| complete.last_transition_time);
    // k3s makes such a Job again by itself.
    let young = age(ended, seen.now).is_some_and(|age| age <= params.limits.pending);
    Some(
        Trouble::error(Reason::NotInstalled, message)
            .since(ended.map(SystemTime::from))
            .settling(young),
    )
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
