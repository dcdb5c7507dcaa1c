//! What the API and the controllers do to objects: create, change, remove, by Kubernetes' rules.

use crate::admission;
use crate::api::status::{Outcome, Refusal};
use crate::clock;
use crate::json::{self, is_terminating, items, name, namespace, number, set, text, uid};
use crate::kinds::{self, Kind};
use crate::random;
use crate::registry::Registry;
use crate::store::StoreError;
use serde_json::{Value, json};
use std::sync::Arc;

/// Rounds of read, change, write before a writer fails against the others.
const ATTEMPTS: usize = 20;

#[derive(Clone)]
pub struct Cluster {
    pub registry: Arc<Registry>,
}

#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    pub grace: Option<i64>,
    pub uid: String,
    pub version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Main,
    Status,
    /// For controllers that write spec and status at once, such as the scheduler.
    SpecAndStatus,
}

impl Cluster {
    pub fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.registry.get(&kind.key(namespace, name))
    }

    pub fn find(&self, kind: &Kind, namespace: &str, name: &str) -> Outcome<Arc<Value>> {
        self.get(kind, namespace, name)
            .ok_or_else(|| Refusal::not_found(kind, name))
    }

    pub fn all(&self, plural: &str) -> Vec<Arc<Value>> {
        self.registry.list(&kinds::of(plural).prefix(""))
    }

    /// The object as it would be stored, checked.
    fn prepare(&self, kind: &Kind, mut object: Value) -> Outcome<Value> {
        self.name_it(kind, &mut object)?;
        if kind.namespaced {
            self.check_namespace(kind, &object)?;
        }
        let metadata = [
            ("uid", json!(random::uid())),
            ("creationTimestamp", json!(clock::seconds())),
        ];
        for (key, value) in metadata {
            set(&mut object, &["metadata", key], value);
        }
        for key in [
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "selfLink",
        ] {
            json::remove(&mut object, &["metadata", key]);
        }
        if has_generation(kind) && object.get("spec").is_some() {
            set(&mut object, &["metadata", "generation"], json!(1));
        }
        admission::complete(kind, &mut object);
        Ok(object)
    }

    fn name_it(&self, kind: &Kind, object: &mut Value) -> Outcome<()> {
        let stem = text(object, "/metadata/generateName").to_owned();
        if name(object).is_empty() && !stem.is_empty() {
            let mut candidates =
                std::iter::repeat_with(|| format!("{stem}{}", random::suffix())).take(ATTEMPTS);
            let free = candidates.find(|name| self.get(kind, namespace(object), name).is_none());
            set(object, &["metadata", "name"], json!(free.unwrap_or_default()));
        }
        let name = name(object);
        let right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c);
        if name.is_empty() {
            return Err(Refusal::invalid(
                kind,
                "",
                "metadata.name: Required value: name or generateName is required",
            ));
        }
        if !name.chars().all(right) && !kind.group.starts_with("rbac.") {
            let problem =
                format!("metadata.name: Invalid value: \"{name}\": a lowercase RFC 1123 subdomain is wanted");
            return Err(Refusal::invalid(kind, name, &problem));
        }
        Ok(())
    }

    fn check_namespace(&self, kind: &Kind, object: &Value) -> Outcome<()> {
        let spaces = kinds::of("namespaces");
        let space = self.find(&spaces, "", namespace(object))?;
        if is_terminating(&space) {
            let why = format!(
                "unable to create new content in namespace {} because it is being terminated",
                name(&space)
            );
            return Err(Refusal::forbidden(kind, name(object), &why));
        }
        Ok(())
    }

    pub async fn create(&self, kind: &Kind, object: Value) -> Outcome<Arc<Value>> {
        let object = self.prepare(kind, object)?;
        let created = self.registry.create(&kind.key_of(&object), &object).await;
        created.map_err(|error| match error {
            StoreError::Conflict => Refusal::exists(kind, name(&object)),
            StoreError::Unavailable(_) => error.into(),
        })
    }

    /// Writes `new` over `old`, the version it was made from. What clients may not change is kept.
    pub async fn replace(&self, kind: &Kind, old: &Value, new: Value, part: Part) -> Outcome<Arc<Value>> {
        let new = revised(kind, old, new, part);
        if *old == new {
            return Ok(Arc::new(old.clone()));
        }
        let key = kind.key_of(old);
        let result = if is_gone(&new) {
            self.registry.delete(&key, &new).await.map(|()| Arc::new(new))
        } else {
            self.registry.update(&key, &new).await
        };
        result.map_err(|error| match error {
            StoreError::Conflict => Refusal::conflict(kind, name(old)),
            StoreError::Unavailable(_) => error.into(),
        })
    }

    /// Reads, changes and writes until nobody came between. `change` returns nothing when there is nothing to do.
    pub async fn modify<F>(
        &self,
        kind: &Kind,
        key: (&str, &str),
        part: Part,
        change: F,
    ) -> Outcome<Arc<Value>>
    where
        F: Fn(&Value) -> Outcome<Option<Value>>,
    {
        let mut last = Refusal::conflict(kind, key.1);
        for _ in 0..ATTEMPTS {
            let old = self.find(kind, key.0, key.1)?;
            let Some(new) = change(&old)? else { return Ok(old) };
            match self.replace(kind, &old, new, part).await {
                Err(refusal) if refusal.is_conflict() => last = refusal,
                other => return other,
            }
            // Our copy is behind the writer who won: catch up before the next try.
            self.registry.sync().await?;
        }
        Err(last)
    }

    /// Removes at once, or marks as being removed. Returns what remains.
    pub async fn delete(
        &self,
        kind: &Kind,
        key: (&str, &str),
        options: &DeleteOptions,
    ) -> Outcome<Option<Arc<Value>>> {
        for _ in 0..ATTEMPTS {
            let old = self.find(kind, key.0, key.1)?;
            check_preconditions(kind, &old, options)?;
            match self.delete_once(kind, &old, options).await {
                Err(refusal) if refusal.is_conflict() && options.version.is_empty() => {
                    self.registry.sync().await?;
                }
                other => return other,
            }
        }
        Err(Refusal::conflict(kind, key.1))
    }

    async fn delete_once(
        &self,
        kind: &Kind,
        old: &Arc<Value>,
        options: &DeleteOptions,
    ) -> Outcome<Option<Arc<Value>>> {
        let grace = grace(kind, old, options);
        let marked = marked(kind, old, grace);
        if is_gone(&marked) {
            self.registry.delete(&kind.key_of(old), old).await?;
            if kind.plural == "customresourcedefinitions" {
                self.delete_resources(old).await?;
            }
            return Ok(None);
        }
        if **old == marked {
            return Ok(Some(Arc::clone(old)));
        }
        Ok(Some(self.registry.update(&kind.key_of(old), &marked).await?))
    }

    /// With a definition all of its resources go.
    async fn delete_resources(&self, definition: &Value) -> Outcome<()> {
        let kind = Kind::from_definition(definition);
        for object in self.registry.list(&kind.prefix("")) {
            self.registry.delete(&kind.key_of(&object), &object).await?;
        }
        Ok(())
    }
}

