//! Which kinds the API serves. Kinds of custom resources join them.

use crate::json::{flag, items, text};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::LazyLock;

type Text = Cow<'static, str>;

#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// Empty for the core group.
    pub group: Text,
    /// Preferred first.
    pub versions: Vec<Text>,
    pub plural: Text,
    pub name: Text,
    pub namespaced: bool,
    pub short: Vec<Text>,
    /// Status is written through its own subresource only.
    pub status: bool,
}

/// group, versions, plural, kind, namespaced, short names, status
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    bool,
    &'static str,
    bool,
);

const ROWS: &[Row] = &[
    ("", "v1", "nodes", "Node", false, "no", true),
    ("", "v1", "pods", "Pod", true, "po", true),
    ("", "v1", "namespaces", "Namespace", false, "ns", true),
    ("", "v1", "events", "Event", true, "ev", false),
    ("", "v1", "configmaps", "ConfigMap", true, "cm", false),
    ("", "v1", "secrets", "Secret", true, "", false),
    ("", "v1", "services", "Service", true, "svc", true),
    ("", "v1", "serviceaccounts", "ServiceAccount", true, "sa", false),
    ("", "v1", "endpoints", "Endpoints", true, "ep", false),
    (
        "",
        "v1",
        "persistentvolumes",
        "PersistentVolume",
        false,
        "pv",
        true,
    ),
    (
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        true,
        "pvc",
        true,
    ),
    ("apps", "v1", "deployments", "Deployment", true, "deploy", true),
    ("apps", "v1", "replicasets", "ReplicaSet", true, "rs", true),
    ("apps", "v1", "daemonsets", "DaemonSet", true, "ds", true),
    ("apps", "v1", "statefulsets", "StatefulSet", true, "sts", true),
    ("batch", "v1", "jobs", "Job", true, "", true),
    ("batch", "v1", "cronjobs", "CronJob", true, "cj", true),
    ("coordination.k8s.io", "v1", "leases", "Lease", true, "", false),
    (
        "storage.k8s.io",
        "v1",
        "storageclasses",
        "StorageClass",
        false,
        "sc",
        false,
    ),
    (
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        false,
        "pc",
        false,
    ),
    (
        "networking.k8s.io",
        "v1",
        "ingresses",
        "Ingress",
        true,
        "ing",
        true,
    ),
    (
        "networking.k8s.io",
        "v1",
        "ingressclasses",
        "IngressClass",
        false,
        "",
        false,
    ),
    (
        "networking.k8s.io",
        "v1",
        "networkpolicies",
        "NetworkPolicy",
        true,
        "netpol",
        false,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "roles",
        "Role",
        true,
        "",
        false,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "rolebindings",
        "RoleBinding",
        true,
        "",
        false,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "clusterroles",
        "ClusterRole",
        false,
        "",
        false,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "clusterrolebindings",
        "ClusterRoleBinding",
        false,
        "",
        false,
    ),
    (
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        false,
        "crd,crds",
        true,
    ),
    (
        "apiregistration.k8s.io",
        "v1",
        "apiservices",
        "APIService",
        false,
        "",
        true,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        false,
        "",
        false,
    ),
    ("helm.cattle.io", "v1", "helmcharts", "HelmChart", true, "", true),
    (
        "helm.cattle.io",
        "v1",
        "helmchartconfigs",
        "HelmChartConfig",
        true,
        "",
        false,
    ),
    ("k3s.cattle.io", "v1", "addons", "Addon", true, "", false),
    (
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        true,
        "pdb",
        true,
    ),
];

static BUILT_IN: LazyLock<Vec<Kind>> = LazyLock::new(|| ROWS.iter().map(Kind::from_row).collect());

fn words(text: &'static str) -> Vec<Text> {
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(Cow::Borrowed)
        .collect()
}

pub fn built_in() -> &'static [Kind] {
    &BUILT_IN
}

/// For the program's own use, with a kind that is surely there.
pub fn of(plural: &str) -> Kind {
    let known = built_in().iter().find(|kind| kind.plural == plural);
    known
        .cloned()
        .unwrap_or_else(|| Kind::from_row(&("", "v1", "unknown", "Unknown", true, "", false)))
}

impl Kind {
    fn from_row(&(group, versions, plural, name, namespaced, short, status): &Row) -> Self {
        Self {
            group: group.into(),
            versions: words(versions),
            plural: plural.into(),
            name: name.into(),
            namespaced,
            short: words(short),
            status,
        }
    }

    pub fn from_definition(definition: &Value) -> Self {
        let texts = |pointer| -> Vec<Text> {
            items(definition, pointer)
                .iter()
                .filter_map(|v| Some(Cow::Owned(v.as_str()?.to_owned())))
                .collect()
        };
        let versions = items(definition, "/spec/versions");
        let served = versions.iter().filter(|v| flag(v, "/served"));
        let owned = |pointer| Cow::Owned(text(definition, pointer).to_owned());
        Self {
            group: owned("/spec/group"),
            versions: served.map(|v| Cow::Owned(text(v, "/name").to_owned())).collect(),
            plural: owned("/spec/names/plural"),
            name: owned("/spec/names/kind"),
            namespaced: text(definition, "/spec/scope") == "Namespaced",
            short: texts("/spec/names/shortNames"),
            status: versions
                .iter()
                .any(|v| v.pointer("/subresources/status").is_some()),
        }
    }

    pub fn prefix(&self, namespace: &str) -> String {
        let group = if self.group.is_empty() {
            "core"
        } else {
            &self.group
        };
        if namespace.is_empty() {
            format!("/registry/{group}/{}/", self.plural)
        } else {
            format!("/registry/{group}/{}/{namespace}/", self.plural)
        }
    }

    pub fn key(&self, namespace: &str, name: &str) -> String {
        format!(
            "{}{name}",
            self.prefix(if self.namespaced { namespace } else { "" })
        )
    }

    pub fn key_of(&self, object: &Value) -> String {
        self.key(crate::json::namespace(object), crate::json::name(object))
    }

    /// `apps/v1`, `v1`.
    pub fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() {
            version.to_owned()
        } else {
            format!("{}/{version}", self.group)
        }
    }

    pub fn preferred(&self) -> String {
        self.api_version(self.versions.first().map_or("v1", |v| v))
    }

    /// `nodes`, `deployments.apps`: as messages name the resource.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_groups_and_namespaces_apart() {
        assert_eq!(of("nodes").key("", "n1"), "/registry/core/nodes/n1");
        assert_eq!(
            of("deployments").key("demo", "web"),
            "/registry/apps/deployments/demo/web"
        );
    }
}
