//! The custom resource definitions that Traefik's charts bring, by version. A few of each group: enough to distinguish the groups
//! apart, and those that operators use.

use crate::version::Version;
use serde_json::{Value, json};

/// group, version, kind, plural
type Row = (&'static str, &'static str, &'static str, &'static str);

const TRAEFIK: &[Row] = &[
    ("traefik.io", "v1alpha1", "IngressRoute", "ingressroutes"),
    ("traefik.io", "v1alpha1", "IngressRouteTCP", "ingressroutetcps"),
    ("traefik.io", "v1alpha1", "Middleware", "middlewares"),
    ("traefik.io", "v1alpha1", "TLSOption", "tlsoptions"),
    ("traefik.io", "v1alpha1", "TraefikService", "traefikservices"),
];
const HUB: &[Row] = &[("hub.traefik.io", "v1alpha1", "API", "apis")];
const GATEWAY: &[Row] = &[
    (
        "gateway.networking.k8s.io",
        "v1",
        "GatewayClass",
        "gatewayclasses",
    ),
    ("gateway.networking.k8s.io", "v1", "Gateway", "gateways"),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
];

/// What is in the chart of this name, as of this version of k3s.
pub(super) fn of_chart(chart: &str, version: &Version) -> Vec<Value> {
    let rows: Vec<&[Row]> = match chart {
        "traefik-crd" if version.since(37) => vec![TRAEFIK, HUB],
        "traefik-crd" => vec![TRAEFIK, HUB, GATEWAY],
        "gateway-api-crd" => vec![GATEWAY],
        _ => Vec::new(),
    };
    rows.into_iter().flatten().map(definition).collect()
}

fn definition((group, version, kind, plural): &Row) -> Value {
    let scope = if *kind == "GatewayClass" {
        "Cluster"
    } else {
        "Namespaced"
    };
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": scope,
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{"name": version, "served": true, "storage": true, "schema": schema}],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_api_moves_between_charts() {
        let names = |chart: &str, version: &str| -> Vec<String> {
            of_chart(chart, &Version::parse(version).unwrap())
                .iter()
                .map(|one| one["spec"]["group"].as_str().unwrap().to_owned())
                .collect()
        };
        let has = |chart, version, group: &str| names(chart, version).iter().any(|one| one == group);
        assert!(has("traefik-crd", "v1.36.3+k3s1", "gateway.networking.k8s.io"));
        assert!(has("traefik-crd", "v1.37.0+k3s1", "hub.traefik.io"));
        assert!(!has("traefik-crd", "v1.37.0+k3s1", "gateway.networking.k8s.io"));
        assert!(has(
            "gateway-api-crd",
            "v1.37.0+k3s1",
            "gateway.networking.k8s.io"
        ));
    }
}
