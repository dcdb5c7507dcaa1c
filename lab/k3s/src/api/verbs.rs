//! What is done to one resource: get, list, watch, create, update, patch, delete, and the subresources.

use crate::api::evict::{delete_options, evict};
use crate::api::http::{self, Body, Request};
use crate::api::selectors::{Fields, Labels};
use crate::api::status::{self, Outcome, Refusal};
use crate::api::watch::{Filter, Watch};
use crate::api::{page, patch, present};
use crate::cluster::{Cluster, Part};
use crate::json::{name, set, text, uid};
use crate::kinds::Kind;
use hyper::{Method, Response};
use serde_json::{Value, json};
use std::time::Duration;

pub struct Target {
    pub kind: Kind,
    pub version: String,
    pub namespace: String,
    pub name: String,
    pub sub: String,
}

impl Target {
    fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    /// `pods/eviction`
    pub fn resource(&self) -> String {
        if self.sub.is_empty() {
            self.kind.plural.to_string()
        } else {
            format!("{}/{}", self.kind.plural, self.sub)
        }
    }

    pub fn verb(&self, request: &Request) -> &'static str {
        match request.method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ if request.asks("watch") => "watch",
            _ if self.name.is_empty() => "list",
            _ => "get",
        }
    }

    fn part(&self) -> Part {
        if self.sub == "status" {
            Part::Status
        } else {
            Part::Main
        }
    }

    fn show(&self, code: u16, object: &Value) -> Response<Body> {
        http::json(code, &present(&self.kind, &self.version, object))
    }
}

pub async fn answer(cluster: &Cluster, target: &Target, request: &Request) -> Outcome<Response<Body>> {
    match (target.kind.plural.as_ref(), target.sub.as_str()) {
        (_, "" | "status" | "finalize") => main(cluster, target, request).await,
        ("pods", "eviction") => {
            let options = delete_options(&request.json()?["deleteOptions"]);
            evict(cluster, target.key(), &options).await?;
            Ok(http::json(201, &status::success(&target.kind, &target.name, "")))
        }
        _ => Err(Refusal::no_such_path()),
    }
}

async fn main(cluster: &Cluster, target: &Target, request: &Request) -> Outcome<Response<Body>> {
    match target.verb(request) {
        "get" => {
            let object = cluster.find(&target.kind, &target.namespace, &target.name)?;
            Ok(target.show(200, &object))
        }
        "list" => list(cluster, target, request),
        "watch" => Ok(http::streamed(watch(target, request)?.start(cluster))),
        "create" => create(cluster, target, request).await,
        "update" => update(cluster, target, request).await,
        "patch" => patch_object(cluster, target, request).await,
        "delete" if target.name.is_empty() => delete_all(cluster, target, request).await,
        _ => delete(cluster, target, request).await,
    }
}

fn filter(target: &Target, request: &Request) -> Outcome<Filter> {
    let mut fields = request.query("fieldSelector").to_owned();
    if !target.name.is_empty() {
        fields = format!("metadata.name={}", target.name);
    }
    Ok(Filter {
        prefix: target.kind.prefix(&target.namespace),
        labels: Labels::parse(request.query("labelSelector")).map_err(Refusal::bad_request)?,
        fields: Fields::parse(&fields).map_err(Refusal::bad_request)?,
    })
}

fn list(cluster: &Cluster, target: &Target, request: &Request) -> Outcome<Response<Body>> {
    let filter = filter(target, request)?;
    let (objects, revision) = cluster.registry.list_at(&filter.prefix);
    let page = page::cut(&objects, request, &filter, revision)?;
    let items: Vec<Value> = page
        .chosen
        .into_iter()
        .map(|o| present(&target.kind, &target.version, o))
        .collect();
    Ok(http::json(
        200,
        &json!({
            "kind": format!("{}List", target.kind.name), "apiVersion": target.kind.api_version(&target.version),
            "metadata": page.metadata, "items": items,
        }),
    ))
}

fn watch(target: &Target, request: &Request) -> Outcome<Watch> {
    let version = request.query("resourceVersion");
    Ok(Watch {
        kind: target.kind.clone(),
        version: target.version.clone(),
        filter: filter(target, request)?,
        after: version
            .parse()
            .ok()
            .filter(|v| *v > 0 && !request.asks("sendInitialEvents")),
        with_initial_bookmark: request.asks("sendInitialEvents"),
        limit: request
            .query("timeoutSeconds")
            .parse()
            .ok()
            .map(Duration::from_secs),
    })
}

async fn create(cluster: &Cluster, target: &Target, request: &Request) -> Outcome<Response<Body>> {
    let mut object = request.json()?;
    if target.kind.namespaced {
        set(&mut object, &["metadata", "namespace"], json!(target.namespace));
    }
    Ok(target.show(201, &*cluster.create(&target.kind, object).await?))
}

/// A version in what the client sends is a condition: it must be the current one.
fn check_version(target: &Target, current: &Value, sent: &Value) -> Outcome<()> {
    let version = text(sent, "/metadata/resourceVersion");
    let stale = !version.is_empty() && version != text(current, "/metadata/resourceVersion");
    let other = !uid(sent).is_empty() && uid(sent) != uid(current);
    if stale || other {
        Err(Refusal::conflict(&target.kind, &target.name))
    } else {
        Ok(())
    }
}

async fn update(cluster: &Cluster, target: &Target, request: &Request) -> Outcome<Response<Body>> {
    let new = request.json()?;
    let change = |old: &Value| {
        check_version(target, old, &new)?;
        Ok(Some(new.clone()))
    };
    let stored = cluster
        .modify(&target.kind, target.key(), target.part(), change)
        .await?;
    Ok(target.show(200, &stored))
}

async fn patch_object(cluster: &Cluster, target: &Target, request: &Request) -> Outcome<Response<Body>> {
    let change = request.json()?;
    let patched = |old: &Value| {
        let shown = present(&target.kind, &target.version, old);
        let new = patch::apply(&request.content_type, &shown, &change)?;
        check_version(target, old, &new)?;
        Ok(new)
    };
    let stored = cluster
        .modify(&target.kind, target.key(), target.part(), |old| {
            patched(old).map(Some)
        })
        .await?;
    Ok(target.show(200, &stored))
}

async fn delete(cluster: &Cluster, target: &Target, request: &Request) -> Outcome<Response<Body>> {
    let options = options_of(request)?;
    let found = cluster.find(&target.kind, &target.namespace, &target.name)?;
    match cluster.delete(&target.kind, target.key(), &options).await? {
        Some(remaining) => Ok(target.show(200, &remaining)),
        None => Ok(http::json(
            200,
            &status::success(&target.kind, &target.name, uid(&found)),
        )),
    }
}

/// In the body, or for the simplest of them in the query.
fn options_of(request: &Request) -> Outcome<crate::cluster::DeleteOptions> {
    let mut options = delete_options(&request.json()?);
    options.grace = options
        .grace
        .or_else(|| request.query("gracePeriodSeconds").parse().ok());
    Ok(options)
}

async fn delete_all(cluster: &Cluster, target: &Target, request: &Request) -> Outcome<Response<Body>> {
    let filter = filter(target, request)?;
    let options = options_of(request)?;
    for object in cluster.registry.list(&filter.prefix) {
        if filter.match_object(&object) {
            let key = (crate::json::namespace(&object), name(&object));
            cluster.delete(&target.kind, key, &options).await?;
        }
    }
    Ok(http::json(200, &status::success(&target.kind, "", "")))
}
