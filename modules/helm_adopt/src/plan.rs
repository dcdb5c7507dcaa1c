//! What has to be put right, and in which order nothing can be lost. Pure.

use crate::kind::Wanted;
use crate::params::{Params, ReleaseId};
use crate::state::{Found, MANAGED_BY, Marks, REINSTALL, RELEASE_NAME, RELEASE_NAMESPACE, Saved, State};
use ansible_module::{Diff, Plan, Refusal};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Off the cluster, before anything is touched.
    Export {
        saved: Vec<Saved>,
        folder: String,
    },
    /// From here on a release that fails is left unchanged.
    Guard {
        chart: ReleaseId,
        policy: &'static str,
    },
    Adopt {
        wanted: Wanted,
        before: Marks,
        release: ReleaseId,
    },
    Retrigger {
        chart: ReleaseId,
        job: String,
    },
    Await {
        chart: ReleaseId,
        counts: BTreeMap<String, u64>,
    },
    Unguard {
        chart: ReleaseId,
    },
    /// The controller may run Helm once more for it.
    Settle {
        chart: ReleaseId,
        counts: BTreeMap<String, u64>,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Export { saved, folder } => {
                let definitions = saved.iter().filter(|one| one.resources.is_some()).count();
                write!(
                    f,
                    "export {} objects and all resources of {definitions} definitions to {folder}",
                    saved.len()
                )
            }
            Self::Guard { chart, policy } => {
                write!(f, "set failurePolicy {policy} in the HelmChartConfig {chart}")
            }
            Self::Adopt { wanted, release, .. } => write!(f, "make {wanted} the release {release}'s"),
            Self::Retrigger { chart, job } => {
                write!(f, "recreate the Job {}/{job}", chart.namespace)
            }
            Self::Await { chart, .. } => {
                write!(
                    f,
                    "wait until the chart {chart} is deployed, and count what there is of it"
                )
            }
            Self::Unguard { chart } => write!(f, "restore the HelmChartConfig {chart}"),
            Self::Settle { chart, .. } => {
                write!(f, "check that the chart {chart} is still deployed and complete")
            }
        }
    }
}

/// What an object that is to be the release's is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Right,
    /// Nobody's, or of a deleted release.
    Free,
    /// Of a release that is in use.
    Foreign(ReleaseId),
}

pub(crate) fn standing(params: &Params, state: &State, found: &Found) -> Standing {
    if found.marks == Marks::wanted(&params.release) {
        return Standing::Right;
    }
    match found.marks.owner() {
        Some(owner) if owner != params.release && state.live(&owner).is_some() => Standing::Foreign(owner),
        _ => Standing::Free,
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let warnings = warnings(params, state);
    // Neither installed nor to be installed: nothing to adopt for.
    if state.chart.is_none() && state.release.is_none() {
        return Ok(Plan {
            warnings,
            ..Plan::default()
        });
    }
    let refusals = refusals(params, state);
    if !refusals.is_empty() {
        bail!("{}", Refusal::list(&refusals));
    }
    let adopt = adoptions(params, state);
    let diff = adopt.iter().map(|found| diff(params, found)).collect();
    Ok(Plan {
        steps: steps(params, state, &adopt),
        diff,
        warnings,
    })
}

/// Where the chart takes ownership itself, Helm does not mind whose they are.
fn adoptions<'a>(params: &Params, state: &'a State) -> Vec<&'a Found> {
    if state
        .chart
        .as_ref()
        .is_some_and(|chart| chart.spec.take_ownership)
    {
        return Vec::new();
    }
    let wrong = |found: &&Found| standing(params, state, found) != Standing::Right;
    state.found.iter().filter(wrong).collect()
}

fn steps(params: &Params, state: &State, adopt: &[&Found]) -> Vec<Step> {
    let counts = state.counts.clone();
    let run = needs_run(state, !adopt.is_empty());
    let mut guarded = state.guard().is_some();
    let mut steps = Vec::new();
    if run || !adopt.is_empty() {
        steps.push(Step::Export {
            saved: state.saved.clone(),
            folder: params.dest.clone(),
        });
    }
    if let Some(chart) = state
        .chart
        .as_ref()
        .filter(|_| run && state.policy() == REINSTALL)
    {
        guarded = true;
        steps.push(Step::Guard {
            chart: ReleaseId::of(&chart.metadata),
            policy: params.failure_policy.word(),
        });
    }
    steps.extend(adopt.iter().map(|found| Step::Adopt {
        wanted: found.wanted.clone(),
        before: found.marks.clone(),
        release: params.release.clone(),
    }));
    let Some(chart) = &state.chart else {
        return steps;
    };
    if run {
        steps.push(Step::Retrigger {
            chart: ReleaseId::of(&chart.metadata),
            job: chart.job_name(),
        });
    }
    if run || guarded {
        steps.push(Step::Await {
            chart: ReleaseId::of(&chart.metadata),
            counts: counts.clone(),
        });
    }
    if guarded {
        steps.push(Step::Unguard {
            chart: ReleaseId::of(&chart.metadata),
        });
        steps.push(Step::Settle {
            chart: ReleaseId::of(&chart.metadata),
            counts,
        });
    }
    steps
}

