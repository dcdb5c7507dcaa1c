//! Watches: one JSON event a line, until the client goes, its time is up, or it fell too far behind.

use crate::api::http::{Body, stream};
use crate::api::selectors::{Fields, Labels};
use crate::api::status::Refusal;
use crate::cluster::Cluster;
use crate::json::set;
use crate::kinds::Kind;
use crate::registry::{Event, Registry};
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{Sender, channel};

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub prefix: String,
    pub labels: Labels,
    pub fields: Fields,
}

impl Filter {
    pub fn match_object(&self, object: &Value) -> bool {
        self.labels.match_object(object) && self.fields.match_object(object)
    }
}

pub struct Watch {
    pub kind: Kind,
    pub version: String,
    pub filter: Filter,
    /// Nothing: begin with what exists.
    pub after: Option<u64>,
    pub with_initial_bookmark: bool,
    pub limit: Option<Duration>,
}

impl Watch {
    pub fn start(self, cluster: &Cluster) -> Body {
        let (sender, receiver) = channel(64);
        let registry = Arc::clone(&cluster.registry);
        tokio::spawn(async move {
            let limit = self.limit.unwrap_or(Duration::from_hours(1));
            // The end of its time is an ordinary end of a watch.
            let _ = tokio::time::timeout(limit, self.run(&registry, &sender)).await;
        });
        stream(receiver)
    }

    /// Ends when the client does not listen any more.
    async fn run(&self, registry: &Registry, client: &Sender<Bytes>) -> Option<()> {
        let after = match self.after {
            Some(after) => after,
            None => self.send_existing(registry, client).await?,
        };
        let Some((past, mut events)) = registry.watch(after) else {
            return self.send(client, "ERROR", Refusal::expired().body()).await;
        };
        for event in past {
            self.send_event(client, &event).await?;
        }
        loop {
            let event = tokio::select! {
                () = client.closed() => return None,
                event = events.recv() => event,
            };
            match event {
                Ok(event) => self.send_event(client, &event).await?,
                Err(RecvError::Lagged(_)) => {
                    return self.send(client, "ERROR", Refusal::expired().body()).await;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn send_existing(&self, registry: &Registry, client: &Sender<Bytes>) -> Option<u64> {
        let (objects, revision) = registry.list_at(&self.filter.prefix);
        for object in objects.iter().filter(|object| self.filter.match_object(object)) {
            self.send(client, "ADDED", self.present(object)).await?;
        }
        if self.with_initial_bookmark {
            let mark = json!({
                "kind": self.kind.name, "apiVersion": self.kind.api_version(&self.version),
                "metadata": {"resourceVersion": revision.to_string(),
                             "annotations": {"k8s.io/initial-events-end": "true"}},
            });
            self.send(client, "BOOKMARK", mark).await?;
        }
        Some(revision)
    }

    async fn send_event(&self, client: &Sender<Bytes>, event: &Event) -> Option<()> {
        if !event.key.starts_with(&self.filter.prefix) {
            return Some(());
        }
        let fits =
            |object: &Option<Arc<Value>>| object.as_ref().filter(|o| self.filter.match_object(o)).cloned();
        match (fits(&event.old), fits(&event.new)) {
            (None, Some(new)) => self.send(client, "ADDED", self.present(&new)).await,
            (Some(_), Some(new)) => self.send(client, "MODIFIED", self.present(&new)).await,
            (Some(old), None) => {
                // The last that the watcher gets to see, at the version of its disappearance.
                let mut last = event.new.as_ref().unwrap_or(&old).as_ref().clone();
                set(
                    &mut last,
                    &["metadata", "resourceVersion"],
                    json!(event.revision.to_string()),
                );
                self.send(client, "DELETED", self.present(&last)).await
            }
            (None, None) => Some(()),
        }
    }

    fn present(&self, object: &Value) -> Value {
        super::present(&self.kind, &self.version, object)
    }

    async fn send(&self, client: &Sender<Bytes>, kind: &str, object: Value) -> Option<()> {
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        client.send(Bytes::from(line)).await.ok()
    }
}
