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
    let entry = |name: String, verbs: &[&str]| {
        json!({
            "name": name, "singularName": kind.name.to_lowercase(), "namespaced": kind.namespaced, "kind": kind.name,
            "verbs": verbs, "shortNames": kind.short,
        })
    };
    let mut entries = vec![entry(kind.plural.to_string(), VERBS)];
    if kind.plural == "pods" {
        // A drain asks whether there are evictions.
        let mut eviction = entry("pods/eviction".to_owned(), &["create"]);
        eviction["group"] = json!("policy");
        eviction["version"] = json!("v1");
        eviction["kind"] = json!("Eviction");
        entries.push(eviction);
    }
    entries
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