/// Whether Helm has to run for the release to be right. One that runs for the first time is left to it.
fn needs_run(state: &State, adopting: bool) -> bool {
    let Some(job) = &state.job else {
        return false;
    };
    let done_nothing = job.is_complete() && !state.is_deployed();
    job.is_failing() || done_nothing || (adopting && !job.is_complete())
}

fn refusals(params: &Params, state: &State) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if !state.unclear.is_empty() {
        refusals.push(Refusal::new(
            "mixed_versions",
            format!(
                "servers of several versions run ({}), and whether {} is theirs depends on it: {}",
                state.servers.join(", "),
                params.release,
                state.unclear.join(", ")
            ),
            "upgrade all servers first, or name the resources yourself (option resources)",
        ));
    }
    if state.chart.is_none() && params.resources.is_empty() && state.found.is_empty() && !known(params, state)
    {
        refusals.push(Refusal::new(
            "nothing_named",
            format!(
                "the release {} has made nothing that could be adopted, and k3s packages no chart of that name",
                params.release
            ),
            "name the resources (option resources)",
        ));
    }
    let driver = state.chart.as_ref().map_or("", |chart| &chart.spec.driver);
    if !matches!(driver, "" | "secret") {
        refusals.push(Refusal::new(
            "driver",
            format!(
                "the chart of the release {} has Helm keep its revisions elsewhere than in Secrets (driver: {driver}), where they are not looked for",
                params.release
            ),
            "see to it by hand, with helm and HELM_DRIVER set to that",
        ));
    }
    let mut foreign: BTreeMap<ReleaseId, Vec<String>> = BTreeMap::new();
    for found in adoptions(params, state) {
        if let Standing::Foreign(owner) = standing(params, state, found)
            && !params.take_from.contains(&owner)
        {
            foreign.entry(owner).or_default().push(found.wanted.to_string());
        }
    }
    for (owner, objects) in foreign {
        let status = state.live(&owner).map_or("", |line| line.status.as_str());
        refusals.push(Refusal::new(
            "foreign_release",
            format!(
                "{} belong to the release {owner}, which is in use ({status})",
                objects.join(", ")
            ),
            format!("let that release go of them, or allow it with take_from: [{owner}]"),
        ));
    }
    refusals
}

/// Whether it is known what the release has made.
fn known(params: &Params, state: &State) -> bool {
    crate::packaged::is_packaged(&params.release)
        || state
            .release
            .as_ref()
            .is_some_and(|release| !release.made.is_empty())
}

/// An operator who sets values alone rarely means it: the API fills in what a `HelmChartConfig` leaves out.
fn overruled_policy(state: &State) -> Option<String> {
    let config = state.config.as_ref().filter(|config| config.record().is_none())?;
    let chart = state.chart.as_ref()?;
    let charts = chart.spec.failure_policy.as_str();
    let overruled = !charts.is_empty() && charts != REINSTALL && config.spec.failure_policy == REINSTALL;
    overruled.then(|| {
        format!(
            "the HelmChartConfig {0} has failurePolicy {REINSTALL}, which the API sets where none is given, in the place of the chart's own {charts}: an upgrade of {0} that fails would be uninstalled, with all that it serves. Set failurePolicy: {charts} in it",
            ReleaseId::of(&chart.metadata)
        )
    })
}

fn warnings(params: &Params, state: &State) -> Vec<String> {
    let mut warnings = Vec::new();
    if state.balancers.len() > 1 {
        warnings.push(format!(
            "several load balancers answer for one: {}. They compete for ports and addresses; keep one. Remove the other with its release (helm uninstall), or disable k3s's own (disable: traefik in config.yaml)",
            state.balancers.join(", ")
        ));
    }
    let name = &params.release.name;
    let twins: Vec<String> = state
        .revisions
        .iter()
        .map(|line| &line.id)
        .filter(|id| id.name == *name && id.namespace != params.release.namespace)
        .filter(|id| state.live(id).is_some())
        .map(ToString::to_string)
        .collect();
    if let Some(twin) = twins.first() {
        warnings.push(format!(
            "there is a second release of that name, {twin}: two installations of one program share its definitions, and each upgrade of one may break the other. Keep one: helm uninstall {name} -n <namespace> of the other, or disable k3s's own"
        ));
    }
    warnings.extend(overruled_policy(state));
    let running = state.job.as_ref().is_some_and(|job| job.word() == "running");
    if running && state.chart.is_some() {
        warnings.push(format!(
            "the Job of the release {} is running; if it fails, run this again",
            params.release
        ));
    }
    warnings
}

fn diff(params: &Params, found: &Found) -> Diff {
    Diff {
        before_header: found.wanted.to_string(),
        after_header: found.wanted.to_string(),
        before: described(&found.marks),
        after: described(&Marks::wanted(&params.release)),
    }
}

fn described(marks: &Marks) -> String {
    let line = |key: &str, value: &Option<String>| {
        let value = value.as_deref().unwrap_or("(absent)");
        format!("{key}: {value}\n")
    };
    format!(
        "{}{}{}",
        line(MANAGED_BY, &marks.managed_by),
        line(RELEASE_NAME, &marks.name),
        line(RELEASE_NAMESPACE, &marks.namespace)
    )
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
