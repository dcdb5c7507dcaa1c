//! A GET, for tests that ask a Service from inside a pod.

use anyhow::{Context as _, Result};
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

/// The body of what `http://HOST[:PORT][/PATH]` answers; anything but a 200 is an error.
pub(crate) fn get(url: &str) -> Result<String> {
    let (address, path) = split(url)?;
    let getting = || format!("getting {url}");
    let place = address
        .to_socket_addrs()
        .with_context(getting)?
        .next()
        .with_context(getting)?;
    let mut stream = TcpStream::connect_timeout(&place, LIMIT).with_context(getting)?;
    stream.set_read_timeout(Some(LIMIT)).with_context(getting)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).with_context(getting)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(getting)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let first = head.lines().next().unwrap_or_default();
    anyhow::ensure!(
        first.split(' ').nth(1) == Some("200"),
        "getting {url}: the answer was {first:?}"
    );
    Ok(body.to_owned())
}

/// Host with port, and path.
fn split(url: &str) -> Result<(String, String)> {
    let rest = url
        .strip_prefix("http://")
        .with_context(|| format!("getting {url}: not a URL that begins with http://"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = if host.contains(':') { "" } else { ":80" };
    Ok((format!("{host}{port}"), format!("/{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_a_port_and_a_path() {
        for (url, host, path) in [
            ("http://10.43.0.7", "10.43.0.7:80", "/"),
            ("http://web:8080/a/b", "web:8080", "/a/b"),
        ] {
            assert_eq!(split(url).unwrap(), (host.to_owned(), path.to_owned()));
        }
        assert!(split("https://web").is_err());
    }
}
