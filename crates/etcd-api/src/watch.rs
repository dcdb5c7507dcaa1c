//! Changes as they happen.

use tonic::Streaming;

use crate::client::hung_up;
use crate::kv::span;
use crate::proto::{Event, WatchCreateRequest, WatchRequest, WatchResponse, watch_request};
use crate::{Client, Error};

pub struct Watcher {
    stream: Streaming<WatchResponse>,
}

impl Client {
    /// Every change to keys that begin with `prefix`, from revision `from` on, also those already made.
    pub async fn watch(&self, prefix: impl Into<Vec<u8>>, from: i64) -> Result<Watcher, Error> {
        let (key, range_end) = span(prefix.into());
        let create = WatchCreateRequest {
            key,
            range_end,
            start_revision: from,
        };
        let request = WatchRequest {
            request: Some(watch_request::Request::Create(create)),
        };
        let stream = self.converse("/etcdserverpb.Watch/Watch", request).await?;
        Ok(Watcher { stream })
    }
}

impl Watcher {
    /// Waits for the next changes, in order. An error ends the watch.
    pub async fn next(&mut self) -> Result<Vec<Event>, Error> {
        loop {
            let answer = self.stream.message().await?.ok_or_else(hung_up)?;
            if answer.compact_revision > 0 {
                return Err(Error::Compacted {
                    oldest: answer.compact_revision,
                });
            }
            if answer.canceled {
                return Err(Error::Etcd {
                    code: tonic::Code::Cancelled,
                    message: answer.cancel_reason,
                });
            }
            // The first answer says only that the watch stands.
            if !answer.events.is_empty() {
                return Ok(answer.events);
            }
        }
    }
}
