//! Which definitions k3s's own charts bring. Pure, and the one file with facts about Traefik.
//!
//! Patches of several minors carry the same chart, so the chart is asked, not the minor: its `spec.chart` names its version. What each
//! version brings was read in the charts that k3s publishes. From 1.37 on the Gateway API has a chart of its own. A definition that no
//! row claims is nobody's business here: other charts, and people, bring definitions of the Gateway API too.

use crate::kind::{Kind, Wanted};
use crate::params::ReleaseId;

pub(crate) const NAMESPACE: &str = "kube-system";
const TRAEFIK: &str = "traefik";
pub(crate) const TRAEFIK_CRD: &str = "traefik-crd";
pub(crate) const GATEWAY_CRD: &str = "gateway-api-crd";
const GATEWAY: &str = "gateway.networking.k8s.io";
/// The minor version of k3s from which on the Gateway API is no longer Traefik's.
const GATEWAY_MOVES: u32 = 37;

pub(crate) type ChartVersion = (u32, u32, u32);

/// What is known of the cluster when an owner is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Era {
    /// The minor version of k3s.
    pub(crate) minor: u32,
    /// The version of the chart `traefik-crd`; none where there is no such chart, or one that is not k3s's.
    pub(crate) chart: Option<ChartVersion>,
    /// Whether there is a `HelmChart` for the Gateway API: some later patch of an earlier minor may bring it.
    pub(crate) gateway_chart: bool,
}

/// Definitions that the chart `traefik-crd` brings from one version on until before another.
struct Row {
    group: &'static str,
    /// None: all of the group.
    plurals: &'static [&'static str],
    from: ChartVersion,
    before: ChartVersion,
}

const FIRST: ChartVersion = (0, 0, 0);
const STILL: ChartVersion = (u32::MAX, 0, 0);
/// Traefik 3 came with it.
const V34: ChartVersion = (34, 2, 1);
const V41: ChartVersion = (41, 0, 0);
const ROWS: [Row; 7] = [
    row("traefik.io", &[], FIRST, STILL),
    row("traefik.containo.us", &[], FIRST, V34),
    row("hub.traefik.io", &[], V34, STILL),
    row(
        GATEWAY,
        &[
            "gatewayclasses",
            "gateways",
            "grpcroutes",
            "httproutes",
            "referencegrants",
        ],
        V34,
        V41,
    ),
    row(GATEWAY, &["backendtlspolicies"], (38, 0, 101), V41),
    row(GATEWAY, &["listenersets", "tlsroutes"], (40, 0, 0), V41),
    row(GATEWAY, &["tcproutes", "udproutes"], (40, 1, 5), V41),
];

const fn row(
    group: &'static str,
    plurals: &'static [&'static str],
    from: ChartVersion,
    before: ChartVersion,
) -> Row {
    Row {
        group,
        plurals,
        from,
        before,
    }
}

impl Row {
    fn brings(&self, group: &str, plural: &str, chart: ChartVersion) -> bool {
        let named = self.plurals.is_empty() || self.plurals.contains(&plural);
        self.group == group && named && (self.from..self.before).contains(&chart)
    }
}

/// The version in the name of a packaged chart: `…/static/charts/traefik-crd-40.1.4+up40.1.0.tgz`.
pub(crate) fn chart_version(chart: &str) -> Option<ChartVersion> {
    let file = chart.rsplit('/').next()?.strip_suffix(".tgz")?;
    let version = file.strip_prefix(TRAEFIK_CRD)?.strip_prefix('-')?;
    let mut numbers = version.split('+').next()?.split('.').map(str::parse);
    let mut number = || numbers.next()?.ok();
    Some((number()?, number()?, number()?))
}

/// The chart that the definition `<plural>.<group>` belongs to.
fn owner(definition: &str, era: Era) -> Option<&'static str> {
    let (plural, group) = definition.split_once('.')?;
    if group == GATEWAY && (era.gateway_chart || era.minor >= GATEWAY_MOVES) {
        return Some(GATEWAY_CRD);
    }
    let chart = era.chart?;
    let brought = ROWS.iter().any(|row| row.brings(group, plural, chart));
    brought.then_some(TRAEFIK_CRD)
}

/// Whether [`owner`] decides on this group, be it that nobody owns it.
fn is_known(definition: &str, era: Era) -> bool {
    let group = definition.split_once('.').map_or("", |(_, group)| group);
    era.chart.is_some() && ROWS.iter().any(|row| row.group == group)
}

pub(crate) fn is_packaged(release: &ReleaseId) -> bool {
    release.namespace == NAMESPACE && [TRAEFIK, TRAEFIK_CRD, GATEWAY_CRD].contains(&release.name.as_str())
}

