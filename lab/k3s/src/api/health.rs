//! `/readyz`, `/livez`, `/metrics`.

use crate::api::http::{Body, plain};
use hyper::Response;

const BEFORE_HOOKS: &[&str] = &["ping", "log", "etcd", "informer-sync"];

const HOOKS: &[&str] = &[
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

/// The last hook to finish on a starting server.
const LATE_HOOK: &str = "rbac/bootstrap-roles";

pub fn check(name: &str, ready: bool, datastore: bool, verbose: bool) -> Response<Body> {
    // A server that only starts is alive already.
    let ready = ready || name == "livez";
    let mut lines: Vec<String> = BEFORE_HOOKS
        .iter()
        .map(|check| line(check, datastore || *check != "etcd"))
        .collect();
    lines.extend(
        HOOKS
            .iter()
            .map(|hook| line(&format!("poststarthook/{hook}"), ready || *hook != LATE_HOOK)),
    );
    for check in [
        "autoregister-completion",
        "poststarthook/apiservice-openapi-controller",
    ] {
        lines.push(line(check, true));
    }
    if name == "readyz" {
        lines.push(line("shutdown", true));
    }
    let passed = ready && datastore;
    if passed && !verbose {
        return plain(200, "ok");
    }
    lines.push(format!(
        "{name} check {}",
        if passed { "passed" } else { "failed" }
    ));
    plain(if passed { 200 } else { 500 }, lines.join("\n") + "\n")
}

fn line(check: &str, passed: bool) -> String {
    if passed {
        format!("[+]{check} ok")
    } else {
        format!("[-]{check} failed: reason withheld")
    }
}

pub fn metrics(revision: u64) -> String {
    format!(
        "# TYPE etcd_debugging_mvcc_current_revision gauge\netcd_debugging_mvcc_current_revision {revision}\n"
    )
}
