//! `/readyz`, `/livez`, `/healthz`, `/metrics`.

use crate::api::http::{Body, Request, plain};
use crate::version::Version;
use hyper::Response;

/// As recorded of 1.21.
const OLD_HOOKS: &[&str] = &[
    "start-kube-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "bootstrap-controller",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "start-cluster-authentication-info-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-registration-controller",
    "apiservice-status-available-controller",
    "kube-apiserver-autoregistration",
];

/// As published of k3s 1.36.
const NEW_HOOKS: &[&str] = &[
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
];

/// The last hook to finish on a starting server.
const LATE_HOOK: &str = "poststarthook/rbac/bootstrap-roles";
const NEW_SINCE: u32 = 31;

/// What an endpoint checks, in its order.
fn checks(endpoint: &str, version: &Version) -> Vec<String> {
    let is_new = version.since(NEW_SINCE);
    let readyz = endpoint == "readyz";
    let mut checks = vec!["ping", "log", "etcd"];
    if readyz && version.since(25) {
        checks.push("etcd-readiness");
    }
    if readyz {
        checks.push("informer-sync");
    }
    let mut checks: Vec<String> = checks.into_iter().map(str::to_owned).collect();
    let hooks = if is_new { NEW_HOOKS } else { OLD_HOOKS };
    checks.extend(hooks.iter().map(|hook| format!("poststarthook/{hook}")));
    checks.push("autoregister-completion".to_owned());
    checks.push("poststarthook/apiservice-openapi-controller".to_owned());
    if is_new {
        checks.push("poststarthook/apiservice-openapiv3-controller".to_owned());
    }
    if readyz {
        checks.push("shutdown".to_owned());
    }
    checks
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
    let checks = checks(endpoint, Version::current());
    if !check.is_empty() {
        checks.iter().find(|known| *known == check)?;
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
        lines.push(if check == excluded {
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
    fn an_endpoint_checks_what_its_version_does() {
        let of = |endpoint, version: &str| checks(endpoint, &Version::parse(version).unwrap());
        let recorded = of("readyz", "v1.21.2+k3s1");
        assert_eq!((recorded.len(), recorded[3].as_str()), (24, "informer-sync"));
        assert_eq!(recorded.last().unwrap(), "shutdown");
        assert_eq!(of("readyz", "v1.31.4+k3s1")[3], "etcd-readiness");
        let alive = of("livez", "v1.31.4+k3s1");
        assert!(
            !alive
                .iter()
                .any(|check| ["shutdown", "informer-sync", "etcd-readiness"].contains(&check.as_str()))
        );
    }
}
