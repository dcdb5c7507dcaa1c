//! As much of an HTTP server as probes and the API's aggregator ask for: a GET, an answer, the end of the connection.

use anyhow::{Context as _, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Of what is asked; a request without a body fits well within.
const HEAD: usize = 16 * 1024;
/// Who is silent for so long has gone.
const SILENCE: Duration = Duration::from_secs(10);

pub(crate) type Answer = fn(&str) -> Reply;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn text(line: String) -> Self {
        Self {
            status: "200 OK",
            kind: "text/plain",
            body: line + "\n",
        }
    }

    pub(crate) fn json(body: &str) -> Self {
        Self {
            status: "200 OK",
            kind: "application/json",
            body: body.to_owned(),
        }
    }

    pub(crate) fn not_found() -> Self {
        Self {
            status: "404 Not Found",
            ..Self::text("not found".to_owned())
        }
    }
}

/// Serves in the background, a thread for each connection.
pub(crate) fn serve(listener: TcpListener, answer: Answer) {
    accept(listener, move |stream| converse(stream, answer));
}

pub(crate) fn serve_tls(listener: TcpListener, config: &Arc<ServerConfig>, answer: Answer) {
    let config = Arc::clone(config);
    accept(listener, move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).context("beginning a TLS session")?;
        let mut stream = StreamOwned::new(session, stream);
        converse(&mut stream, answer)?;
        stream.conn.send_close_notify();
        stream.flush().context("ending a TLS session")
    });
}

fn accept(listener: TcpListener, serve: impl Fn(TcpStream) -> Result<()> + Clone + Send + 'static) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || {
                // Probes go as they like: a connection that broke is nobody's trouble.
                let _ = stream.set_read_timeout(Some(SILENCE));
                let _ = serve(stream);
            });
        }
    });
}

fn converse(mut stream: impl Read + Write, answer: Answer) -> Result<()> {
    let head = read_head(&mut stream)?;
    let Some(path) = asked_for(&head) else {
        return Ok(());
    };
    let Reply { status, kind, body } = answer(path);
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).context("answering")?;
    stream.flush().context("answering")
}

fn read_head(stream: &mut impl Read) -> Result<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while head.len() < HEAD && !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let count = stream.read(&mut chunk).context("reading a request")?;
        if count == 0 {
            break;
        }
        head.extend_from_slice(&chunk[..count]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The path of a request's first line, without its query.
fn asked_for(head: &str) -> Option<&str> {
    let target = head.lines().next()?.split(' ').nth(1)?;
    target.split('?').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_asked_for_without_its_query() {
        for (head, path) in [
            ("GET /health HTTP/1.1\r\nHost: a\r\n\r\n", Some("/health")),
            ("GET /apis?timeout=32s HTTP/1.1\r\n\r\n", Some("/apis")),
            ("", None),
            ("nonsense\r\n\r\n", None),
        ] {
            assert_eq!(asked_for(head), path, "{head:?}");
        }
    }
}
