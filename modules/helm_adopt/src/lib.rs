//! `helm_adopt`: make a Helm release the owner of existing objects.

mod apply;
mod definition;
mod export;
mod guard;
mod job;
mod journal;
mod kind;
mod observe;
mod packaged;
mod params;
mod plan;
mod progress;
mod release;
mod requests;
mod state;

pub use journal::Journal;
pub use kind::{Kind, Wanted};
pub use params::{FailurePolicy, Params, ReleaseId};
pub use plan::Step;
pub use release::Release;
pub use state::{Found, State};

use ansible_module::{Module, Plan, Target};
use anyhow::Result;
use host::Host;
use plan::Standing;
use serde::Serialize;
use std::collections::BTreeMap;

pub struct HelmAdopt;

#[derive(Serialize)]
pub struct Returned {
    present: bool,
    #[serde(rename = "told")]
    summary: Vec<String>,
    resources: Vec<ResourceReport>,
    release_status: Option<String>,
    release_revision: Option<u32>,
    job: Option<&'static str>,
    failure_policy: Option<String>,
    counts: BTreeMap<String, u64>,
    export: Option<String>,
    exported: Option<u64>,
}

/// A resource, for people and playbooks.
#[derive(Serialize)]
struct ResourceReport {
    kind: &'static str,
    name: String,
    standing: &'static str,
    owner: Option<String>,
}

impl Module for HelmAdopt {
    const NAME: &'static str = "helm_adopt";
    const DOC: &'static str = include_str!("../helm_adopt.yml");

    type Params = Params;
    type State = State;
    type Step = Step;
    type Journal = Journal;
    type Returned = Returned;

    fn target(params: &Params) -> Target {
        Target {
            vmid: params.vmid,
            lock_timeout: Some(params.lock_timeout),
        }
    }

    fn observe(params: &Params, host: &dyn Host) -> Result<State> {
        observe::state(params, host)
    }

    fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
        plan::plan(params, state)
    }

    fn apply(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
        apply::apply(params, host, step, journal)
    }

    fn report(params: &Params, before: &State, after: &State, journal: &Journal) -> Returned {
        let release = after.release.as_ref();
        Returned {
            present: after.chart.is_some() || release.is_some(),
            summary: summary(params, before, after, journal),
            resources: before
                .found
                .iter()
                .map(|found| one(params, before, found))
                .collect(),
            release_status: release.map(|release| release.status.clone()),
            release_revision: release.map(|release| release.revision),
            job: after.job.as_ref().map(job::HelmJob::word),
            failure_policy: after.chart.as_ref().map(|_| after.policy().to_owned()),
            counts: after.counts.clone(),
            export: journal.export.as_ref().map(|export| export.folder.clone()),
            exported: journal.export.as_ref().map(|export| export.resources),
        }
    }

    /// An export alone changes nothing in the cluster.
    fn changed(_: &Params, journal: &Journal) -> bool {
        journal.touched
    }

    fn recover(_: &Params, host: &dyn Host, _: &State, journal: &mut Journal) -> Option<String> {
        apply::left(host, journal)
    }
}

fn one(params: &Params, state: &State, found: &Found) -> ResourceReport {
    let standing = plan::standing(params, state, found);
    ResourceReport {
        kind: found.wanted.kind.name(),
        name: found.wanted.name.clone(),
        standing: match standing {
            Standing::Right => "right",
            Standing::Free => "free",
            Standing::Foreign(_) => "foreign",
        },
        owner: found.marks.owner().map(|owner| owner.to_string()),
    }
}

/// A summary in a few lines.
fn summary(params: &Params, before: &State, after: &State, journal: &Journal) -> Vec<String> {
    let release = &params.release;
    if after.chart.is_none() && after.release.is_none() {
        return vec![format!(
            "{release}: there is no HelmChart and no release of that name (disabled, or not of this version): nothing to adopt"
        )];
    }
    let wrong = |state: &State| {
        let wrong = |found: &&Found| plan::standing(params, state, found) != Standing::Right;
        state.found.iter().filter(wrong).count()
    };
    let mut summary = vec![format!(
        "{release}: {} of {} objects had other owners or none, {} have now",
        wrong(before),
        before.found.len(),
        wrong(after)
    )];
    if after
        .chart
        .as_ref()
        .is_some_and(|chart| chart.spec.take_ownership)
    {
        summary.push("the chart takes ownership itself, whatever the objects say".to_owned());
    }
    let status = after
        .release
        .as_ref()
        .map_or("not there", |release| release.status.as_str());
    let job = after.job.as_ref().map_or("not there", job::HelmJob::word);
    summary.push(format!("the release is {status}, its Job is {job}"));
    if let Some(export) = &journal.export {
        summary.push(format!(
            "{} objects and {} resources were exported to {} on the Proxmox host",
            export.objects, export.resources, export.folder
        ));
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_its_turn_in_the_container() {
        let options = serde_json::json!({"release": "traefik", "pct_id": 101, "lock_timeout": 7});
        let target = HelmAdopt::target(&serde_json::from_value(options).unwrap());
        assert_eq!((target.vmid, target.lock_timeout), (Some(101), Some(7)));
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::HelmAdopt);
}
