//! Looks at the release, its chart, and all that it is to own; changes nothing.

use crate::definition::Definition;
use crate::kind::{Kind, Wanted};
use crate::packaged::{self, Era};
use crate::params::{Params, ReleaseId};
use crate::progress::{read_job, read_release};
use crate::release::Release;
use crate::state::{Config, Found, Marks, REVISIONS, RevisionLine, Saved, State, newest, revisions};
use anyhow::{Context, Result};
use cluster::{ApiGroups, ApiVersion, Chart, Kubectl, List, Meta, Node, Object, Questions, pages};
use host::Host;
use k3s_types::K3sVersion;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

const HELM_GROUP: &str = "helm.cattle.io";
/// Schemas are large, so these come in smaller pages: some megabytes each.
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?limit=50";
const SERVERS: &str = "/api/v1/nodes?labelSelector=node-role.kubernetes.io%2Fcontrol-plane&limit=500";

#[derive(Deserialize)]
struct Service {
    metadata: Meta,
    spec: ServiceSpec,
}

#[derive(Deserialize)]
struct ServiceSpec {
    r#type: Option<String>,
}

/// The first page of a list shows how many follow.
#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    metadata: Remaining,
    #[serde(default, deserialize_with = "cluster::null_is_empty")]
    items: Vec<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Remaining {
    remaining_item_count: u64,
}

/// What is read of the cluster, whatever the release.
struct Cluster {
    versions: Vec<String>,
    definitions: Vec<Definition>,
    charts: Vec<Chart>,
    configs: Vec<Config>,
    revisions: Vec<RevisionLine>,
}

pub(crate) fn state(params: &Params, host: &dyn Host) -> Result<State> {
    let kubectl = params.kubectl(host);
    kubectl
        .patiently("checking the release", || look(params, &kubectl))
        .with_context(|| format!("{}: checking the release {}", host.location(), params.release))
}

fn look(params: &Params, kubectl: &Kubectl) -> Result<State> {
    let cluster = read_cluster(kubectl)?;
    let chart = cluster
        .charts
        .iter()
        .find(|chart| ReleaseId::installed_by(chart) == params.release);
    let config = chart.and_then(|chart| {
        let meta = &chart.metadata;
        let same = |other: &Meta| other.name == meta.name && other.namespace == meta.namespace;
        cluster.configs.iter().find(|config| same(&config.metadata))
    });
    let release = newest(&cluster.revisions, &params.release)
        .map(|line| read_release(kubectl, line))
        .transpose()?;
    let claimed = claimed(params, &cluster, release.as_ref())?;
    let mut state = State {
        location: kubectl.host.location(),
        chart: chart.cloned(),
        config: config.cloned(),
        servers: cluster.versions.clone(),
        unclear: claimed.unclear,
        ..State::default()
    };
    let wanted = claimed.wanted;
    state.found = found(params, kubectl, &cluster, &wanted)?;
    let made = release.as_ref().map_or(&[][..], |release| &release.made);
    state.saved = saved(params, &cluster, &state.found, made);
    let definitions = state
        .found
        .iter()
        .filter(|one| one.wanted.kind == Kind::Definition);
    let names = definitions.map(|one| one.wanted.name.clone()).collect();
    state.counts = counts(kubectl, &cluster.definitions, &names)?;
    state.balancers = balancers(params, kubectl)?;
    state.job = chart.map(|chart| read_job(kubectl, chart)).transpose()?.flatten();
    state.release = release;
    state.revisions = cluster.revisions;
    Ok(state)
}

fn read_cluster(kubectl: &Kubectl) -> Result<Cluster> {
    let answers = Questions::new(kubectl)
        .command("the releases of Helm", REVISIONS)
        .ask("asking for the releases of Helm")?;
    let answer = answers
        .get(0)
        .context("asking for the releases of Helm: no answer came")?;
    anyhow::ensure!(answer.ok(), "asking for the releases of Helm: {}", answer.said);
    let revisions = revisions(&answer.text());

    let paths = ["/version", SERVERS, "/apis", DEFINITIONS];
    let mut read = kubectl.read(&paths.map(str::to_owned))?;
    let asked: ApiVersion = read.one()?;
    let nodes: Vec<Node> = read.list()?;
    let groups: ApiGroups = read.one()?;
    let definitions = read.list()?;
    let mut versions: BTreeSet<String> = nodes.into_iter().map(|node| node.kubelet_version).collect();
    versions.insert(asked.git_version);

    let (mut charts, mut configs) = (Vec::new(), Vec::new());
    // A k3s that is configured to install no charts has none.
    if groups.serve(HELM_GROUP) {
        let paths = ["helmcharts", "helmchartconfigs"]
            .map(|plural| pages(&format!("/apis/{HELM_GROUP}/v1/{plural}")));
        let mut read = kubectl.read(&paths)?;
        charts = read.list()?;
        configs = read.list()?;
    }
    Ok(Cluster {
        versions: versions.into_iter().collect(),
        definitions,
        charts,
        configs,
        revisions,
    })
}

struct Claimed {
    wanted: Vec<Wanted>,
    unclear: Vec<String>,
}

