//! `/readyz`.

use crate::api::http::{Body, Request, plain};
use hyper::Response;

/// Of `/readyz` on a server with etcd, as recorded of 1.36.
const CHECKS: &[&str] = &[
    "ping",
    "log",
    "etcd",
    "etcd-readiness",
    "informer-sync",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/aggregator-reload-proxy-client-cert",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
    "shutdown",
];

/// The last hook to finish on a starting server.
const LATE_HOOK: &str = "poststarthook/rbac/bootstrap-roles";

/// What is wrong with a server.
pub struct Wrong {
    /// It still starts.
    pub starting: bool,
    pub no_datastore: bool,
    /// Checks that are to fail.
    pub failing: Vec<String>,
}

impl Wrong {
    fn fails(&self, check: &str) -> bool {
        self.starting && check == LATE_HOOK
            || self.no_datastore && check.starts_with("etcd")
            || self.failing.iter().any(|failing| failing == check)
    }
}

pub fn answer(request: &Request, wrong: &Wrong) -> Response<Body> {
    let failed = CHECKS.iter().any(|check| wrong.fails(check));
    if !failed && !request.has("verbose") {
        return plain(200, "ok");
    }
    let line = |check: &&str| {
        if wrong.fails(check) {
            format!("[-]{check} failed: reason withheld\n")
        } else {
            format!("[+]{check} ok\n")
        }
    };
    let lines: String = CHECKS.iter().map(line).collect();
    let (code, word) = if failed { (500, "failed") } else { (200, "passed") };
    plain(code, format!("{lines}readyz check {word}\n"))
}