/// What is the release's: what the table says, and of what the table does not speak, what the release itself has.
pub(crate) fn claims(
    release: &ReleaseId,
    era: Era,
    definitions: &[String],
    manifest: &[Wanted],
) -> Vec<Wanted> {
    let packaged = is_packaged(release);
    let tabled = definitions
        .iter()
        .filter(|name| packaged && owner(name, era) == Some(release.name.as_str()))
        .map(|name| Wanted::of(Kind::Definition, name));
    let class = (packaged && release.name == TRAEFIK).then(|| Wanted::of(Kind::IngressClass, TRAEFIK));
    let own = manifest
        .iter()
        .filter(|one| !(packaged && one.kind == Kind::Definition && is_known(&one.name, era)))
        .cloned();
    let mut claims: Vec<Wanted> = tabled.chain(class).chain(own).collect();
    claims.sort();
    claims.dedup();
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "ingressroutes.traefik.io";
    const CONTAINOUS: &str = "ingressroutes.traefik.containo.us";
    const HUB: &str = "apis.hub.traefik.io";
    const HTTP: &str = "httproutes.gateway.networking.k8s.io";
    const TLS: &str = "backendtlspolicies.gateway.networking.k8s.io";
    const SETS: &str = "listenersets.gateway.networking.k8s.io";
    const TCP: &str = "tcproutes.gateway.networking.k8s.io";

    fn of(release: &str, era: Era, manifest: &[&str]) -> Vec<String> {
        let others = "certificates.cert-manager.io";
        let definitions = [ROUTES, CONTAINOUS, HUB, HTTP, TLS, SETS, TCP, others];
        let id = ReleaseId {
            namespace: NAMESPACE.to_owned(),
            name: release.to_owned(),
        };
        let manifest: Vec<Wanted> = manifest
            .iter()
            .map(|name| Wanted::of(Kind::Definition, *name))
            .collect();
        claims(&id, era, &definitions.map(str::to_owned), &manifest)
            .into_iter()
            .map(|one| one.name)
            .collect()
    }

    fn era(minor: u32, chart: &str, gateway_chart: bool) -> Era {
        Era {
            minor,
            chart: chart_version(chart),
            gateway_chart,
        }
    }

    const V27: &str = "https://%{KUBERNETES_API}%/static/charts/traefik-crd-27.0.201+up27.0.2.tgz";
    const V34: &str = "https://%{KUBERNETES_API}%/static/charts/traefik-crd-34.2.1+up34.2.0.tgz";
    const V37: &str = "https://%{KUBERNETES_API}%/static/charts/traefik-crd-37.1.1+up37.1.0.tgz";
    const V39: &str = "https://%{KUBERNETES_API}%/static/charts/traefik-crd-39.0.701+up39.0.7.tgz";
    const V40: &str = "https://%{KUBERNETES_API}%/static/charts/traefik-crd-40.1.4+up40.1.0.tgz";
    const V40_5: &str = "https://%{KUBERNETES_API}%/static/charts/traefik-crd-40.1.5+up40.1.0.tgz";
    const V41: &str = "https://%{KUBERNETES_API}%/static/charts/traefik-crd-41.4.2+up41.4.0.tgz";

    #[test]
    fn the_version_of_a_packaged_chart_is_in_its_name() {
        assert_eq!(chart_version(V27), Some((27, 0, 201)));
        assert_eq!(chart_version("/charts/traefik-crd-41.0.0.tgz"), Some((41, 0, 0)));
        for own in [
            "",
            "traefik/traefik-crds",
            "/traefik-crd-latest.tgz",
            "/traefik-40.1.4.tgz",
        ] {
            assert_eq!(chart_version(own), None, "{own}");
        }
    }

    #[test]
    fn the_owner_moves_with_the_chart() {
        let cases: [(&str, Era, &[&str]); 12] = [
            ("traefik-crd", era(31, V27, false), &[CONTAINOUS, ROUTES]),
            // The first patches of 1.32.
            ("traefik-crd", era(32, V27, false), &[CONTAINOUS, ROUTES]),
            ("traefik-crd", era(32, V34, false), &[HUB, HTTP, ROUTES]),
            ("traefik-crd", era(34, V37, false), &[HUB, HTTP, ROUTES]),
            // A late patch carries what its younger sisters do.
            ("traefik-crd", era(33, V39, false), &[HUB, TLS, HTTP, ROUTES]),
            (
                "traefik-crd",
                era(36, V40, false),
                &[HUB, TLS, HTTP, ROUTES, SETS],
            ),
            (
                "traefik-crd",
                era(36, V40_5, false),
                &[HUB, TLS, HTTP, ROUTES, SETS, TCP],
            ),
            ("traefik-crd", era(37, V41, true), &[HUB, ROUTES]),
            // Where the version alone says that it moved, it is not forced back either.
            ("traefik-crd", era(37, V40, false), &[HUB, ROUTES]),
            // Where a chart says so, it does before the version.
            ("traefik-crd", era(36, V40, true), &[HUB, ROUTES]),
            ("gateway-api-crd", era(37, V41, true), &[TLS, HTTP, SETS, TCP]),
            ("traefik", era(37, V41, true), &["traefik"]),
        ];
        for (release, era, expected) in cases {
            let mut expected: Vec<&str> = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(of(release, era, &[]), expected, "{release} of {era:?}");
        }
    }

    #[test]
    fn a_manifest_adds_what_the_table_does_not_speak_of() {
        let found = of("traefik-crd", era(37, V41, true), &["new.example.org", HTTP]);
        assert!(found.contains(&"new.example.org".to_owned()));
        assert!(
            !found.contains(&HTTP.to_owned()),
            "the manifest of before the move does not force it back"
        );
    }

    #[test]
    fn another_chart_and_another_release_have_what_their_manifest_has() {
        for release in ["other", "traefik-crd"] {
            assert_eq!(of(release, era(36, "", false), &[HTTP]), [HTTP]);
            assert!(of(release, era(36, "", false), &[]).is_empty());
        }
    }
}
