//! A real etcd cluster on the loopback, with mutual TLS and certificates of its own. The program is taken from
//! the variable `ETCD`, else from the PATH (Debian: package etcd-server).

// This starts processes and fails as tests do; no module of ours is built with it.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr
)]

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

use crate::{Client, Tls};

/// etcd needs about a second; a machine that compiles meanwhile needs more.
const START_LIMIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const CALL_LIMIT: Duration = Duration::from_secs(15);

pub struct Cluster {
    folder: TempDir,
    members: Vec<Running>,
    pub tls: Tls,
}

struct Running {
    name: String,
    client_url: String,
    peer_url: String,
    /// The arguments with which this member was first started.
    initial: Vec<OsString>,
    process: Option<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for number in 0..self.members.len() {
            self.kill(number);
        }
        if std::thread::panicking() {
            for member in &self.members {
                eprintln!("log of etcd member {}:\n{}", member.name, self.log(&member.name));
            }
        }
    }
}

impl Cluster {
    /// Starts `size` voters and waits until each of them serves.
    pub async fn start(size: usize) -> Self {
        let names: Vec<_> = (0..size).map(|number| format!("m{number}")).collect();
        Self::start_named(&names).await
    }

    /// The same with names of one's own.
    pub async fn start_named<S: AsRef<str>>(names: &[S]) -> Self {
        let size = names.len();
        let folder = TempDir::new().unwrap();
        let tls = make_certificates(folder.path());
        let mut members: Vec<_> = names.iter().map(|name| Running::new(name.as_ref())).collect();
        let peers: Vec<_> = members
            .iter()
            .map(|m| format!("{}={}", m.name, m.peer_url))
            .collect();
        for member in &mut members {
            member.initial = initial("new", &peers.join(","));
        }
        let mut cluster = Self { folder, members, tls };
        for number in 0..size {
            cluster.spawn(number);
        }
        for number in 0..size {
            cluster.wait_for(number).await;
        }
        cluster
    }

    pub fn endpoint(&self, number: usize) -> &str {
        &self.members[number].client_url
    }

    pub fn peer_url(&self, number: usize) -> &str {
        &self.members[number].peer_url
    }

    /// Makes of `data_dir` that of a k3s server whose member this is: the files by which etcd in use is known, and
    /// the certificates in the folders where k3s keeps them.
    pub fn lay_out_as_k3s(&self, number: usize, data_dir: &Path) {
        let server = data_dir.join("server");
        fs::create_dir_all(server.join("db/etcd/member/wal")).unwrap();
        fs::write(server.join("db/etcd/name"), &self.members[number].name).unwrap();
        fs::create_dir_all(server.join("tls/etcd")).unwrap();
        for (from, to) in [
            ("ca.crt", "server-ca.crt"),
            ("client.crt", "client.crt"),
            ("client.key", "client.key"),
        ] {
            fs::copy(self.folder().join(from), server.join("tls/etcd").join(to)).unwrap();
        }
    }

    /// Freezes a member: its ports take connections, and nothing answers.
    pub fn freeze(&self, number: usize) {
        self.signal(number, "STOP");
    }

    pub fn thaw(&self, number: usize) {
        self.signal(number, "CONT");
    }

