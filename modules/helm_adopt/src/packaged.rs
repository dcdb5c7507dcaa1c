//! Which definitions k3s's own charts bring. Pure, and the one place that knows Traefik.
//!
//! The charts' contents by version, from k3s's releases: up to 1.31 Traefik 2 with `traefik.io` and
//! `traefik.containo.us`; since 1.32 Traefik 3, without the latter, with `hub.traefik.io` and some of the Gateway API;
//! since 1.37 the Gateway API has a chart of its own. A definition that no row claims is nobody's business here: other
//! charts, and people, bring definitions of the Gateway API too.

use crate::kind::{Kind, Wanted};
use crate::params::ReleaseId;

pub(crate) const NAMESPACE: &str = "kube-system";
const TRAEFIK: &str = "traefik";
const TRAEFIK_CRD: &str = "traefik-crd";
pub(crate) const GATEWAY_CRD: &str = "gateway-api-crd";

/// What is known of the cluster when an owner is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Era {
    /// The minor version of k3s.
    pub(crate) minor: u32,
    /// Whether there is a `HelmChart` for the Gateway API: some later patch of an earlier minor may bring it.
    pub(crate) gateway_chart: bool,
}

/// Of the Gateway API, what the chart of Traefik has: the plural, and since which minor.
const GATEWAY: [(&str, u32); 6] = [
    ("gatewayclasses", 32),
    ("gateways", 32),
    ("httproutes", 32),
    ("grpcroutes", 32),
    ("referencegrants", 32),
    ("backendtlspolicies", 34),
];

/// The chart that the definition `<plural>.<group>` belongs to.
fn owner(definition: &str, era: Era) -> Option<&'static str> {
    let (plural, group) = definition.split_once('.')?;
    match group {
        "traefik.io" => Some(TRAEFIK_CRD),
        "traefik.containo.us" => (era.minor < 32).then_some(TRAEFIK_CRD),
        "hub.traefik.io" => (era.minor >= 32).then_some(TRAEFIK_CRD),
        "gateway.networking.k8s.io" if era.gateway_chart || era.minor >= 37 => Some(GATEWAY_CRD),
        "gateway.networking.k8s.io" => GATEWAY
            .iter()
            .any(|(own, since)| *own == plural && era.minor >= *since)
            .then_some(TRAEFIK_CRD),
        _ => None,
    }
}

/// Whether [`owner`] has a say in this group, be it that nobody owns it.
fn is_known(definition: &str) -> bool {
    let group = definition.split_once('.').map_or("", |(_, group)| group);
    [
        "traefik.io",
        "traefik.containo.us",
        "hub.traefik.io",
        "gateway.networking.k8s.io",
    ]
    .contains(&group)
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
        .filter(|one| !(packaged && one.kind == Kind::Definition && is_known(&one.name)))
        .cloned();
    let mut claims: Vec<Wanted> = tabled.chain(class).chain(own).collect();
    claims.sort();
    claims.dedup();
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(release: &str, minor: u32, gateway_chart: bool, manifest: &[&str]) -> Vec<String> {
        let definitions = [
            "ingressroutes.traefik.io",
            "ingressroutes.traefik.containo.us",
            "apis.hub.traefik.io",
            "httproutes.gateway.networking.k8s.io",
            "backendtlspolicies.gateway.networking.k8s.io",
            "tcproutes.gateway.networking.k8s.io",
            "certificates.cert-manager.io",
        ];
        let id = ReleaseId {
            namespace: NAMESPACE.to_owned(),
            name: release.to_owned(),
        };
        let manifest: Vec<Wanted> = manifest
            .iter()
            .map(|name| Wanted::of(Kind::Definition, *name))
            .collect();
        let era = Era { minor, gateway_chart };
        claims(&id, era, &definitions.map(str::to_owned), &manifest)
            .into_iter()
            .map(|one| one.name)
            .collect()
    }

    #[test]
    fn the_owner_moves_with_the_version() {
        const ROUTES: &str = "ingressroutes.traefik.io";
        const CONTAINOUS: &str = "ingressroutes.traefik.containo.us";
        const HUB: &str = "apis.hub.traefik.io";
        const HTTP: &str = "httproutes.gateway.networking.k8s.io";
        const TLS: &str = "backendtlspolicies.gateway.networking.k8s.io";
        const TCP: &str = "tcproutes.gateway.networking.k8s.io";
        let cases: [(&str, u32, bool, &[&str]); 8] = [
            ("traefik-crd", 31, false, &[CONTAINOUS, ROUTES]),
            ("traefik-crd", 32, false, &[HUB, HTTP, ROUTES]),
            ("traefik-crd", 34, false, &[HUB, TLS, HTTP, ROUTES]),
            ("traefik-crd", 37, true, &[HUB, ROUTES]),
            // Where the version alone says that it moved, it is not forced back either.
            ("traefik-crd", 37, false, &[HUB, ROUTES]),
            // Where a chart says so, it does before the version.
            ("traefik-crd", 36, true, &[HUB, ROUTES]),
            ("gateway-api-crd", 37, true, &[TLS, HTTP, TCP]),
            ("traefik", 37, true, &["traefik"]),
        ];
        for (release, minor, chart, expected) in cases {
            assert_eq!(of(release, minor, chart, &[]), expected, "{release} of 1.{minor}");
        }
    }

    #[test]
    fn a_manifest_adds_what_the_table_does_not_speak_of() {
        let manifest = ["new.example.org", "httproutes.gateway.networking.k8s.io"];
        let found = of("traefik-crd", 37, true, &manifest);
        assert!(found.contains(&"new.example.org".to_owned()));
        assert!(
            !found.contains(&"httproutes.gateway.networking.k8s.io".to_owned()),
            "the manifest of before the move does not force it back"
        );
    }

    #[test]
    fn another_release_has_what_its_manifest_has() {
        assert_eq!(
            of("other", 31, false, &["httproutes.gateway.networking.k8s.io"]),
            ["httproutes.gateway.networking.k8s.io"]
        );
        assert!(of("other", 31, false, &[]).is_empty());
    }
}
