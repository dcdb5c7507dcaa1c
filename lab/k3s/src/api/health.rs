//! `/readyz`, `/livez`, `/healthz`, `/metrics`.

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
/// The others ask for less.
const READYZ_ALONE: &[&str] = &["etcd-readiness", "informer-sync", "shutdown"];

/// The last hook to finish on a starting server.
const LATE_HOOK: &str = "poststarthook/rbac/bootstrap-roles";

/// What an endpoint checks, in its order.
fn checks(endpoint: &str) -> Vec<&'static str> {
    let asked = |check: &&&str| endpoint == "readyz" || !READYZ_ALONE.contains(*check);
    CHECKS.iter().filter(asked).copied().collect()
}

/// What is wrong with a server.
pub struct Wrong {
    /// It still starts.
    pub starting: bool,
    pub no_datastore: bool,
    /// Checks that are to fail.
    pub failing: Vec<String>,
}

impl Wrong {
    fn fails(&self, endpoint: &str, check: &str) -> bool {
        // A server that only starts is alive already.
        let starts = self.starting && endpoint == "readyz" && check == LATE_HOOK;
        starts
            || self.no_datastore && check.starts_with("etcd")
            || self.failing.iter().any(|failing| failing == check)
    }
}

/// The whole endpoint, or one check of it by its path. Nothing where there is no such check.
pub fn answer(endpoint: &str, check: &str, request: &Request, wrong: &Wrong) -> Option<Response<Body>> {
    let checks = checks(endpoint);
    if !check.is_empty() {
        checks.iter().find(|known| **known == check)?;
        return Some(if wrong.fails(endpoint, check) {
            plain(500, "internal server error: reason withheld\n")
        } else {
            plain(200, "ok")
        });
    }
    let excluded = request.query("exclude");
    let mut passed = true;
    let mut lines = Vec::new();
    for check in &checks {
        lines.push(if *check == excluded {
            format!("[+]{check} excluded: ok")
        } else if wrong.fails(endpoint, check) {
            passed = false;
            format!("[-]{check} failed: reason withheld")
        } else {
            format!("[+]{check} ok")
        });
    }
    if passed && !request.has("verbose") {
        return Some(plain(200, "ok"));
    }
    let word = if passed { "passed" } else { "failed" };
    lines.push(format!("{endpoint} check {word}"));
    let code = if passed { 200 } else { 500 };
    Some(plain(code, lines.join("\n") + "\n"))
}

pub fn metrics(revision: u64) -> String {
    format!(
        "# TYPE etcd_debugging_mvcc_current_revision gauge\netcd_debugging_mvcc_current_revision {revision}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readyz_asks_whether_the_server_goes() {
        let ready = checks("readyz");
        assert_eq!((ready.len(), ready.last()), (37, Some(&"shutdown")));
        let alive = checks("livez");
        assert_eq!(alive.len(), 34);
        assert!(!READYZ_ALONE.iter().any(|check| alive.contains(check)));
    }
}