fn has_generation(kind: &Kind) -> bool {
    !matches!(
        kind.plural.as_ref(),
        "nodes" | "pods" | "namespaces" | "services" | "leases"
    )
}

fn check_preconditions(kind: &Kind, object: &Value, options: &DeleteOptions) -> Outcome<()> {
    let version = text(object, "/metadata/resourceVersion");
    if !options.uid.is_empty() && options.uid != uid(object) {
        return Err(Refusal::precondition(
            kind,
            name(object),
            "UID",
            &options.uid,
            uid(object),
        ));
    }
    if !options.version.is_empty() && options.version != version {
        return Err(Refusal::precondition(
            kind,
            name(object),
            "ResourceVersion",
            &options.version,
            version,
        ));
    }
    Ok(())
}

/// How long the removal may take; only pods on a node are given any time.
fn grace(kind: &Kind, object: &Value, options: &DeleteOptions) -> i64 {
    let ended = ["Succeeded", "Failed"].contains(&text(object, "/status/phase"));
    if kind.plural != "pods" || ended || text(object, "/spec/nodeName").is_empty() {
        return 0;
    }
    let own = object
        .pointer("/spec/terminationGracePeriodSeconds")
        .and_then(Value::as_i64)
        .unwrap_or(30);
    let asked = options.grace.unwrap_or(own).max(0);
    let before = object
        .pointer("/metadata/deletionGracePeriodSeconds")
        .and_then(Value::as_i64);
    before.map_or(asked, |before| before.min(asked))
}

fn marked(kind: &Kind, object: &Value, grace: i64) -> Value {
    let mut marked = object.clone();
    let shortened = number(object, "/metadata/deletionGracePeriodSeconds") > grace;
    if !is_terminating(object) || shortened {
        set(
            &mut marked,
            &["metadata", "deletionTimestamp"],
            json!(clock::seconds_from_now(grace)),
        );
        set(
            &mut marked,
            &["metadata", "deletionGracePeriodSeconds"],
            json!(grace),
        );
    }
    if kind.plural == "namespaces" {
        set(&mut marked, &["status", "phase"], json!("Terminating"));
    }
    marked
}

/// Nothing holds a removed object any more: no time left, no finalizer, and for a namespace no content.
fn is_gone(object: &Value) -> bool {
    is_terminating(object)
        && number(object, "/metadata/deletionGracePeriodSeconds") == 0
        && items(object, "/metadata/finalizers").is_empty()
        && (items(object, "/spec/finalizers").is_empty() || text(object, "/kind") != "Namespace")
}

fn revised(kind: &Kind, old: &Value, mut new: Value, part: Part) -> Value {
    if part == Part::Status {
        let mut kept = old.clone();
        set(
            &mut kept,
            &["status"],
            new.get("status").cloned().unwrap_or(Value::Null),
        );
        if kind.plural == "pods" {
            admission::probe_times(&mut kept);
        }
        return kept;
    }
    let fixed = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    for key in fixed {
        match old["metadata"].get(key) {
            Some(value) => set(&mut new, &["metadata", key], value.clone()),
            None => json::remove(&mut new, &["metadata", key]),
        }
    }
    json::remove(&mut new, &["metadata", "managedFields"]);
    if kind.status && part == Part::Main {
        match old.get("status") {
            Some(status) => set(&mut new, &["status"], status.clone()),
            None => json::remove(&mut new, &["status"]),
        }
    }
    admission::complete(kind, &mut new);
    if has_generation(kind) && old.get("spec") != new.get("spec") {
        set(
            &mut new,
            &["metadata", "generation"],
            json!(number(old, "/metadata/generation") + 1),
        );
    }
    new
}