    fn signal(&self, number: usize, signal: &str) {
        let process = self.members[number].process.as_ref().unwrap();
        let sent = Command::new("kill")
            .args([format!("-{signal}"), process.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// The folder with `ca.crt`, `node.crt` and `node.key`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn client(&self, number: usize) -> Client {
        self.client_within(number, CALL_LIMIT)
    }

    pub fn client_within(&self, number: usize, limit: Duration) -> Client {
        Client::new(self.endpoint(number), &self.tls, limit).unwrap()
    }

    /// As by SIGKILL: what is on disk stays.
    pub fn kill(&mut self, number: usize) {
        if let Some(mut process) = self.members[number].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts a killed member again and waits until it serves.
    pub async fn restart(&mut self, number: usize) {
        self.spawn(number);
        self.wait_for(number).await;
    }

    /// Makes room for one more member: its number, and the peer URL to announce it by.
    pub fn prepare_another(&mut self) -> (usize, String) {
        let number = self.members.len();
        let mut member = Running::new(&format!("m{number}"));
        let peers: Vec<_> = self
            .members
            .iter()
            .chain([&member])
            .map(|m| format!("{}={}", m.name, m.peer_url))
            .collect();
        member.initial = initial("existing", &peers.join(","));
        let peer_url = member.peer_url.clone();
        self.members.push(member);
        (number, peer_url)
    }

    /// Starts a member without waiting for it.
    pub fn spawn(&mut self, number: usize) {
        let folder = self.folder.path();
        let member = &mut self.members[number];
        let log = File::create(folder.join(format!("{}.log", member.name))).unwrap();
        let program = env::var_os("ETCD").unwrap_or_else(|| "etcd".into());
        let started = Command::new(&program)
            .args(["--name", &member.name])
            .arg("--data-dir")
            .arg(folder.join(&member.name))
            .args([
                "--listen-client-urls",
                &member.client_url,
                "--advertise-client-urls",
                &member.client_url,
            ])
            .args([
                "--listen-peer-urls",
                &member.peer_url,
                "--initial-advertise-peer-urls",
                &member.peer_url,
            ])
            .args(&member.initial)
            .args(tls_flags("", folder))
            .args(tls_flags("peer-", folder))
            .current_dir(folder)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let process = started.unwrap_or_else(|error| {
            panic!(
                "starting {}: {error}; install etcd-server or set ETCD",
                program.display()
            )
        });
        member.process = Some(process);
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    async fn wait_for(&self, number: usize) {
        let client = self.client_within(number, Duration::from_secs(1));
        let start = Instant::now();
        loop {
            let Err(error) = client.revision().await else {
                return;
            };
            if start.elapsed() > START_LIMIT {
                let name = &self.members[number].name;
                panic!("waiting for etcd member {name}: {error}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Running {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            client_url: format!("https://127.0.0.1:{}", free_port()),
            peer_url: format!("https://127.0.0.1:{}", free_port()),
            initial: Vec::new(),
            process: None,
        }
    }
}

fn initial(state: &str, peers: &str) -> Vec<OsString> {
    ["--initial-cluster-state", state, "--initial-cluster", peers]
        .map(OsString::from)
        .to_vec()
}

/// Below the range from which the kernel takes ports for outgoing connections: one of those could be handed
/// out between our look and etcd's start. Each test process begins elsewhere.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) + std::process::id() * 131;
        let port = u16::try_from(12_000 + offset % 20_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn tls_flags(kind: &str, folder: &Path) -> Vec<OsString> {
    let mut flags = vec![format!("--{kind}client-cert-auth").into()];
    for (flag, file) in [
        ("trusted-ca-file", "ca.crt"),
        ("cert-file", "node.crt"),
        ("key-file", "node.key"),
    ] {
        flags.push(format!("--{kind}{flag}").into());
        flags.push(folder.join(file).into());
    }
    flags
}

/// A CA, one certificate for all members, and one for clients alone, as k3s has them.
fn make_certificates(folder: &Path) -> Tls {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);

    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let node = params.signed_by(&key, &issuer).unwrap();

    let client_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "etcd-client");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = params.signed_by(&client_key, &issuer).unwrap();
    fs::write(folder.join("client.crt"), client.pem()).unwrap();
    fs::write(folder.join("client.key"), client_key.serialize_pem()).unwrap();

    let tls = Tls {
        ca: ca.pem().into_bytes(),
        certificate: node.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    };
    for (file, pem) in [
        ("ca.crt", &tls.ca),
        ("node.crt", &tls.certificate),
        ("node.key", &tls.key),
    ] {
        fs::write(folder.join(file), pem).unwrap();
    }
    tls
}
