//! Who asks, by client certificate, and what each may do.

use crate::api::status::{Outcome, Refusal};
use crate::kinds::Kind;
use hyper::Method;
use x509_parser::prelude::{FromDer, X509Certificate};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub user: String,
    pub groups: Vec<String>,
}

impl Identity {
    /// Of a certificate that has been verified.
    pub fn from_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let groups = subject
            .iter_organization()
            .filter_map(|o| Some(o.as_str().ok()?.to_owned()))
            .collect();
        Some(Self { user, groups })
    }

    pub fn is_admin(&self) -> bool {
        self.groups.iter().any(|group| group == "system:masters")
    }

    fn node(&self) -> Option<&str> {
        self.user.strip_prefix("system:node:")
    }

    /// Administrators may do everything, nodes read everything and write what is theirs, other components read.
    pub fn check(&self, method: &Method, kind: &Kind, namespace: &str, name: &str) -> Outcome<()> {
        let reads = method == Method::GET || method == Method::HEAD;
        if self.is_admin() || reads && kind.plural != "secrets" || self.is_own(method, kind, name) {
            return Ok(());
        }
        let scope = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{namespace}\"")
        };
        let why = format!(
            "User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {scope}",
            self.user,
            verb(method),
            kind.plural,
            kind.group
        );
        Err(Refusal::forbidden(kind, name, &why))
    }

    fn is_own(&self, method: &Method, kind: &Kind, name: &str) -> bool {
        let Some(node) = self.node() else { return false };
        match kind.plural.as_ref() {
            "nodes" | "leases" => name == node || name.is_empty() && method == Method::POST,
            "pods" | "events" => true,
            _ => false,
        }
    }
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}
