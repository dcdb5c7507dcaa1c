//! What kubectl asks before anything else: which groups, versions and resources there are.

use crate::kinds::Kind;
use crate::version::Version;
use serde_json::{Value, json};

const VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// `/api`
pub fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`
pub fn groups(kinds: &[Kind]) -> Value {
    let mut names: Vec<&str> = kinds
        .iter()
        .map(|kind| kind.group.as_ref())
        .filter(|g| !g.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    let groups: Vec<Value> = names.iter().filter_map(|name| group(kinds, name)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`
pub fn group(kinds: &[Kind], name: &str) -> Option<Value> {
    let first = kinds.iter().find(|kind| kind.group == name)?;
    let version = |v: &str| json!({"groupVersion": first.api_version(v), "version": v});
    let mut versions: Vec<&str> = Vec::new();
    for v in kinds
        .iter()
        .filter(|kind| kind.group == name)
        .flat_map(|kind| &kind.versions)
    {
        if !versions.contains(&v.as_ref()) {
            versions.push(v);
        }
    }
    let preferred = version(versions.first()?);
    let versions: Vec<Value> = versions.into_iter().map(version).collect();
    Some(json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": name,
        "versions": versions, "preferredVersion": preferred,
    }))
}

/// `/api/v1`, `/apis/<group>/<version>`
pub fn resources(kinds: &[Kind], group: &str, version: &str) -> Option<Value> {
    let served = |kind: &&Kind| kind.group == group && kind.versions.iter().any(|v| v == version);
    let mut group_version = version.to_owned();
    let mut resources = Vec::new();
    for kind in kinds.iter().filter(served) {
        group_version = kind.api_version(version);
        resources.extend(entries(kind));
    }
    (!resources.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
        })
    })
}

fn entries(kind: &Kind) -> Vec<Value> {
    let mut main = json!({
        "name": kind.plural, "singularName": kind.name.to_lowercase(), "namespaced": kind.namespaced,
        "kind": kind.name, "verbs": VERBS,
    });
    if !kind.short.is_empty() {
        main["shortNames"] = json!(kind.short);
    }
    if in_all(kind) {
        main["categories"] = json!(["all"]);
    }
    let mut entries = vec![main];
    let mut sub = |name: &str, other: Value, verbs: &[&str]| {
        let mut entry = json!({
            "name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced,
            "kind": kind.name, "verbs": verbs,
        });
        for (key, value) in other.as_object().into_iter().flatten() {
            entry[key] = value.clone();
        }
        entries.push(entry);
    };
    if kind.status {
        sub("status", json!({}), &["get", "patch", "update"]);
    }
    match kind.plural.as_ref() {
        "pods" => {
            sub(
                "eviction",
                json!({"group": "policy", "version": "v1", "kind": "Eviction"}),
                &["create"],
            );
            sub("log", json!({}), &["get"]);
        }
        "deployments" | "replicasets" | "statefulsets" => {
            let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
            sub("scale", scale, &["get", "patch", "update"]);
        }
        _ => {}
    }
    entries
}

fn in_all(kind: &Kind) -> bool {
    let shown = [
        "pods",
        "services",
        "deployments",
        "replicasets",
        "daemonsets",
        "statefulsets",
        "jobs",
        "cronjobs",
    ];
    shown.contains(&kind.plural.as_ref())
}

/// `/version`
pub fn version() -> Value {
    let version = Version::current();
    json!({
        "major": "1", "minor": version.minor.to_string(), "gitVersion": version.to_string(),
        "gitCommit": version.commit(), "gitTreeState": "clean", "buildDate": "2026-11-22T16:41:04Z",
        "goVersion": version.go(), "compiler": "gc", "platform": "linux/amd64",
    })
}
