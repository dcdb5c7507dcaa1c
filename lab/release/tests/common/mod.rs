//! A running release server over a folder of its own, and a client without opinions.

// Not every file uses everything here.
#![allow(dead_code)]

pub(crate) mod machine;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub(crate) const OLD: &str = "v1.35.5+k3s1";
pub(crate) const NEW: &str = "v1.35.6+k3s1";

pub(crate) struct Server {
    pub(crate) root: TempDir,
    pub(crate) address: String,
    process: Child,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Server {
    /// Two versions; `stable` is the newer one, `testing` has none.
    pub(crate) fn start() -> Self {
        let root = TempDir::new().unwrap();
        for version in [OLD, NEW] {
            publish(root.path(), version);
        }
        let channels = format!(r#"{{"stable": "{NEW}", "v1.35": "{NEW}", "old": "{OLD}", "testing": null}}"#);
        fs::write(root.path().join("channels.json"), channels).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_release-server"))
            .args(["--listen", "127.0.0.1:0", "--root"])
            .arg(root.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .unwrap()
            .to_owned();
        Self {
            root,
            address,
            process,
        }
    }

    pub(crate) fn break_by(&self, faults: &str) {
        fs::write(self.root.path().join("faults.json"), faults).unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").unwrap()
    }

    /// One request, read to the end of the connection.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str) -> std::io::Result<Answer> {
        self.ask_within(Duration::from_secs(30), method, path, headers)
    }

    pub(crate) fn ask_within(
        &self,
        limit: Duration,
        method: &str,
        path: &str,
        headers: &str,
    ) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(limit))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n",
            self.address
        )?;
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw)?;
        let end = raw.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(raw[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Answer {
            status,
            head,
            body: raw[end + 4..].to_vec(),
        })
    }
}

/// A binary in the shape of the stand-in's: a program that prints its version.
pub(crate) fn binary(version: &str) -> Vec<u8> {
    format!(
        "#!/bin/sh\n# {}\necho k3s version {version}\n",
        "x".repeat(200_000)
    )
    .into_bytes()
}

pub(crate) fn publish(root: &Path, version: &str) {
    let folder = root.join("versions").join(version);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("k3s"), binary(version)).unwrap();
}
