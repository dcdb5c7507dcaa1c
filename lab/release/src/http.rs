//! As much HTTP/1.1 as the clients of a release page need: one GET or HEAD, then the connection closes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// Longer heads come from no client of ours.
const MAX_HEAD: u64 = 16 * 1024;
/// A client that connects and says nothing releases its thread.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// Longer than any client's own time limit, and still an end.
const SILENCE: Duration = Duration::from_mins(10);
/// A slow download: 256 KiB/s.
const SLOW_CHUNK: usize = 64 * 1024;
const SLOW_PAUSE: Duration = Duration::from_millis(250);

pub(crate) struct Request {
    pub(crate) method: String,
    /// Percent-decoded, without query.
    pub(crate) path: String,
    pub(crate) accept: String,
    pub(crate) host: Option<String>,
}

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    pub(crate) manner: Manner,
}

pub(crate) enum Body {
    Text(Vec<u8>),
    File(File, u64),
}

/// How the body is handed over; everything but `Complete` is a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Complete,
    /// Half of what the head announces, then the connection closes.
    Truncated,
    /// The right length, one byte changed.
    Altered,
    Slow,
    /// No answer at all while the client waits.
    Silent,
}

impl Response {
    pub(crate) fn text(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", kind.to_owned())],
            body: Body::Text(body.into()),
            manner: Manner::Complete,
        }
    }

    pub(crate) fn with(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    fn length(&self) -> u64 {
        match &self.body {
            Body::Text(text) => text.len() as u64,
            Body::File(_, length) => *length,
        }
    }
}

pub(crate) fn read_request(stream: &TcpStream) -> anyhow::Result<Request> {
    stream.set_read_timeout(Some(READ_LIMIT))?;
    let mut lines = BufReader::new(stream).take(MAX_HEAD).lines();
    let first = lines.next().context("connection closed before a request")??;
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(_)) = (words.next(), words.next(), words.next()) else {
        bail!("not a request line: {first:?}");
    };
    let path = target.split('?').next().unwrap_or(target);
    let mut request = Request {
        method: method.to_owned(),
        path: decoded(path),
        accept: String::new(),
        host: None,
    };
    for line in lines {
        let line = line?;
        if line.is_empty() {
            return Ok(request);
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "accept" => value.trim().clone_into(&mut request.accept),
            "host" => request.host = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    bail!("the request's head has no end")
}

/// `%2B` and its like; anything else stays unchanged.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = tail
            .get(..2)
            .filter(|_| byte == b'%')
            .and_then(|hex| str::from_utf8(hex).ok());
        if let Some(value) = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(value);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn send(mut stream: &TcpStream, request: &Request, response: Response) -> anyhow::Result<()> {
    if response.manner == Manner::Silent {
        return stay_silent(stream);
    }
    let length = response.length();
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    for (name, value) in &response.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    write!(
        stream,
        "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let mut body: Box<dyn Read> = match response.body {
        Body::Text(text) => Box::new(io::Cursor::new(text)),
        Body::File(file, length) => Box::new(file.take(length)),
    };
    let sent = match response.manner {
        Manner::Complete | Manner::Silent => io::copy(&mut body, &mut stream)?,
        Manner::Truncated => {
            return io::copy(&mut body.take(length / 2), &mut stream)
                .map(drop)
                .map_err(Into::into);
        }
        Manner::Altered => io::copy(
            &mut Altered {
                inner: body,
                at: length / 2,
            },
            &mut stream,
        )?,
        Manner::Slow => copy_slowly(&mut body, &mut stream)?,
    };
    ensure!(
        sent == length,
        "the file became shorter while it was sent: {sent} of {length} bytes"
    );
    Ok(())
}

/// Holds the connection without a word until the client closes it.
fn stay_silent(mut stream: &TcpStream) -> anyhow::Result<()> {
    let until = Instant::now() + SILENCE;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut ignored = [0; 512];
    while Instant::now() < until {
        match stream.read(&mut ignored) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_slowly(body: &mut dyn Read, stream: &mut dyn Write) -> io::Result<u64> {
    let mut sent = 0;
    let mut chunk = vec![0; SLOW_CHUNK];
    loop {
        let read = body.read(&mut chunk)?;
        if read == 0 {
            return Ok(sent);
        }
        stream.write_all(&chunk[..read])?;
        sent += read as u64;
        thread::sleep(SLOW_PAUSE);
    }
}

/// Passes everything on but the byte at `at`, which is flipped.
struct Altered<R> {
    inner: R,
    at: u64,
}

impl<R: Read> Read for Altered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if let Some(byte) = usize::try_from(self.at)
            .ok()
            .and_then(|at| buffer[..read].get_mut(at))
        {
            *byte = !*byte;
        }
        // Past the place it must never match again.
        self.at = self.at.checked_sub(read as u64).unwrap_or(u64::MAX);
        Ok(read)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Fault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_a_bare_percent_stays() {
        assert_eq!(
            decoded("/download/v1.35.6%2Bk3s1/k3s"),
            "/download/v1.35.6+k3s1/k3s"
        );
        assert_eq!(decoded("/a%zz%2"), "/a%zz%2");
    }

    #[test]
    fn exactly_one_byte_is_altered_whatever_the_buffer() {
        for size in [1, 3, 64] {
            let mut altered = Altered {
                inner: &b"0123456789"[..],
                at: 5,
            };
            let mut got = Vec::new();
            let mut buffer = vec![0; size];
            loop {
                let read = altered.read(&mut buffer).unwrap();
                if read == 0 {
                    break;
                }
                got.extend_from_slice(&buffer[..read]);
            }
            let changed: Vec<usize> = (0..10).filter(|&at| got[at] != b"0123456789"[at]).collect();
            assert_eq!(changed, [5], "buffer of {size}");
        }
    }
}