/// What the release is to own, and what is not clear while servers of several versions run.
fn claimed(params: &Params, cluster: &Cluster, release: Option<&Release>) -> Result<Claimed> {
    if !params.resources.is_empty() {
        return Ok(Claimed {
            wanted: params.resources.clone(),
            unclear: Vec::new(),
        });
    }
    let packaged = |name: &str| {
        let mut charts = cluster
            .charts
            .iter()
            .map(|chart| (chart, ReleaseId::installed_by(chart)));
        let found = charts.find(|(_, id)| id.namespace == packaged::NAMESPACE && id.name == name);
        found.map(|(chart, _)| chart)
    };
    let traefik = packaged(packaged::TRAEFIK_CRD);
    let chart = traefik.and_then(|chart| packaged::chart_version(&chart.spec.chart));
    let gateway_chart = packaged(packaged::GATEWAY_CRD).is_some();
    let names: Vec<String> = cluster
        .definitions
        .iter()
        .map(|definition| definition.metadata.name.clone())
        .collect();
    let made = release.map_or(&[][..], |release| &release.made);
    let mut all = BTreeSet::new();
    let mut common: Option<BTreeSet<Wanted>> = None;
    for version in &cluster.versions {
        let version: K3sVersion = version.parse().context("asking the servers for their versions")?;
        let era = Era {
            minor: version.minor,
            chart,
            gateway_chart,
        };
        let claims: BTreeSet<Wanted> = packaged::claims(&params.release, era, &names, made)
            .into_iter()
            .collect();
        common = Some(common.map_or_else(|| claims.clone(), |common| &common & &claims));
        all.extend(claims);
    }
    let common = common.unwrap_or_default();
    Ok(Claimed {
        unclear: all.difference(&common).map(|one| one.name.clone()).collect(),
        wanted: common.into_iter().collect(),
    })
}

/// Those that are there. One that is not will be made by the chart, with the right marks.
fn found(params: &Params, kubectl: &Kubectl, cluster: &Cluster, wanted: &[Wanted]) -> Result<Vec<Found>> {
    let namespace = &params.release.namespace;
    let others: Vec<&Wanted> = wanted.iter().filter(|one| one.kind != Kind::Definition).collect();
    let path = |one: &&Wanted| {
        format!(
            "{}?fieldSelector=metadata.name%3D{}",
            one.kind.list(namespace),
            one.name
        )
    };
    let paths: Vec<String> = others.iter().map(path).collect();
    let mut found = Vec::new();
    for one in wanted.iter().filter(|one| one.kind == Kind::Definition) {
        let definitions = &cluster.definitions;
        let definition = definitions.iter().find(|it| it.metadata.name == one.name);
        found.extend(definition.map(|definition| Found {
            wanted: one.clone(),
            marks: Marks::of(&definition.metadata),
        }));
    }
    if !paths.is_empty() {
        let mut read = kubectl.read(&paths)?;
        for one in others {
            let list: List<Object> = read.one()?;
            found.extend(list.items.into_iter().map(|object| Found {
                wanted: one.clone(),
                marks: Marks::of(&object.metadata),
            }));
        }
    }
    Ok(found)
}

/// What is claimed, and what the release has made or has its name on: all that could be lost with it.
fn saved(params: &Params, cluster: &Cluster, found: &[Found], made: &[Wanted]) -> Vec<Saved> {
    let mut all: BTreeSet<Wanted> = found.iter().map(|found| found.wanted.clone()).collect();
    for definition in &cluster.definitions {
        let wanted = Wanted::of(Kind::Definition, &definition.metadata.name);
        let named = Marks::of(&definition.metadata).owner().as_ref() == Some(&params.release);
        if named || made.contains(&wanted) {
            all.insert(wanted);
        }
    }
    let resources = |wanted: &Wanted| {
        let definition = cluster
            .definitions
            .iter()
            .find(|it| it.metadata.name == wanted.name);
        definition.and_then(Definition::list)
    };
    all.iter()
        .map(|wanted| Saved::of(wanted, &params.release.namespace, resources(wanted)))
        .collect()
}

/// How many resources there are of these definitions; one that is gone has none.
fn counts(
    kubectl: &Kubectl,
    definitions: &[Definition],
    names: &BTreeSet<String>,
) -> Result<BTreeMap<String, u64>> {
    let paths: Vec<(String, String)> = definitions
        .iter()
        .filter(|definition| names.contains(&definition.metadata.name))
        .filter_map(|it| Some((it.metadata.name.clone(), format!("{}?limit=1", it.list()?))))
        .collect();
    let mut counts = BTreeMap::new();
    if paths.is_empty() {
        return Ok(counts);
    }
    let asked: Vec<String> = paths.iter().map(|(_, path)| path.clone()).collect();
    let mut read = kubectl.read(&asked)?;
    for (name, _) in paths {
        let Counted { metadata, items } = read.one()?;
        counts.insert(name, items.len() as u64 + metadata.remaining_item_count);
    }
    Ok(counts)
}

fn balancers(params: &Params, kubectl: &Kubectl) -> Result<Vec<String>> {
    let Some(selector) = &params.balancer_selector else {
        return Ok(Vec::new());
    };
    let selector = cluster::Selector::parse(selector).map_err(anyhow::Error::msg)?;
    let services: Vec<Service> = kubectl.list(pages("/api/v1/services"))?;
    Ok(services
        .into_iter()
        .filter(|service| service.spec.r#type.as_deref() == Some("LoadBalancer"))
        .filter(|service| selector.selects(&service.metadata.labels))
        .map(|service| format!("{}/{}", service.metadata.namespace, service.metadata.name))
        .collect())
}

/// The numbers once more, for the definitions that were counted before.
pub(crate) fn count_again(
    kubectl: &Kubectl,
    before: &BTreeMap<String, u64>,
) -> Result<BTreeMap<String, u64>> {
    let definitions: Vec<Definition> = kubectl.list(DEFINITIONS.to_owned())?;
    counts(kubectl, &definitions, &before.keys().cloned().collect())
}
