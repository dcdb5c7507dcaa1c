//! The settings of a server or an agent, with k3s's defaults filled in.

pub mod files;
pub mod flags;
pub mod line;

use crate::paths;
use crate::random;
use anyhow::{Context, Result};
use flags::Role;
use line::Flags;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Config {
    pub role: Role,
    pub flags: Flags,
    pub data_dir: PathBuf,
    pub node_name: String,
    pub node_ip: String,
    pub port: u16,
}

/// Their values are shown as stars.
const SECRET: &[&str] = &[
    "--token",
    "-t",
    "--agent-token",
    "--datastore-endpoint",
    "--etcd-s3-secret-key",
    "--vpn-auth",
];
const MASK: &str = "********";

impl Config {
    pub fn new(flags: Flags, role: Role) -> Result<Self> {
        let data_dir = PathBuf::from(flags.value("data-dir").unwrap_or(paths::DATA_DIR));
        let port = flags.value("https-listen-port").unwrap_or("6443");
        let port = port
            .parse()
            .with_context(|| format!("reading --https-listen-port {port:?}"))?;
        let node_ip = flags.list("node-ip").first().cloned();
        Ok(Self {
            role,
            node_name: node_name(&flags)?,
            node_ip: node_ip.map_or_else(own_address, Ok)?,
            data_dir,
            port,
            flags,
        })
    }

    pub fn server_dir(&self) -> PathBuf {
        self.data_dir.join("server")
    }

    pub fn agent_dir(&self) -> PathBuf {
        self.data_dir.join("agent")
    }

    /// `--token`, or the first line of `--token-file`.
    pub fn token(&self) -> Option<String> {
        let file = || std::fs::read_to_string(self.flags.value("token-file")?).ok();
        let given = self.flags.value("token").map(str::to_owned).or_else(file);
        given
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty())
    }

    pub fn disables(&self, component: &str) -> bool {
        self.flags.list("disable").iter().any(|item| item == component)
    }

    pub fn node_args(&self) -> Vec<String> {
        let mut shown: Vec<String> = Vec::new();
        for word in &self.flags.arguments {
            match word.split_once('=') {
                Some((flag, value)) if word.starts_with('-') => {
                    shown.extend([flag.to_owned(), value.to_owned()]);
                }
                _ => shown.push(word.clone()),
            }
        }
        for at in 1..shown.len() {
            if SECRET.contains(&shown[at - 1].as_str()) {
                MASK.clone_into(&mut shown[at]);
            }
        }
        shown
    }

    /// Where the programs are that k3s brings along.
    pub fn unpacked(&self) -> PathBuf {
        let folder = crate::version::Version::current().data_folder();
        self.data_dir.join("data").join(folder)
    }
}

/// The name in `--node-name` or the host's, in lower case, with the id if wanted.
pub fn node_name(flags: &Flags) -> Result<String> {
    let host = || {
        Ok(std::fs::read_to_string("/proc/sys/kernel/hostname")?
            .trim()
            .to_owned())
    };
    let given = flags.value("node-name").map(str::to_owned);
    let name: Result<String> = given.map_or_else(host, Ok);
    let name = name.context("reading the host's name")?.to_lowercase();
    if !flags.is_set("with-node-id") {
        return Ok(name);
    }
    let file = paths::etc("rancher/node/id");
    let id = kept(&file, random::short_id, 0o600)?;
    Ok(format!("{name}-{id}"))
}

/// The content of a file, made at the first time it is asked for.
pub fn kept(file: &Path, make: impl Fn() -> String, mode: u32) -> Result<String> {
    if let Ok(text) = std::fs::read_to_string(file) {
        return Ok(text.trim().to_owned());
    }
    let text = make();
    crate::files::write(file, &format!("{text}\n"), mode)?;
    Ok(text)
}

/// The address of the interface that a packet to elsewhere would leave by; nothing is sent.
fn own_address() -> Result<String> {
    for target in [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(10, 99, 0, 254)] {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("opening a socket")?;
        if socket.connect((target, 9)).is_ok()
            && let Ok(SocketAddr::V4(address)) = socket.local_addr()
        {
            return Ok(address.ip().to_string());
        }
    }
    interface_address().context("finding the node's address: no interface has one, give --node-ip")
}

/// Without a default route, the first address that is not the loopback's.
fn interface_address() -> Option<String> {
    let output = std::process::Command::new("ip")
        .args(["-4", "-o", "addr", "show", "scope", "global"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let address = text
        .lines()
        .next()?
        .split_whitespace()
        .skip_while(|word| *word != "inet")
        .nth(1)?;
    Some(address.split('/').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_stars_on_the_node() {
        let line = [
            "--cluster-init",
            "--token=geheim",
            "-t",
            "geheim",
            "--node-label",
            "a=b",
        ];
        let line: Vec<String> = line.iter().map(|w| (*w).to_owned()).collect();
        let flags = line::parse(Role::Server, &line, |_| None).unwrap();
        let config = Config::new(flags, Role::Server).unwrap();
        let wanted = [
            "server",
            "--cluster-init",
            "--token",
            MASK,
            "-t",
            MASK,
            "--node-label",
            "a=b",
        ];
        assert_eq!(config.node_args(), wanted);
    }
}
