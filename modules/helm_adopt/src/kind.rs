//! The kinds of objects that a release may own, and their paths in the API.

use std::fmt;

/// A resource that is to belong to the release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub kind: Kind,
    pub name: String,
}

impl Wanted {
    pub fn of(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

/// The kinds that charts make and that survive a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Definition,
    IngressClass,
    ClusterRole,
    ClusterRoleBinding,
    ServiceAccount,
    Service,
    Deployment,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Definition,
        Self::IngressClass,
        Self::ClusterRole,
        Self::ClusterRoleBinding,
        Self::ServiceAccount,
        Self::Service,
        Self::Deployment,
    ];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Definition => "CustomResourceDefinition",
            Self::IngressClass => "IngressClass",
            Self::ClusterRole => "ClusterRole",
            Self::ClusterRoleBinding => "ClusterRoleBinding",
            Self::ServiceAccount => "ServiceAccount",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
        }
    }

    /// The group with its version, and the plural.
    fn api(self) -> (&'static str, &'static str) {
        match self {
            Self::Definition => ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
            Self::IngressClass => ("apis/networking.k8s.io/v1", "ingressclasses"),
            Self::ClusterRole => ("apis/rbac.authorization.k8s.io/v1", "clusterroles"),
            Self::ClusterRoleBinding => ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
            Self::ServiceAccount => ("api/v1", "serviceaccounts"),
            Self::Service => ("api/v1", "services"),
            Self::Deployment => ("apis/apps/v1", "deployments"),
        }
    }

    fn namespaced(self) -> bool {
        matches!(self, Self::ServiceAccount | Self::Service | Self::Deployment)
    }

    /// The path of all of this kind, where the release is.
    pub fn list(self, namespace: &str) -> String {
        let (api, plural) = self.api();
        if self.namespaced() {
            format!("/{api}/namespaces/{namespace}/{plural}")
        } else {
            format!("/{api}/{plural}")
        }
    }

    /// `ingressclasses.networking.k8s.io`, as kubectl takes it for an argument.
    pub fn argument(self) -> String {
        let (api, plural) = self.api();
        let group = api.split('/').nth(1).filter(|_| api.starts_with("apis/"));
        group.map_or_else(|| plural.to_owned(), |group| format!("{plural}.{group}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_paths() {
        assert_eq!(
            Kind::IngressClass.list("kube-system"),
            "/apis/networking.k8s.io/v1/ingressclasses"
        );
        assert_eq!(
            Kind::Deployment.list("kube-system"),
            "/apis/apps/v1/namespaces/kube-system/deployments"
        );
        assert_eq!(Kind::Service.argument(), "services");
        assert_eq!(
            Kind::Definition.argument(),
            "customresourcedefinitions.apiextensions.k8s.io"
        );
    }
}
