//! metrics-server without metrics: its API is available, and its lists are empty.

use crate::http::Reply;
use anyhow::{Context as _, Result};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::sync::Arc;

const RESOURCES: &str = r#"{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"metrics.k8s.io/v1beta1","resources":[
{"name":"nodes","singularName":"","namespaced":false,"kind":"NodeMetrics","verbs":["get","list"]},
{"name":"pods","singularName":"","namespaced":true,"kind":"PodMetrics","verbs":["get","list"]}]}"#;
const NODES: &str =
    r#"{"kind":"NodeMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[]}"#;
const PODS: &str =
    r#"{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[]}"#;

pub(crate) fn answer(path: &str) -> Reply {
    match path {
        "/livez" | "/readyz" | "/healthz" => Reply::text("ok".to_owned()),
        "/apis/metrics.k8s.io/v1beta1" => Reply::json(RESOURCES),
        "/apis/metrics.k8s.io/v1beta1/nodes" => Reply::json(NODES),
        "/apis/metrics.k8s.io/v1beta1/pods" => Reply::json(PODS),
        _ => Reply::not_found(),
    }
}

/// A certificate that nobody has to trust: k3s's `APIService` says `insecureSkipTLSVerify`.
pub(crate) fn config() -> Result<Arc<ServerConfig>> {
    let made =
        rcgen::generate_simple_self_signed(["metrics-server".to_owned()]).context("making a certificate")?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("choosing TLS versions")?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .context("using the certificate")?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_that_a_server_can_use() {
        assert!(config().is_ok());
    }

    #[test]
    fn the_group_version_and_its_lists_are_answered_and_nothing_else() {
        assert!(
            answer("/apis/metrics.k8s.io/v1beta1")
                .body
                .contains("NodeMetrics")
        );
        assert!(
            answer("/apis/metrics.k8s.io/v1beta1/pods")
                .body
                .contains("\"items\":[]")
        );
        assert_eq!(answer("/readyz").status, "200 OK");
        assert_eq!(answer("/openapi/v2").status, "404 Not Found");
    }
}
