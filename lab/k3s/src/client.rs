//! A small HTTPS client: one kept connection for questions, one more for each watch.

use crate::files;
use crate::pki::with;
use crate::tls;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

type Sender = SendRequest<Full<Bytes>>;

/// A server that has not answered by then is taken for dead; its clients try again, or another.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Client {
    /// `10.99.0.101:6443`
    address: String,
    tls: Tls,
    headers: Vec<(&'static str, String)>,
    kept: Mutex<Option<Sender>>,
}

enum Tls {
    Fixed(Arc<ClientConfig>),
    /// Its identity and CA by path, with the time of the file that was read last.
    Files {
        ca: PathBuf,
        pair: PathBuf,
        seen: std::sync::Mutex<Option<SystemTime>>,
    },
}

impl Tls {
    /// Whether the files have changed since they were last read; a connection made before is then good no more.
    fn is_stale(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Files { pair, seen, .. } => {
                let seen = *seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.is_some() && seen != tls::changed(&with(pair, "crt"))
            }
        }
    }

    fn config(&self) -> Result<Arc<ClientConfig>> {
        match self {
            Self::Fixed(config) => Ok(Arc::clone(config)),
            Self::Files { ca, pair, seen } => {
                let certificate = with(pair, "crt");
                let time = tls::changed(&certificate);
                let (chain, key) = (files::read(&certificate)?, files::read(&with(pair, "key"))?);
                let config = tls::client(&files::read(ca)?, Some((&chain, &key)))?;
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = time;
                Ok(config)
            }
        }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn is_ok(&self) -> bool {
        self.status.is_success()
    }

    /// `401 Unauthorized`
    pub fn status_text(&self) -> String {
        format!(
            "{} {}",
            self.status.as_u16(),
            self.status.canonical_reason().unwrap_or_default()
        )
    }
}

impl Client {
    pub fn new(address: &str, tls: Arc<ClientConfig>) -> Self {
        Self::with_tls(address, Tls::Fixed(tls))
    }

    /// With the identity at `<pair>.crt` and `.key`, read again when it has changed.
    pub fn by_files(address: &str, ca: PathBuf, pair: PathBuf) -> Self {
        let seen = std::sync::Mutex::default();
        Self::with_tls(address, Tls::Files { ca, pair, seen })
    }

    fn with_tls(address: &str, tls: Tls) -> Self {
        Self {
            address: address.to_owned(),
            tls,
            headers: Vec::new(),
            kept: Mutex::new(None),
        }
    }

    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    #[must_use]
    pub fn with_login(self, user: &str, password: &str) -> Self {
        let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        self.with_header(AUTHORIZATION.as_str(), &login)
    }

    async fn connect(&self) -> Result<Sender> {
        let stream = TcpStream::connect(&self.address)
            .await
            .with_context(|| format!("dial tcp {}", self.address))?;
        stream.set_nodelay(true)?;
        let host = self
            .address
            .rsplit_once(':')
            .map_or(self.address.as_str(), |(host, _)| host)
            .to_owned();
        let stream = TlsConnector::from(self.tls.config()?)
            .connect(ServerName::try_from(host)?, stream)
            .await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; whoever uses it sees the error.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some((content_type, _)) = body {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let bytes = body.map_or_else(Bytes::new, |(_, value)| Bytes::from(value.to_string()));
        Ok(request.body(Full::new(bytes))?)
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<(&str, &Value)>) -> Result<Answer> {
        let asked = tokio::time::timeout(PATIENCE, self.send_once(&method, path, body)).await;
        match asked {
            Ok(answer) => answer.with_context(|| format!("{method} https://{}{path}", self.address)),
            Err(_) => bail!(
                "{method} https://{}{path}: no answer in {PATIENCE:?}",
                self.address
            ),
        }
    }

    async fn send_once(&self, method: &Method, path: &str, body: Option<(&str, &Value)>) -> Result<Answer> {
        let mut kept = self.kept.lock().await;
        // Taken out first: an interrupted request must not leave its connection to the next one.
        let mut before = kept.take().filter(|_| !self.tls.is_stale());
        if let Some(sender) = &mut before
            && sender.ready().await.is_err()
        {
            before = None;
        }
        let mut sender = match before {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let response = match sender.send_request(self.request(method, path, body)?).await {
            Err(error) if error.is_canceled() || error.is_closed() || error.is_incomplete_message() => {
                sender = self.connect().await?;
                sender.send_request(self.request(method, path, body)?).await?
            }
            other => other?,
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        *kept = Some(sender);
        Ok(Answer {
            status: head.status,
            body,
        })
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    /// The open answer of a watch, on a connection of its own.
    pub async fn watch(&self, path: &str) -> Result<Lines> {
        let mut sender = tokio::time::timeout(PATIENCE, self.connect())
            .await
            .context("connecting")??;
        let response = sender
            .send_request(self.request(&Method::GET, path, None)?)
            .await?;
        if !response.status().is_success() {
            bail!("watching {path}: {}", response.status());
        }
        Ok(Lines {
            _sender: sender,
            response,
            rest: Vec::new(),
        })
    }
}

/// One JSON document a line.
pub struct Lines {
    /// The connection lives as long as this.
    _sender: Sender,
    response: Response<Incoming>,
    rest: Vec<u8>,
}

impl Lines {
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return serde_json::from_slice(&line).ok();
            }
            let frame = self.response.body_mut().frame().await?.ok()?;
            self.rest.extend(frame.into_data().ok()?);
        }
    }
}
