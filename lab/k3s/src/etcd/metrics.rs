//! The port of etcd's metrics. The lab has one etcd for all versions of k3s, and a question for a member's version is answered with the
//! one that its k3s bundles. All else is etcd's own answer.

use crate::log;
use crate::version::Version;
use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

const ADDRESS: &str = "127.0.0.1:2381";
/// Where the lab's etcd itself answers.
pub const INNER: &str = "127.0.0.1:2391";
const GAUGE: &str = "etcd_server_version{server_version=\"";

pub async fn run() {
    match TcpListener::bind(ADDRESS).await {
        Ok(listener) => serve(listener).await,
        Err(error) => log::error(&format!("opening etcd's port for metrics {ADDRESS}: {error}")),
    }
}

async fn serve(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some will be free again.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        tokio::spawn(async move {
            // A client that goes away in the middle is an everyday thing.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(ask(request).await.unwrap_or_else(|error| {
        log::warn(&format!("asking etcd at {INNER}: {error:#}"));
        let mut refused = Response::new(Full::default());
        *refused.status_mut() = StatusCode::BAD_GATEWAY;
        refused
    }))
}

async fn ask(request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let stream = TcpStream::connect(INNER).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let asked = Request::get(path)
        .header(HOST, INNER)
        .body(Full::<Bytes>::default())?;
    let answer = sender.send_request(asked).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    let text = String::from_utf8(body.into()).context("reading the answer")?;
    let mut response = Response::new(Full::from(as_version(&text, Version::current().etcd())));
    *response.status_mut() = status;
    Ok(response)
}

fn as_version(text: &str, version: &str) -> String {
    let line = |line: &str| match line.strip_prefix(GAUGE) {
        Some(_) => format!("{GAUGE}{version}\"}} 1\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_says_the_version_of_its_k3s() {
        let own =
            "# TYPE etcd_server_version gauge\netcd_server_version{server_version=\"3.4.23\"} 1\nup 1\n";
        let wanted =
            "# TYPE etcd_server_version gauge\netcd_server_version{server_version=\"3.6.12\"} 1\nup 1\n";
        assert_eq!(as_version(own, "3.6.12"), wanted);
    }
}
