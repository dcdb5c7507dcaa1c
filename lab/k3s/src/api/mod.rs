//! The Kubernetes API: whoever has a certificate of the cluster may do everything.

pub mod discovery;
pub mod evict;
pub mod health;
pub mod http;
pub mod page;
pub mod patch;
pub mod protobuf;
pub mod selectors;
pub mod status;
pub mod verbs;
pub mod watch;

use crate::cluster::Cluster;
use crate::faults;
use crate::json::set;
use crate::kinds::{self, Kind};
use crate::phase::Phase;
use health::Wrong;
use http::{Body, Request};
use hyper::{Method, Response};
use serde_json::{Value, json};
use status::{Outcome, Refusal};
use verbs::Target;

#[derive(Clone)]
pub struct Api {
    pub cluster: Cluster,
    pub phase: Phase,
    /// `10.99.0.101:6443`
    pub address: String,
}

impl Api {
    pub async fn answer(&self, known: bool, request: Request) -> Response<Body> {
        match self.dispatch(known, request).await {
            Ok(response) => response,
            Err(refusal) => http::refused(&refusal),
        }
    }

    async fn dispatch(&self, known: bool, request: Request) -> Outcome<Response<Body>> {
        if !self.phase.serves() {
            return Err(Refusal::unavailable());
        }
        if !known {
            return Err(Refusal::unauthorized());
        }
        let path = request.path.trim_matches('/').to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["readyz"] => {
                faults::meet("get", "readyz").await?;
                let wrong = Wrong {
                    starting: !self.phase.is_ready(),
                    no_datastore: self.cluster.registry.sync().await.is_err(),
                    failing: faults::failing_checks(),
                };
                Ok(health::answer(&request, &wrong))
            }
            ["version"] => {
                faults::meet("get", "version").await?;
                Ok(http::json(200, &discovery::version()))
            }
            ["api" | "apis", ..] => self.kubernetes(&request, &parts).await,
            _ => Err(Refusal::no_such_path()),
        }
    }

    async fn kubernetes(&self, request: &Request, parts: &[&str]) -> Outcome<Response<Body>> {
        let found = |value: Option<Value>| {
            value
                .map(|v| http::json(200, &v))
                .ok_or_else(Refusal::no_such_path)
        };
        let kinds = || self.kinds();
        match parts {
            ["api"] => found(Some(discovery::core_versions(&self.address))),
            ["apis"] => found(Some(discovery::groups(&kinds()))),
            ["apis", group] => found(discovery::group(&kinds(), group)),
            ["api", "v1"] => found(discovery::resources(&kinds(), "", "v1")),
            ["apis", group, version] => found(discovery::resources(&kinds(), group, version)),
            ["api", "v1", rest @ ..] => self.resource(request, ("", "v1"), rest).await,
            ["apis", group, version, rest @ ..] => self.resource(request, (group, version), rest).await,
            _ => Err(Refusal::no_such_path()),
        }
    }

    /// Built-in kinds and those that definitions add.
    fn kinds(&self) -> Vec<Kind> {
        let defined = self.cluster.all("customresourcedefinitions");
        kinds::built_in()
            .iter()
            .cloned()
            .chain(defined.iter().map(|d| Kind::from_definition(d)))
            .collect()
    }

    async fn resource(
        &self,
        request: &Request,
        (group, version): (&str, &str),
        rest: &[&str],
    ) -> Outcome<Response<Body>> {
        let (namespace, rest) = match rest {
            ["namespaces", namespace, plural, more @ ..] if !["status", "finalize"].contains(plural) => {
                (*namespace, [&[*plural], more].concat())
            }
            other => ("", other.to_vec()),
        };
        let (plural, name, sub) = match rest.as_slice() {
            [plural] => (*plural, "", String::new()),
            [plural, name] => (*plural, *name, String::new()),
            [plural, name, sub @ ..] => (*plural, *name, sub.join("/")),
            [] => return Err(Refusal::no_such_path()),
        };
        let fits = |kind: &Kind| {
            kind.group == group && kind.plural == plural && kind.versions.iter().any(|v| v == version)
        };
        let kind = self
            .kinds()
            .into_iter()
            .find(fits)
            .ok_or_else(Refusal::no_such_path)?;
        let target = Target {
            kind,
            version: version.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            sub,
        };
        faults::meet(target.verb(request), &target.resource()).await?;
        if request.method == Method::GET || !target.name.is_empty() {
            self.cluster.registry.sync().await?;
        }
        verbs::answer(&self.cluster, &target, request).await
    }
}

/// An object in the version that was asked for.
pub fn present(kind: &Kind, version: &str, object: &Value) -> Value {
    let mut shown = object.clone();
    set(&mut shown, &["apiVersion"], json!(kind.api_version(version)));
    set(&mut shown, &["kind"], json!(kind.name));
    shown
}
