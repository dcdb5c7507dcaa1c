//! Requests and responses as the modules of the API see them.

use crate::api::protobuf;
use crate::api::status::{Outcome, Refusal};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::Receiver;

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request whose body has been read.
pub struct Request {
    pub method: Method,
    pub path: String,
    query: BTreeMap<String, String>,
    pub content_type: String,
    pub body: Bytes,
}

impl Request {
    pub async fn read(request: hyper::Request<Incoming>) -> Outcome<Self> {
        let (head, body) = request.into_parts();
        let header = |name| {
            head.headers
                .get(name)
                .and_then(|v: &HeaderValue| v.to_str().ok())
                .unwrap_or_default()
        };
        let broken = |error| Refusal::bad_request(format!("reading the body: {error}"));
        Ok(Self {
            path: percent_decode_str(head.uri.path())
                .decode_utf8_lossy()
                .into_owned(),
            query: form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
            content_type: header(CONTENT_TYPE).to_owned(),
            body: body.collect().await.map_err(broken)?.to_bytes(),
            method: head.method,
        })
    }

    pub fn query(&self, key: &str) -> &str {
        self.query.get(key).map_or("", String::as_str)
    }

    pub fn asks(&self, key: &str) -> bool {
        ["true", "1"].contains(&self.query(key))
    }

    pub fn has(&self, key: &str) -> bool {
        self.query.contains_key(key)
    }

    /// kubectl sends YAML as JSON.
    pub fn json(&self) -> Outcome<Value> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        if self.content_type.contains("protobuf") {
            return protobuf::object(&self.body).ok_or_else(|| Refusal::unsupported(&self.content_type));
        }
        serde_json::from_slice(&self.body).map_err(|e| Refusal::bad_request(format!("reading the body: {e}")))
    }
}

pub fn json(status: u16, value: &Value) -> Response<Body> {
    respond(status, "application/json", format!("{value}\n"))
}

pub fn plain(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    respond(status, "text/plain; charset=utf-8", text)
}

pub fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = json(refusal.code, &refusal.body());
    if let Some(seconds) = refusal.retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn respond(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub fn streamed(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A body that is written as it comes.
pub fn stream(receiver: Receiver<Bytes>) -> Body {
    StreamBody::new(Frames(receiver)).boxed_unsync()
}

struct Frames(Receiver<Bytes>);

impl futures_core::Stream for Frames {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0
            .poll_recv(context)
            .map(|bytes| bytes.map(|b| Ok(Frame::data(b))))
    }
}
