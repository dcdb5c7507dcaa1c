//! Which kinds the API serves. Kinds of custom resources join them.

use crate::json::{flag, items, text};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::LazyLock;

type Text = Cow<'static, str>;

#[derive(Clone, Debug, Default, PartialEq)]
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

/// Group, plural, kind, scope, short names, and whether the status is written through its own subresource; all are `v1`.
const ROWS: &str = "
    -                            nodes                           Node                           cluster    no       status
    -                            pods                            Pod                            namespaced po       status
    -                            namespaces                      Namespace                      cluster    ns       status
    -                            events                          Event                          namespaced ev       -
    -                            configmaps                      ConfigMap                      namespaced cm       -
    -                            secrets                         Secret                         namespaced -        -
    -                            services                        Service                        namespaced svc      status
    -                            serviceaccounts                 ServiceAccount                 namespaced sa       -
    -                            endpoints                       Endpoints                      namespaced ep       -
    -                            persistentvolumes               PersistentVolume               cluster    pv       status
    -                            persistentvolumeclaims          PersistentVolumeClaim          namespaced pvc      status
    apps                         deployments                     Deployment                     namespaced deploy   status
    apps                         replicasets                     ReplicaSet                     namespaced rs       status
    apps                         daemonsets                      DaemonSet                      namespaced ds       status
    apps                         statefulsets                    StatefulSet                    namespaced sts      status
    batch                        jobs                            Job                            namespaced -        status
    batch                        cronjobs                        CronJob                        namespaced cj       status
    coordination.k8s.io          leases                          Lease                          namespaced -        -
    storage.k8s.io               storageclasses                  StorageClass                   cluster    sc       -
    scheduling.k8s.io            priorityclasses                 PriorityClass                  cluster    pc       -
    networking.k8s.io            ingresses                       Ingress                        namespaced ing      status
    networking.k8s.io            ingressclasses                  IngressClass                   cluster    -        -
    networking.k8s.io            networkpolicies                 NetworkPolicy                  namespaced netpol   -
    rbac.authorization.k8s.io    roles                           Role                           namespaced -        -
    rbac.authorization.k8s.io    rolebindings                    RoleBinding                    namespaced -        -
    rbac.authorization.k8s.io    clusterroles                    ClusterRole                    cluster    -        -
    rbac.authorization.k8s.io    clusterrolebindings             ClusterRoleBinding             cluster    -        -
    apiextensions.k8s.io         customresourcedefinitions       CustomResourceDefinition       cluster    crd,crds status
    apiregistration.k8s.io       apiservices                     APIService                     cluster    -        status
    admissionregistration.k8s.io validatingwebhookconfigurations ValidatingWebhookConfiguration cluster    -        -
    helm.cattle.io               helmcharts                      HelmChart                      namespaced -        status
    helm.cattle.io               helmchartconfigs                HelmChartConfig                namespaced -        -
    k3s.cattle.io                addons                          Addon                          namespaced -        -
    policy                       poddisruptionbudgets            PodDisruptionBudget            namespaced pdb      status
";

static BUILT_IN: LazyLock<Vec<Kind>> = LazyLock::new(|| ROWS.lines().filter_map(Kind::from_row).collect());

pub fn built_in() -> &'static [Kind] {
    &BUILT_IN
}

/// For the program's own use, with a kind that is surely there.
pub fn of(plural: &str) -> Kind {
    let known = built_in().iter().find(|kind| kind.plural == plural);
    known.cloned().unwrap_or_default()
}

impl Kind {
    fn from_row(row: &'static str) -> Option<Self> {
        let mut words = row
            .split_whitespace()
            .map(|word| if word == "-" { "" } else { word });
        let mut next = || words.next();
        Some(Self {
            group: next()?.into(),
            versions: vec!["v1".into()],
            plural: next()?.into(),
            name: next()?.into(),
            namespaced: next()? == "namespaced",
            short: next()?
                .split(',')
                .filter(|name| !name.is_empty())
                .map(Cow::Borrowed)
                .collect(),
            status: next()? == "status",
        })
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
    fn keys_distinguish_groups_and_namespaces() {
        assert_eq!(of("nodes").key("", "n1"), "/registry/core/nodes/n1");
        assert_eq!(
            of("deployments").key("demo", "web"),
            "/registry/apps/deployments/demo/web"
        );
    }
}
