//! While Helm runs, the chart's failure policy is ours: k3s's own is to delete a release that failed.

use crate::journal::Journal;
use crate::params::ReleaseId;
use crate::progress::{LOOK_EVERY, idle, read_job};
use crate::requests::{one, patch, send};
use crate::state::{Config, Record, State};
use anyhow::{Context, Result, bail};
use cluster::{Chart, Kubectl, unless_passing};
use host::wait_until;
use serde_json::json;
use std::time::Duration;

/// For the controller of charts to follow a changed `HelmChartConfig`.
const FOLLOWS: Duration = Duration::from_mins(2);
/// An old controller does not run Helm again when a `HelmChartConfig` goes; a new one begins at once.
pub(crate) const SETTLES: Duration = Duration::from_secs(20);

const CONFIGS: &str = "helmchartconfigs.helm.cattle.io";

fn configs(chart: &ReleaseId) -> String {
    format!(
        "/apis/helm.cattle.io/v1/namespaces/{}/helmchartconfigs",
        chart.namespace
    )
}

fn config(kubectl: &Kubectl, chart: &ReleaseId) -> Result<Option<Config>> {
    one(kubectl, &configs(chart), &chart.name)
}

pub(crate) fn chart_of(kubectl: &Kubectl, chart: &ReleaseId) -> Result<Chart> {
    let list = format!(
        "/apis/helm.cattle.io/v1/namespaces/{}/helmcharts",
        chart.namespace
    );
    let found = one(kubectl, &list, &chart.name)?;
    found.with_context(|| {
        format!("the HelmChart {chart} was removed meanwhile: k3s is configured not to install it")
    })
}

/// What the controller would now do about a release that has failed.
pub(crate) fn policy(kubectl: &Kubectl, chart: &ReleaseId) -> Result<String> {
    let state = State {
        chart: Some(chart_of(kubectl, chart)?),
        config: config(kubectl, chart)?,
        ..State::default()
    };
    Ok(state.policy().to_owned())
}

/// Sets the policy, with the record of what was there in the same write.
pub(crate) fn guard(kubectl: &Kubectl, chart: &ReleaseId, policy: &str, journal: &mut Journal) -> Result<()> {
    // The Job is made anew for it.
    idle(kubectl, &chart_of(kubectl, chart)?, FOLLOWS)?;
    let found = config(kubectl, chart)?;
    // Where an earlier run's record is there, it, not the object, is the "before".
    let earlier = found.as_ref().and_then(Config::record);
    let record = earlier.unwrap_or_else(|| Record {
        created: found.is_none(),
        policy: found
            .as_ref()
            .map(|config| config.spec.failure_policy.clone())
            .filter(|policy| !policy.is_empty()),
    });
    journal.touched = true;
    let annotations = json!({ Record::ANNOTATION: json!(record).to_string() });
    match &found {
        None => {
            let body = json!({
                "apiVersion": "helm.cattle.io/v1", "kind": "HelmChartConfig",
                "metadata": {"name": chart.name, "namespace": chart.namespace, "annotations": annotations},
                "spec": {"failurePolicy": policy},
            });
            send(
                kubectl,
                "create",
                &configs(chart),
                &body,
                "making the HelmChartConfig",
            )?;
        }
        Some(config) => {
            let version = &config.metadata.resource_version;
            let body = json!({
                "metadata": {"resourceVersion": version, "annotations": annotations},
                "spec": {"failurePolicy": policy},
            });
            patch(kubectl, CONFIGS, Some(&chart.namespace), &chart.name, &body)?;
        }
    }
    journal.guarded = Some(chart.clone());
    if !follows(kubectl, chart, FOLLOWS, policy)? {
        bail!(
            "{}: the Job of the chart {chart} was not recreated with failurePolicy {policy} within {} s: does k3s's Helm controller run (disable-helm-controller)?",
            kubectl.host.location(),
            FOLLOWS.as_secs()
        );
    }
    Ok(())
}

/// Waits until the Job has this policy.
pub(crate) fn follows(kubectl: &Kubectl, chart: &ReleaseId, limit: Duration, policy: &str) -> Result<bool> {
    let chart = chart_of(kubectl, chart)?;
    let waited = wait_until(kubectl.host, limit, LOOK_EVERY, || {
        let job = match unless_passing(read_job(kubectl, &chart))? {
            Ok(job) => job,
            Err(missing) => return Ok(Err(missing)),
        };
        let is_set = job.is_some_and(|job| job.policy() == policy);
        Ok(if is_set { Ok(()) } else { Err(String::new()) })
    })?;
    Ok(matches!(waited, host::Waited::Done(())))
}

/// Takes back what [`guard`] has done, and nothing else.
pub(crate) fn unguard(kubectl: &Kubectl, chart: &ReleaseId, journal: &mut Journal) -> Result<()> {
    let found = config(kubectl, chart)?;
    if let Some((config, record)) = found.and_then(|config| Some((config.clone(), config.record()?))) {
        journal.touched = true;
        let version = &config.metadata.resource_version;
        if record.created && config.says_nothing_else() {
            let path = format!("{}/{}", configs(chart), chart.name);
            let body = json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": version},
            });
            send(kubectl, "delete", &path, &body, "removing our HelmChartConfig")?;
        } else {
            let body = json!({
                "metadata": {"resourceVersion": version, "annotations": {Record::ANNOTATION: null}},
                "spec": {"failurePolicy": record.policy},
            });
            patch(kubectl, CONFIGS, Some(&chart.namespace), &chart.name, &body)?;
        }
    }
    journal.guarded = None;
    Ok(())
}
